# SPDX-License-Identifier: GPL-3.0-or-later
"""Kanji are read by pykakasi, each keeps its place among the words, and without it a text says what
would help."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from research.harness import ROOT
from thunder_core import spoken
from thunder_core.client import Client
from thunder_core.engine.speech import kanji
from thunder_core.engine.speech.transcript import sounds


@pytest.mark.parametrize(
    "text, said",
    [("今日は天気がいい。", "きょ う は てん き が い い"), ("母は食べ物を買いに行きました", "はは は た べ もの を か い に い き ま し た"),
     ("学校で日本語を勉強している", "がっ こう で に ほん ご を べん きょう し て い る"), ("人々がTシャツを3枚", "ひと びと が T シャ ツ を 3 まい"),
     ("ノー天気、本屋", "ノー てん き ほん や"), ("かな", "か な"), ("", "")],
)  # fmt: skip
def test_each_word_has_its_share_of_what_is_read(text, said):
    assert " ".join(kanji.in_kana(text, "ja")) == said
    assert len(kanji.in_kana(text, "ja")) == len(spoken.split(text)), "none is lost or added"


@pytest.mark.parametrize(
    "text", ["妈妈把苹果放在门旁边。", "日 本\0語 が゙ 𠮷野 〜！", "㍿㌔鬱々", "x" * 5000]
)
def test_whatever_is_written_words_keep_their_places(text):
    for language in ("ja", "zh", ""):
        assert len(kanji.in_kana(text, language)) == len(spoken.split(text))
    assert kanji.in_kana(text, "zh") == tuple(spoken.split(text)), "hanzi are not kanji"


def test_sounds_of_kanji_are_those_of_their_kana_and_words_stay_as_typed():
    written, in_kana = (
        sounds(text, "ja") for text in ("今日、学校に行く", "きょう、がっこうにいく")
    )
    spoken_of = [[each.text for each in of if each.text != " "] for of in (written, in_kana)]
    assert spoken_of[0] == spoken_of[1] and max(each.number for each in written) == 6


def test_threads_read_one_after_the_other():
    lines = [f"今日は{n}天気がいい、学校へ行く" for n in "一二三四五六七八"]
    alone = [kanji.in_kana.__wrapped__(line, "ja") for line in lines]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda line: kanji.in_kana.__wrapped__(line, "ja"), lines)) == alone


@pytest.fixture
def unread(monkeypatch):
    """What reads kanji is not installed."""
    monkeypatch.setitem(sys.modules, "pykakasi", None)
    for cached in (kanji._reader, kanji.in_kana):
        cached.cache_clear()
    yield
    for cached in (kanji._reader, kanji.in_kana):
        cached.cache_clear()


@pytest.mark.usefixtures("unread")
def test_without_it_kanji_stay_and_are_named():
    assert kanji.in_kana("今日は", "ja") == ("今", "日", "は")
    assert kanji.are_unread("食べて") and kanji.are_unread("日本", "ja")
    assert not kanji.are_unread("たべて") and not kanji.are_unread("日本")


def test_with_it_none_is_unread():
    assert not kanji.are_unread("食べて")


PATH_OF_A_WORKER = """
import sys
from thunder_core.engine import worker
class Told:
    def __init__(self, *given): sys.stderr.write(sys.path[-1])
    def run(self): pass
worker.Worker = Told
worker.main()
"""


def test_packages_of_the_environment_come_last_on_the_worker_s_path(tmp_path):
    own = tmp_path / "lib" / "python3.11" / "site-packages"
    own.mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-c", PATH_OF_A_WORKER, "--kanji", str(tmp_path)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.stderr == str(own)


def test_the_client_names_the_environment_that_was_installed():
    with Client(kanji=["/first", "/second"]) as client:
        client.request("hello").wait()
        command = client._process.popen.args
        assert command[command.index("--kanji") :] == ["--kanji", "/first"]
