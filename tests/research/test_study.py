# SPDX-License-Identifier: GPL-3.0-or-later
"""The perceptual study: pairs are balanced and blind, votes are safe at once, the page works in a
browser, the count is right."""

import itertools
import json
import threading
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from research.__main__ import main
from research.study import pairs, server, votes

NAMES = ("secretone", "secrettwo", "secretthree")


def clips(folder: Path, count: int) -> list[Path]:
    made = [folder / f"line{number}.wav" for number in range(count)]
    for number, clip in enumerate(made):
        clip.write_bytes(b"sound %d" % number)
    return made


def systems(folder: Path, sounds: list[Path], names=NAMES) -> list[dict]:
    for name in names:
        (folder / name).mkdir()
        for sound in sounds:
            (folder / name / f"{sound.stem}.npz").write_bytes(b"motion")
    return [pairs.system(f"{name}={folder / name}") for name in names]


@pytest.fixture
def study(tmp_path):
    """A study of two systems on three clips, with films that are bytes, and one check."""
    sounds = clips(tmp_path, 3)
    plan = pairs.plan_study(sounds, systems(tmp_path, sounds, NAMES[:2]), 1, 5.0, 64, 1)
    folder = tmp_path / "study"
    pairs.begin(folder, plan)
    for name in plan["films"]:
        pairs.film_path(folder, name).write_bytes(bytes(range(256)))
    pairs.publish(folder, plan)
    return folder


@pytest.fixture
def address(study):
    with server.make_server(study) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


def get(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return answer.status, answer.headers, answer.read()


def post(url, value, kind="application/json"):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, data, {"Content-Type": kind}), timeout=10
        ) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def answers(value=1):
    return dict.fromkeys(pairs.QUESTIONS, value)


# ---- pairs


def test_every_two_systems_meet_on_every_clip_and_sides_are_balanced(tmp_path):
    sounds = clips(tmp_path, 4)
    plan = pairs.plan_study(sounds, systems(tmp_path, sounds), 0, 5.0, 64, 3)
    met = {(frozenset(pair["systems"]), pair["clip"]) for pair in plan["pairs"].values()}
    assert len(met) == len(plan["pairs"]) == 3 * 4
    sides = Counter(tuple(pair["systems"]) for pair in plan["pairs"].values())
    assert sides == dict.fromkeys(itertools.permutations(NAMES, 2), 2)
    for pair in plan["pairs"].values():
        for side, system in zip(("left", "right"), pair["systems"]):
            film = plan["films"][pair[side]]
            assert (film["system"], film["clip"], film["of"]) == (
                system,
                pair["clip"],
                pair["clip"],
            )


def test_tracked_people_of_several_speakers_are_a_system(tmp_path):
    sounds = [tmp_path / "tracked" / who / f"line{n}.wav" for n, who in enumerate(("ada", "bob"))]
    for sound in sounds:
        sound.parent.mkdir(parents=True)
        sound.write_bytes(b"sound")
        sound.with_suffix(".npz").write_bytes(b"motion")
    people = pairs.system(f"people={tmp_path / 'tracked'}")
    assert len(pairs.plan_study(sounds, [people, pairs.system("shipped=")], 0, 5.0, 64, 1)["pairs"])
    assert [pairs.motion_path(people["folder"], sound) for sound in sounds] == [
        sound.with_suffix(".npz") for sound in sounds
    ]


def test_what_is_served_does_not_say_which_system_is_where(study, address):
    shown = (
        (study / "public" / "pairs.json").read_text()
        + get(f"{address}/pairs?rater=ada")[2].decode()
        + get(address)[2].decode()
    )
    shown += " ".join(path.name for path in (study / "public").iterdir())
    assert not any(name in shown for name in (*NAMES, "line0", '"check"'))
    for path in (
        "/key.json",
        "/../key.json",
        "/films/../../key.json",
        "/films/..%2f..%2fkey.json",
        "/films/key.json",
        "/votes/ada.jsonl",
    ):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(address + path)


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["--clip", "{clip}", "--system", "a={a}"], "at least two"),
        (["--clip", "{clip}", "--system", "a={a}", "--system", "a={a}"], "two systems called “a”"),
        (
            ["--clip", "{clip}", "--system", "a={a}", "--system", "b={missing}"],
            "There is no folder",
        ),
        (["--clip", "{missing}.wav", "--system", "a={a}", "--system", "b={a}"], "no sound file"),
        (["--clip", "{clip}", "--system", "a={a}", "--system", "b={a},stepps=3"], "no setting"),
        (["--clip", "{clip}", "--system", "a={a}", "--system", "b={a},steps=none"], "is no steps"),
        (
            ["--clip", "{clip}", "--system", "a={a}", "--system", "b={a},quality=best"],
            "is no quality",
        ),
        (["--clip", "{clip}", "--system", "a={a}", "--system", "b={a},take=3"], "not among 1"),
        (
            ["--clip", "{clip}", "--system", "a={a}", "--system", "b={empty}"],
            "neither weights nor line0.npz",
        ),
        (
            ["--clip", "{clip}", "--system", "a={a}", "--system", "b={a}", "--size", "63"],
            "even number",
        ),
        (
            ["--clip", "{clip}", "--system", "a={a}", "--system", "b={a}", "--checks", "1"],
            "at least two clips",
        ),
    ],
)
def test_what_cannot_become_a_study_is_refused_with_a_sentence(tmp_path, words, sentence):
    sounds = clips(tmp_path, 1)
    systems(tmp_path, sounds, ["a"])
    (tmp_path / "empty").mkdir()
    given = dict(
        clip=sounds[0], a=tmp_path / "a", missing=tmp_path / "missing", empty=tmp_path / "empty"
    )
    with pytest.raises(SystemExit, match=sentence):
        main(["study", "make", str(tmp_path / "study"), *(word.format(**given) for word in words)])
    assert not (tmp_path / "study").exists()


