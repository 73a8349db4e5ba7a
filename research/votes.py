# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs for judges who do not know which side is which: the draw of sides, their key, and votes.

`blind` shows pairs as pictures, `study` as films; both draw, keep and read them here. A key is a
JSON file: of each pair what it shows, and the names of its sides A and B. Votes are lines “pair, A”
or “pair, question, A” (B; = for no preference; or steps −3 … 3, below 0 for A), in a file named
after its judge, or the file that the page of a study saves.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from research.harness import bootstrap, write_json

SIDES = {"A": -1, "=": 0, "B": 1}  # steps of an answer in a letter
MOST_STEPS = 3
CATCH = "catch"  # name of the side, in a pair that tests the judge, that nobody should like better


@dataclass(frozen=True)
class Vote:
    """An answer. liked: the name of the better side, "" for neither. steps: how clearly, 0 … 3.
    side: A, B or “=”."""

    judge: str
    pair: str
    question: str
    liked: str
    steps: int
    side: str


def draw_sides(names: Sequence[str], count: int, seed: Sequence[int]) -> list[list[str]]:
    """The names of sides A and B of so many pairs: the first is A in half of them."""
    swapped = np.random.default_rng(seed).permutation(count) % 2
    return [list(names[::-1] if each else names) for each in swapped]


def write_key(path: Path, pairs: Sequence[dict], sides: Sequence[Sequence[str]]) -> None:
    """Write the key of pairs: what each shows, and its sides; pairs are numbered from 001."""
    numbered = enumerate(zip(pairs, sides), 1)
    write_json(path, {f"{n:03d}": about | dict(zip("AB", of)) for n, (about, of) in numbered})


def read_key(path: Path) -> dict[str, dict]:
    """{number of a pair: what it shows and its sides}."""
    key = json.loads(path.read_text(encoding="utf-8"))
    return {pair: about for pair, about in key.items() if pair.isdecimal()}


