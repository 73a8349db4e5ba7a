# SPDX-License-Identifier: GPL-3.0-or-later
"""Table 1's bench: the decoder finds what trying everything finds, figures and intervals are right, a stopped run goes on."""

import argparse
import itertools
import json
import math

import numpy as np
import pytest

from research import ctc_words, table1
from research.train.stages import STAGES as RESEARCH
from thunder_core.train.__main__ import add_arguments
from thunder_core.train.stages import STAGES

# Two phones at least: five frames hold two words at most, and no sentences are followed as one.
WORDS = {"ab": [1, 2], "bb": [2, 2], "ba": [2, 1], "aba": [1, 2, 1], "bba": [2, 2, 1]}


def language(word, history):
    """Some words are likelier, and likelier after others."""
    own = {"ab": -1.0, "bb": -1.5, "ba": -1.2, "aba": -2.0, "bba": -1.7}[word]
    return own + (0.7 if history[-1:] == ("ab",) and word == "bb" else 0.0)


def collapsed(labels):
    return tuple(phone for phone, _ in itertools.groupby(labels) if phone)


def by_trying_everything(scores, weight, bonus):
    """{words: log probability} of every sentence: the sum over all label sequences that say it, and what the language model adds."""
    said = {}
    for labels in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        said.setdefault(collapsed(labels), []).append(sum(scores[n, label] for n, label in enumerate(labels)))
    sounds = {phones: float(np.logaddexp.reduce(values)) for phones, values in said.items()}
    sentences = {(): sounds.get((), -math.inf)}
    for count in (1, 2):
        for words in itertools.product(WORDS, repeat=count):
            phones = tuple(phone for word in words for phone in WORDS[word])
            if phones in sounds:
                model = sum(language(word, words[max(0, n - 2) : n]) for n, word in enumerate(words))
                sentences[words] = sounds[phones] + weight * model + bonus * count
    return sentences


@pytest.mark.parametrize("seed", range(12))
def test_the_decoder_finds_the_sentence_that_trying_everything_finds(seed):
    logits = np.random.default_rng(seed).normal(0, 2.5, (5, 3))
    scores = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    sentences = by_trying_everything(scores, 0.6, 0.3)
    root = ctc_words.tree(WORDS.items(), lambda word: language(word, ()))
    decoded = tuple(ctc_words.Words(root, language, 0.6, 0.3, beam=10_000).decode(logits).split())
    assert sentences[decoded] == pytest.approx(max(sentences.values()), abs=1e-9)


def test_a_phone_said_twice_needs_a_pause_between():
    root = ctc_words.tree([("bb", [2, 2]), ("b", [2])], lambda word: 0.0)
    words = ctc_words.Words(root, lambda word, history: 0.0, bonus=0.0)

    def says(labels):
        return words.decode(np.where(np.eye(3)[labels] > 0, 6.0, -6.0))

    assert says([2, 2, 2]) == "b" and says([2, 0, 2]) in ("bb", "b b") and says([0, 0]) == ""


def test_the_language_model_chooses_among_words_that_sound_alike():
    root = ctc_words.tree([("write", [1, 2]), ("right", [1, 2]), ("turn", [2])], lambda word: -1.0)
    chosen = ctc_words.Words(root, lambda word, history: -0.1 if (word, history) == ("right", ("turn",)) else -1.0, bonus=0.0)
    assert chosen.decode(np.where(np.eye(3)[[2, 0, 1, 2]] > 0, 6.0, -6.0)) == "turn right"


def test_english_words_are_decoded_from_their_phones():
    pytest.importorskip("pocketsphinx")
    from thunder_core.engine.speech.phones import PHONES

    labels = [PHONES.index(p) for p in "DH AH SIL K AE T SIL S AE T SIL D AW N".split() for _ in range(2)]
    logits = np.full((len(labels), len(PHONES)), -8.0)
    logits[np.arange(len(labels)), labels] = 8.0
    assert ctc_words.english().decode(logits) == "the cat sat down"


def line(**figures):
    return {"stoi": 0.5, "estoi": 0.25, "pesq_wb": 1.0, "pesq_nb": 1.25, "wer": "a b", "wer_pocketsphinx": ""} | figures