# ---- votes


def test_a_vote_is_on_the_disk_before_the_answer_and_the_rater_goes_on_after_it(study, address):
    first = json.loads(get(f"{address}/pairs?rater=ada")[2])
    assert len(first["pairs"]) == 4 and first["votes"] == {}
    assert post(
        f"{address}/vote", {"rater": "ada", "pair": first["pairs"][0]["id"], "answers": answers(2)}
    ) == (200, {"saved": True})
    assert [vote["answers"] for vote in server.read_votes(study / "votes" / "ada.jsonl")] == [
        answers(2)
    ]
    again = json.loads(get(f"{address}/pairs?rater=ada")[2])
    assert again["pairs"] == first["pairs"] and again["votes"] == {
        first["pairs"][0]["id"]: answers(2)
    }
    assert json.loads(get(f"{address}/pairs?rater=bob")[2])["votes"] == {}


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"rater": "../key"}, "letters"),
        ({"rater": ""}, "letters"),
        ({"pair": "p0"}, "not in the study"),
        ({"pair": ["p0"]}, None),
        ({"answers": {"lip-sync": 1}}, "no answer"),
        ({"answers": dict.fromkeys(pairs.QUESTIONS, 3)}, "scale"),
        ({"answers": dict.fromkeys(pairs.QUESTIONS, 0.5)}, "scale"),
        ({"answers": dict.fromkeys(pairs.QUESTIONS, True)}, "scale"),
        (b"no json", "no vote"),
        (b"[]", "no vote"),
        (b"x" * 5000, "no vote"),
    ],
)
def test_what_is_no_vote_is_refused_and_leaves_nothing(study, address, change, sentence):
    pair = json.loads(get(f"{address}/pairs?rater=ada")[2])["pairs"][0]["id"]
    vote = (
        change
        if isinstance(change, bytes)
        else {"rater": "ada", "pair": pair, "answers": answers()} | change
    )
    code, answer = post(f"{address}/vote", vote)
    assert code == 400 and (sentence or "reload") in answer["error"]
    # another site's form
    assert (
        post(f"{address}/vote", {"rater": "ada", "pair": pair, "answers": answers()}, "text/plain")[
            0
        ]
        == 415
    )
    assert not any((study / "votes").iterdir())


# ---- the connections


# ---- the count


def test_the_count_is_that_of_the_books_by_the_key_and_without_raters_who_miss_checks(study):
    """Raters who always prefer the second system, wherever it stands; one of them sees the
    check."""
    given = [1] * 8 + [-2, -1] + [0] * 5
    p = votes.preference(
        [votes.Vote("a", ("one", "two"), clip, answers(v)) for clip, v in enumerate(given)],
        "realism",
    )
    assert (p.first, p.equal, p.second, p.share) == (2, 5, 8, 0.8)
    assert p.share_interval == pytest.approx((0.4902, 0.9433), abs=1e-3)  # Wilson's, of 8 in 10
    assert p.chance == pytest.approx(2 * (45 + 10 + 1) / 1024)  # a fair coin
    assert p.mean == pytest.approx((8 - 3) / 15)
    key, open_study = pairs.key_of(study), server.Study(study)
    for (name, pair), sees in itertools.product(key["pairs"].items(), (True, False)):
        liked = (NAMES[0] if sees else "") if pair["check"] else NAMES[1]
        value = 2 if pair["systems"][1] == liked else -2
        given = {"rater": "good" if sees else "bad", "pair": name}
        for said in (-value, value):  # the last vote counts
            open_study.save({**given, "answers": answers(said)})
    assert "6 votes of 2 raters" in "\n".join(votes.report(study))
    assert votes.attention(votes.collect(study)) == {"good": (1, 1), "bad": (0, 1)}
    text = "\n".join(votes.report(study, 0.5))
    for words in (
        f"{NAMES[0]} (first) or {NAMES[1]} (second)",
        "3 votes of 1 raters on 3 clips",
        "left out",
        "right lips were preferred in 1 of 2",
        "preference          0      0      3   1.00 [0.44, 1.00]",
        "+2.00 [+2.00, +2.00]",
    ):
        assert words in text
