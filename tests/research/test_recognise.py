# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench of recognised words, where there are none."""

from types import SimpleNamespace

import pytest

from research import recognise
from thunder_core.spoken import Word


def test_a_clip_in_which_no_lips_shut_has_its_other_figures(monkeypatch):
    clip = SimpleNamespace(samples=None, name="clip", frames=25)
    engine = SimpleNamespace(recognise=lambda *_: SimpleNamespace(text=""))
    monkeypatch.setattr(recognise, "sound_of", lambda *_: None)
    monkeypatch.setattr(
        recognise, "of_clip", lambda *_: {"opening r": 0.5, "wrong closures a minute": 2.0}
    )
    rows = recognise.of_check(engine, None, [clip], SimpleNamespace(clip_takes=1))
    assert rows[1].startswith("opening r") and rows[3].startswith("wrong closures")
    assert rows[2].startswith("closures") and rows[2].endswith("no clip has any")


@pytest.mark.filterwarnings("error")
def test_of_recordings_without_a_right_word_the_starts_are_not_known(monkeypatch, tmp_path):
    pytest.importorskip("jiwer")
    pytest.importorskip("transformers")
    path = tmp_path / "1-2-3.flac"
    sound = SimpleNamespace(seconds=2.0)
    nothing = SimpleNamespace(words=(), text="", languages=(), left_out=())
    engine = SimpleNamespace(
        analyse=lambda _: None,
        recognise=lambda *_: nothing,
        spoken=lambda *_: ((), [Word("mama", 0.5, 1.0, 0.9)], True),
        recogniser=SimpleNamespace(client=SimpleNamespace(stop=lambda: None)),
    )
    line = SimpleNamespace(path=path, text="mama")
    monkeypatch.setattr(recognise, "recordings", lambda *_: [(path, "mama")])
    monkeypatch.setattr(recognise, "read_sound", lambda _: sound)
    monkeypatch.setattr(recognise, "lines_of", lambda *_: [line])
    monkeypatch.setattr(recognise, "lexicon", dict)
    monkeypatch.setattr(recognise, "starts_of", lambda *_: [0.5])
    rows, texts = recognise.of_words(engine, None, tmp_path, SimpleNamespace(recordings=0, cores=2))
    assert "word error 1.000" in rows[1] and texts == {path: ""}
    assert "nan of 0" in rows[4]