def test_rows_are_means_over_lines_and_errors_of_all_words_together():
    pytest.importorskip("jiwer")
    figures = {"natural": [line(stoi=1.0), line(stoi=1.0)], "mouth2s": [line(stoi=0.4), line(stoi=0.8, pesq_wb=math.nan)]}
    made = {row["system"]: row for row in table1.rows(figures, ["a b", "a c c d"], {"sv2s": "not trained: how"})}
    assert list(made) == list(table1.SYSTEMS)
    assert made["natural"]["stoi"] == 1.0 and made["natural"]["stoi_ci"] == [1.0, 1.0]
    mouth = made["mouth2s"]
    assert mouth["stoi"] == pytest.approx(0.6) and mouth["stoi_ci"] == [0.4, 0.8]
    assert mouth["pesq_wb"] == 1.0, "a line in which PESQ finds no voice is left out"
    assert (
        mouth["wer"] == pytest.approx(3 / 6) and mouth["wer_pocketsphinx"] == 1.0
    )  # of six words three are wrong, not the mean of 0 and 3/4
    assert mouth["wer_ci"] == [0.0, 0.75]
    assert made["sv2s"]["stoi"] is None and made["sv2s"]["stoi_ci"] is None and made["sv2s"]["note"] == "not trained: how"
    json.dumps(list(made.values()), allow_nan=False)
    text = "\n".join(table1.printed(list(made.values())))
    assert "sv2s: not trained: how" in text and "paper, mouth2s" in text
    lines = table1.markdown(list(made.values()))
    assert len({line.count("|") for line in lines}) == 1, "every line has a cell for every column"
    at = lines.index("| mouth2s | here | 0.600 ±0.200 | 0.250 | 1.000 | 1.250 | 0.500 ±0.375 | 1.000 |")
    assert lines[at + 1] == "| | paper | 0.506 | 0.272 | 1.246 | 1.457 | 0.678 |  |"
    last = [line for line in lines if "sv2s" in line or "published" in line]
    assert last[0].startswith("| sv2s | here | not trained: how |") and last[1].startswith("| | paper, as published | 0.376 |")


def test_networks_are_compared_with_mouth2s_line_by_line():
    pytest.importorskip("jiwer")
    mouth = [line(stoi=0.2), line(stoi=0.8)]
    figures = {"natural": mouth, "mouth2s": mouth, "exp2s": [line(stoi=0.3), line(stoi=0.9, wer="a x")]}
    (row,) = table1.differences(figures, ["a b", "a b"])
    assert row["system"] == "exp2s" and row["against"] == "mouth2s"
    assert row["stoi"] == pytest.approx(0.1) and row["stoi_ci"] == [0.1, 0.1], "lines differ by more, pairs do not"
    assert row["wer"] == pytest.approx(0.25) and row["wer_ci"] == [0.0, 0.5]


def test_lines_that_nobody_wrote_down_count_no_words():
    pytest.importorskip("jiwer")
    assert table1.edits("", "noise") == (0.0, 0) and table1.edits("a b c", "a x c d") == (pytest.approx(2.0), 3)


def test_every_row_of_the_paper_that_is_measured_is_there_and_a_missing_network_names_its_command():
    assert {"exp2s", "face2s", "mouth2s"} <= set(table1.SYSTEMS) & set(table1.PAPER)
    for command in table1.TRAIN.values():
        program, _, words = command.removeprefix("research ").partition(" ")
        parser = argparse.ArgumentParser()
        add_arguments(parser, {"train": RESEARCH, "thunder_core.train": STAGES}[program])
        assert parser.parse_args(words.split()).stage in ("m2s", "sv2s")


def test_a_mouth2s_trained_like_the_others_has_a_row_beside_the_one_that_ships(tmp_path):
    from safetensors.torch import load_file, save_file

    from thunder_core.engine.engine import Engine

    engine = Engine.load(device="cpu")
    there, missing = table1.listeners(engine, tmp_path)
    assert table1.SHIPPED not in there and "m2s --space face" in missing["face2s"]
    again = load_file(engine.folder / "m2s.safetensors")
    name = next(name for name, tensor in again.items() if tensor.ndim == 2)
    again[name] = again[name] + 1
    save_file(again, tmp_path / "m2s.safetensors")
    config = json.loads((engine.folder / "m2s.json").read_text())
    (tmp_path / "m2s.json").write_text(json.dumps(config | {"card": {"steps": 250, "start": "m2s 0123456789"}}))
    there, _ = table1.listeners(engine, tmp_path)
    assert there[table1.SHIPPED].network is not there["mouth2s"].network
    assert there["mouth2s"].digest != there[table1.SHIPPED].digest and there["mouth2s"].note == "250 steps from m2s 0123456789"
