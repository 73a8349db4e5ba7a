# SPDX-License-Identifier: GPL-3.0-or-later
"""The study: sides are drawn evenly, the page plays its films in a real browser and does not say
what they are, answers come out as a file, and the count is that of the books."""

import json
from argparse import Namespace
from collections import Counter

import numpy as np
import pytest
import soundfile
from browser import browser, needs_browser
from timing import until

from research.__main__ import main
from research.study import CATCH, choose_moments, QUESTIONS, read_judges, study_name
from research.votes import agreement, count, draw_sides, read_key, read_votes, Vote, write_key
from thunder_core.face.head import load_head

LINES = ("lineone", "linetwo", "linethree", "linefour")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Four hums with transcripts, and motions of an open and of a trembling jaw."""
    folder, channels = tmp_path_factory.mktemp("study"), load_head().channels
    for name in ("voices", "secretopen", "secretshaking"):
        (folder / name).mkdir()
    rows = ["file\tspeaker\ttext"]
    for line in LINES:
        hum = 0.2 * np.sin(np.arange(16000) * 0.08)
        soundfile.write(folder / "voices" / f"{line}.wav", hum, 16000)
        rows.append(f"{line}.wav\tada\t{line} words")
        for name, jaw in (("secretopen", np.full(25, 0.2)), ("secretshaking", np.arange(25) % 2)):
            parts = {part: np.zeros((25, 3), np.float32) for part in ("jaw", "head", "eyes")}
            parts["jaw"][:, 0] = 0.2 * jaw
            expression = np.zeros((25, channels), np.float32)
            np.savez(folder / name / f"{line}.npz", expression=expression, **parts)
    (folder / "voices" / "transcripts.tsv").write_text("\n".join(rows) + "\n")
    return folder


def make(folders, to, *more):
    sides = [f"{name}={folders / name}" for name in ("secretopen", "secretshaking")]
    main(["study", "make", str(to), "--sides", *sides, "--voices", str(folders / "voices"),
          "--pairs", "4", "--catch", "1", "--seconds", ".8", "--size", "64", *more])  # fmt: skip


@pytest.fixture(scope="module")
def study(folders):
    make(folders, folders / "made", "--stills")
    return folders / "made"


def test_each_side_is_a_in_half_of_the_pairs():
    for counted in (24, 23):
        sides = Counter(map(tuple, draw_sides(("one", "two"), counted, [1, 0])))
        assert set(sides) == {("one", "two"), ("two", "one")}
        assert abs(sides["one", "two"] - sides["two", "one"]) <= 1


def test_a_study_has_pairs_films_stills_and_a_page_that_tells_nothing(study, folders):
    key = read_key(study / "key.json")
    pairs = [{about["A"], about["B"]} for about in key.values()]
    assert sorted(map(sorted, pairs)) == [
        [CATCH, "secretopen"], *[["secretopen", "secretshaking"]] * 3
    ]  # fmt: skip
    films = {path.name: path.read_bytes() for path in (study / "page" / "films").iterdir()}
    assert set(films) == {film for about in key.values() for film in about["films"]}
    for content in films.values():
        assert b"avc1" in content and b"mp4a" in content, "picture and sound"
    # all hums are one: the open jaw, the shaking one, and the face that rests
    assert len(set(films.values())) == 3
    told = (study / "page" / "index.html").read_bytes() + b"".join(films.values())
    told += " ".join(films).encode()
    assert not any(word in told for word in (b"secret", b'"catch"', *map(str.encode, LINES)))
    assert len(list((study / "stills").iterdir())) == 4


def test_a_study_goes_on_and_refuses_other_pairs_in_its_folder(study, folders):
    film = next((study / "page" / "films").iterdir())
    before = {p: p.stat().st_mtime_ns for p in (study / "page" / "films").iterdir() if p != film}
    content = film.read_bytes()
    film.unlink()
    make(folders, study)
    assert film.read_bytes() == content
    assert {p: p.stat().st_mtime_ns for p in before} == before
    with pytest.raises(SystemExit, match="holds a study of other pairs"):
        make(folders, study, "--seed", "2")


@pytest.mark.parametrize(
    "words, said",
    [
        (["--pairs", "2"], "--pairs 2 leaves none beside --catch 2"),
        (["--sides", "today", "today"], "two different ones"),
        (["--sides", "today", "tomorrow"], "“tomorrow” is no side"),
        (["--sides", "today", "other=/nowhere"], "no folder “/nowhere”"),
        (["--voices", "{voices}", "--sides", "a={voices}", "b={voices}"], "There are 4 moments"),
        (["--voices", "{voices}", "--sides", "a={voices}", "b={voices}", "--pairs", "3"],
         "has no .*.npz: name another folder"),
    ],
)  # fmt: skip
def test_what_cannot_become_a_study_is_refused_with_a_sentence(folders, tmp_path, words, said):
    words = [word.format(voices=folders / "voices") for word in words]
    with pytest.raises(SystemExit, match=said):
        main(["study", "make", str(tmp_path / "study"), *words])


def test_a_study_asks_whose_voices_where_no_folder_is_named():
    args = Namespace(seed=1, seconds=1.0, voices=None, data=None)
    with pytest.raises(SystemExit, match="Whose voices"):
        choose_moments(args, {})


@needs_browser
def test_a_judge_watches_answers_and_saves_in_a_browser(study, folders, tmp_path, capsys):
    key = read_key(study / "key.json")
    with browser(tmp_path) as chrome:
        chrome.open(study / "page" / "index.html")
        chrome.run("document.querySelector('#judge').value = 'Ada L.'")
        chrome.click("#start button")
        assert chrome.run("return document.querySelector('#save').disabled")
        for number, (pair, about) in enumerate(key.items(), 1):
            until(lambda: chrome.text("#progress") == f"Pair {number} of 4")
            for side in "AB":
                assert chrome.run("return document.querySelector('#questions input').disabled")
                assert chrome.text(f"#{side}-state") == f"{side}: watch it to the end"
                chrome.run(f"document.getElementById('{side}').play()")
                until(lambda: chrome.text(f"#{side}-state") == side)
                played = "const v = document.getElementById(arguments[0]); return "
                assert chrome.run(played + "[v.videoWidth, v.ended]", side) == [64, True]
                sound = "v.webkitAudioDecodedByteCount > 0"
                assert chrome.run(played + sound, side), "with its sound"
            if number == 2:  # what was answered stays
                chrome.click("#back")
                until(lambda: chrome.text("#progress") == "Pair 1 of 4")
                assert len(chrome.run("return inputs.filter(each => each.checked)")) == 3
                chrome.click("#next")
                until(lambda: chrome.text("#progress") == "Pair 2 of 4")
            liked = "AB".index(next(s for s in "AB" if about[s] != CATCH and "open" in about[s]))
            assert chrome.run("return document.querySelector('#next').disabled")
            for place, question in enumerate(QUESTIONS):
                steps = (-3 + place, 3 - place)[liked]
                chrome.click(f"input[name={question}][value='{steps}']")
            if number < 4:
                chrome.click("#next")
        until(lambda: "all are answered" in chrome.text("#progress"))
        assert chrome.text("#save") == "Save Answers (4 of 4 pairs answered)"
        chrome.click("#save")
        [saved] = until(lambda: list(chrome.downloads.glob("*.json")))
        assert saved.name.startswith("votes_Ada_L__20") and chrome.log() == []
        assert saved.name in chrome.text("#message") and "it alone counts" in chrome.text(
            "#message"
        )
        chrome.click("#save")  # a second save has a name of its own, which sorts after the first
        both = until(lambda: len(found := sorted(chrome.downloads.glob("*.json"))) == 2 and found)
        assert both[0] == saved and both[1].name in chrome.text("#message")
        chrome.open(study / "page" / "index.html")  # answers are there again
        assert "all are answered" in chrome.text("#progress")
    assert json.loads(saved.read_text())["study"] == study_name(key)
    main(["study", "read", str(study), str(saved), "--who", "a script"])
    told = capsys.readouterr().out
    assert "Judged by a script." in told and "Ada L. (catch pairs 1 of 1)" in told
    rows = [
        line.split() for line in told.splitlines() if line.split()[:1] in [[q] for q in QUESTIONS]
    ]
    assert [row[1:4] for row in rows] == [["3", "0", "0"]] * 3
    assert [row[10] for row in rows] == ["-3.00", "-2.00", "-1.00"]
    with pytest.raises(SystemExit, match="answers another study"):
        saved.write_text(saved.read_text().replace(study_name(key), "another"))
        main(["study", "read", str(study), str(saved), "--who", "a script"])


@pytest.fixture
def key(tmp_path):
    """Ten pairs, one of them a catch pair."""
    sides = [["one", CATCH], *[["one", "two"], ["two", "one"]] * 5][:10]
    write_key(tmp_path / "key.json", [{}] * 10, sides)
    return read_key(tmp_path / "key.json")


def test_votes_are_read_as_lines_too_and_the_last_one_counts(tmp_path, key):
    (tmp_path / "bob.txt").write_text("2, lip-sync, A\n002,lip-sync,B\n\n3, realism, -1\n4,=\n")
    assert read_votes(tmp_path / "bob.txt", key) == [
        Vote("bob", "002", "lip-sync", "two", 1, "B"),
        Vote("bob", "003", "realism", "two", 1, "A"),
        Vote("bob", "004", "", "", 0, "="),
    ]
    for wrong in ("99, A", "2, C", "2, lip-sync, 4", "2"):
        (tmp_path / "bob.txt").write_text(wrong)
        with pytest.raises(SystemExit, match="is no vote: write a pair"):
            read_votes(tmp_path / "bob.txt", key)


def test_the_count_is_that_of_the_books_without_judges_who_do_not_look(key):
    def vote(judge, pair, name, steps=2):
        side = "=" if not name else next(s for s in "AB" if key[pair][s] == name)
        return Vote(judge, pair, "realism", name, steps if name else 0, side)

    liked = dict(zip(list(key)[1:], ["one"] * 6 + ["two"] * 2 + [""]))
    votes = [vote(judge, pair, name) for judge in ("ada", "bob") for pair, name in liked.items()]
    votes += [vote("bob", "010", "two"), vote("ada", "001", "one"), vote("bob", "001", "one")]
    votes = list({(v.judge, v.pair): v for v in votes}.values())
    votes += [vote(judge, pair, "two") for judge in ("eve", "skips") for pair in liked]
    told = count([*votes, vote("eve", "001", CATCH)], key)
    blind = "eve (catch pairs 0 of 1), left out, skips (catch pairs 0 of 1), left out"
    assert told[0].endswith(f"bob (catch pairs 1 of 1), {blind}")
    row = told[-1].split()
    # of ada's and bob's 18 votes; pairs by both; Wilson's interval of 6 in 9
    assert row[:7] == ["realism", "12", "1", "5", "6", "0", "3"]
    assert "67% [35%, 88%]" in told[-1] and "89% of 9" in told[-1]
    assert agreement(v for v in votes if v.judge in ("ada", "bob"))[0] == pytest.approx(9 / 10)
    assert count([v for v in votes if v.judge == "skips"], key)[-1].startswith("nobody is left")


@pytest.fixture
def asked(tmp_path):
    """A study's key of one catch pair and two others."""
    sides, films = [["one", CATCH], ["one", "two"], ["two", "one"]], {"films": ["ab.mp4", "cd.mp4"]}
    write_key(tmp_path / "key.json", [films] * 3, sides)
    return read_key(tmp_path / "key.json")