def read_saved(path: Path) -> tuple[str, dict]:
    """A file of votes: its text, and what the page of a study saved in it, {} where it holds lines.
    Raises SystemExit for what is neither."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise SystemExit(
            f"{path} cannot be read as text: ask the judge for the file again"
        ) from None
    if path.suffix != ".json" and not text.lstrip().startswith("{"):
        return text, {}
    try:
        saved = json.loads(text)
        told, given = saved["judge"], saved["answers"]
        whole = isinstance(told, str) and told.strip() and isinstance(given, dict)
        whole = whole and all(isinstance(each, dict) for each in given.values())
    except (ValueError, TypeError, KeyError, RecursionError):
        whole = False
    if not whole:
        raise SystemExit(
            f"{path} is damaged, or not what the page saved: ask the judge to save it again"
        )
    return text, saved


def read_votes(path: Path, key: dict[str, dict], part: str = "") -> list[Vote]:
    """The votes of a judge, a file; the last one counts where a pair was judged again. part: what
    stands before the numbers of pairs. Raises SystemExit for what is no vote of this key."""
    (text, saved), judge = read_saved(path), path.stem
    if saved:
        judge = saved["judge"]
        said = [(p, q, s) for p, given in saved["answers"].items() for q, s in given.items()]
    else:
        said = []
        for line in filter(str.strip, text.splitlines()):
            pair, *rest = (word.strip() for word in line.split(","))
            *between, answer = rest or [""]
            said.append((pair.removeprefix(part).zfill(3), "".join(between[:1]), answer))
    votes = {}
    for pair, question, answer in said:
        steps = MOST_STEPS + 1
        if isinstance(answer, str):
            try:
                steps = SIDES[answer] if answer in SIDES else int(answer)
            except ValueError:
                pass  # refused below
        elif type(answer) is int:  # and no bool
            steps = answer
        if pair not in key or abs(steps) > MOST_STEPS:
            shown = " ".join(f"{pair}, {question or 'better'}, {answer}".split())
            raise SystemExit(
                f"“{shown[:80]}” in {path} is no vote: write a pair of "
                f"this study and A, B or =, as in “1, A”"
            )
        side = "A" if steps < 0 else "B" if steps else "="
        liked = key[pair].get(side, "")
        votes[pair, question] = Vote(judge, pair, question, liked, abs(steps), side)
    return list(votes.values())


def share(first: int, decided: int, level: float = 0.95) -> str:
    """“67% [58%, 75%]”: a share and its interval (Wilson); “–” of none."""
    if not decided:
        return "–"
    low, high = binomtest(first, decided).proportion_ci(level, "wilson")
    return f"{first / decided:.0%} [{low:.0%}, {high:.0%}]"


def agreement(votes: Iterable[Vote]) -> tuple[float, float, int]:
    """How often two judges of a pair liked the same side or neither, how often they would by chance,
    and how many pairs of judgements that is."""
    by_pair = defaultdict(list)
    for vote in votes:
        by_pair[vote.pair].append(vote.liked)
    both = [a == b for liked in by_pair.values() for a, b in combinations(liked, 2)]
    counts = Counter(name for liked in by_pair.values() for name in liked)
    total = counts.total() or 1
    by_chance = sum((count / total) ** 2 for count in counts.values())
    return (float(np.mean(both)) if both else float("nan")), by_chance, len(both)


def attention(votes: Iterable[Vote], key: dict[str, dict]) -> dict[str, tuple[int, int]]:
    """{judge: how many catch pairs they answered as everybody should, and of how many}: one without
    an answer is not seen; in each pair the first question tells. {} where no pair is one."""
    tests = {pair for pair, about in key.items() if CATCH in (about["A"], about["B"])}
    seen: dict[str, dict[str, bool]] = defaultdict(dict)
    for vote in votes:
        right = seen[vote.judge]
        if vote.pair in tests:
            right.setdefault(vote.pair, vote.liked not in ("", CATCH))
    return {judge: (sum(pairs.values()), len(tests)) for judge, pairs in seen.items() if tests}


def count(votes: Sequence[Vote], key: dict[str, dict], least: float = 1.0) -> list[str]:
    """Lines: who judged, who is left out for having seen fewer than the share `least` of their catch
    pairs, and for each question votes, pairs by most judges with 95 % limits, mean steps towards
    the second name with 95 % limits over pairs, and how often judges agree."""
    caught = attention(votes, key)
    out = {judge for judge, (right, of) in caught.items() if right < least * of}
    plain = [v for v in votes if CATCH not in (key[v.pair]["A"], key[v.pair]["B"])]
    votes = [v for v in plain if v.judge not in out]
    judges = sorted({vote.judge for vote in plain} | set(caught))
    names = sorted({key[vote.pair][side] for vote in plain for side in "AB"})
    lines = [
        f"{len(judges)} judge{'s' * (len(judges) > 1)}: "
        + ", ".join(
            judge
            + (" (catch pairs {} of {})".format(*caught[judge]) if judge in caught else "")
            + (", left out" if judge in out else "")
            for judge in judges
        )
    ]
    if not votes:
        return [*lines, "nobody is left whose answers count"]
    decided = [vote for vote in votes if vote.liked]
    first = sum(vote.side == "A" for vote in decided)
    lines.append(f"side A was liked better in {share(first, len(decided))} of {len(decided)} votes")
    lines += [
        "",
        f"{'':10s}{'votes: ' + names[0]:>16s}{'=':>5s}{names[1]:>10s}   "
        f"{'pairs: ' + names[0]:>16s}{'=':>5s}{names[1]:>10s}  {names[0] + ', of decided':24s}"
        f"{'steps to ' + names[1]:22s}  two judges agree",
    ]
    for question in dict.fromkeys(vote.question for vote in votes):
        some = [vote for vote in votes if vote.question == question]
        liked = Counter(vote.liked for vote in some)
        of_pair: dict[str, list[int]] = defaultdict(list)
        for vote in some:
            of_pair[vote.pair].append(vote.steps * (-1 if vote.liked == names[0] else 1))
        means = np.array([np.mean(steps) for steps in of_pair.values()])
        won = [int((means < 0).sum()), int((means > 0).sum())]
        low, high = bootstrap(lambda rows: float(means[rows].mean()), len(means))
        same, by_chance, compared = agreement(some)
        told = f"{same:.0%} of {compared}, by chance {by_chance:.0%}" if compared else "–"
        lines.append(
            f"{question or 'better':10s}{liked[names[0]]:16d}{liked['']:5d}{liked[names[1]]:10d}   "
            f"{won[0]:16d}{len(means) - sum(won):5d}{won[1]:10d}  {share(won[0], sum(won)):24s}"
            f"{f'{means.mean():+.2f} [{low:+.2f}, {high:+.2f}]':22s}  {told}"
        )
    return lines