GIVEN = {"001": {"realism": -1}, "002": {"realism": -2}}


def save(path, answers=GIVEN, judge="ada", **more):
    path.write_text(json.dumps({"study": "ab", "judge": judge, "answers": answers, **more}))
    return path


@pytest.mark.parametrize(
    "content, said",
    [
        ("", "is damaged"), ("{", "is damaged"), ("[]", "is damaged"), ("null", "is damaged"),
        ("[" * 100_000, "is damaged"), (b"\xff\xfe\x00", "cannot be read as text"),
        ('{"study": "ab", "answers": {}}', "is damaged"),
        ('{"study": "ab", "judge": "ada"}', "is damaged"),
        ('{"study": "ab", "judge": null, "answers": {}}', "is damaged"),
        ({"001": None}, "is damaged"), ([], "is damaged"),
        ({}, "by ada has no answers that can count"),
        ({"001": {"realism": -1}}, "by ada has no answers that can count"),
        ({"002": {"beauty": 1}}, "“beauty” in .* is no question"),
        ({"002": {"realism": 1.5}}, "is no vote"), ({"002": {"realism": True}}, "is no vote"),
        ({"002": {"realism": None}}, "is no vote"), ({"002": {"realism": [1]}}, "is no vote"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_counted_is_refused_by_its_name(asked, tmp_path, content, said):
    path = tmp_path / "saved.json"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path.write_text(content)
    else:
        save(path, content)
    with pytest.raises(SystemExit, match=said) as error:
        main(["study", "read", str(tmp_path), str(path), "--who", "a script"])
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_lines_that_are_empty_are_refused(asked, tmp_path):
    (tmp_path / "bob.txt").write_text("\n")
    with pytest.raises(SystemExit, match="bob.txt by bob has no answers"):
        read_judges([tmp_path / "bob.txt"], asked, tmp_path)


def test_of_one_judge_the_later_save_counts_and_two_of_one_name_are_two(asked, tmp_path):
    early = save(tmp_path / "z.json", by="aa", saved="2026-01-01")
    late = save(tmp_path / "a.json", {"002": {"realism": 3}}, by="aa", saved="2026-01-02")
    other = save(tmp_path / "b.json", by="bb", saved="2026-01-01")
    for order in ([early, late], [late, early]):
        votes, lines = read_judges(order, asked, tmp_path)
        assert [vote.steps for vote in votes] == [3]
        assert lines == [f"{early} does not count: {late} by ada was saved later"]
    votes, lines = read_judges([late, late], asked, tmp_path)
    assert len(votes) == 1 and "says the same" in lines[0]
    votes, lines = read_judges([late, other], asked, tmp_path)
    assert {vote.judge for vote in votes} == {"ada (aa)", "ada (bb)"} and not lines


def test_two_judges_of_one_name_that_nothing_tells_apart_are_refused(asked, tmp_path):
    one, two = save(tmp_path / "1.json"), save(tmp_path / "2.json", {"002": {"realism": 3}})
    for more in ({}, {"by": "aa"}):
        save(one, **more)
        with pytest.raises(SystemExit, match="are both by ada: rename one"):
            read_judges([one, two], asked, tmp_path)
