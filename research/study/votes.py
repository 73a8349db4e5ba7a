# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluates the votes of a study: for each pair of systems, the preference and its confidence."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from research.study.pairs import key_of, QUESTIONS, StudyError, VOTES
from research.study.server import read_votes

SURE = 0.95  # confidence level of the intervals
DRAWS = 2000  # bootstrap resamples
MOST_NAMED = 10  # lines without a vote that are named


@dataclass(frozen=True)
class Vote:
    """A rater's answers on a pair, towards `systems`[1]: −2 … 2 for each question. clip: its
    number. check: whether the second system is the first one with the motion of another clip."""

    rater: str
    systems: tuple[str, str]
    clip: int
    answers: dict[str, int]
    check: bool = False


@dataclass(frozen=True)
class Preference:
    """Of two systems on a question: how many votes are for the first, equal, and for the second;
    the second's share of those that are not equal, with its binomial interval and the probability
    of a share at least so far from a half by chance; and the mean answer −2 … 2, positive for the
    second, with its bootstrap interval over raters and clips."""

    first: int
    equal: int
    second: int
    share: float
    share_interval: tuple[float, float]
    chance: float
    mean: float
    mean_interval: tuple[float, float]


def collect(folder: Path, skipped: list[str] | None = None) -> list[Vote]:
    """The last vote of every rater on every pair, its sides assigned to the systems. Raises
    StudyError.

    skipped: gets the names of files and lines that hold no vote."""
    key = key_of(folder)
    names = [system["name"] for system in key["systems"]]
    votes = []
    for path in sorted((folder / VOTES).glob("*.jsonl")):
        for name, answers in {
            vote["pair"]: vote["answers"] for vote in read_votes(path, skipped)
        }.items():
            pair = key["pairs"].get(name)
            if pair is None:
                continue
            left, right = pair["systems"]
            # A check belongs to the system shown unmodified: its other side has no name, and is
            # second.
            swapped = left == "" if pair["check"] else names.index(left) > names.index(right)
            systems = (right, left) if swapped else (left, right)
            votes.append(
                Vote(
                    path.stem,
                    systems,
                    pair["clip"],
                    {q: -value if swapped else value for q, value in answers.items()},
                    pair["check"],
                )
            )
    return votes


def preference(votes: list[Vote], question: str, seed: int = 1) -> Preference:
    """Preference between two systems on a question; the share is NaN if all votes are equal."""
    from scipy.stats import binomtest

    values = np.array([vote.answers[question] for vote in votes])
    first, second = int((values < 0).sum()), int((values > 0).sum())
    share, interval, chance = float("nan"), (0.0, 1.0), 1.0
    if first + second:
        test = binomtest(second, first + second)
        bounds = test.proportion_ci(SURE, method="wilson")
        share = second / (first + second)
        interval = (float(bounds.low), float(bounds.high))
        chance = float(test.pvalue)
    bounds = bootstrap([vote.rater for vote in votes], [vote.clip for vote in votes], values, seed)
    return Preference(
        first,
        len(values) - first - second,
        second,
        share,
        interval,
        chance,
        float(values.mean()),
        bounds,
    )


def bootstrap(
    raters: list[str], clips: list[int], values: np.ndarray, seed: int = 1
) -> tuple[float, float]:
    """Interval of the mean of values [N], each by a rater on a clip: raters and clips are drawn
    again, with replacement, and a value counts as often as its rater times as often as its clip
    (Owen 2007). It is wider than the binomial one if raters agree more with themselves than with
    each other."""
    rng = np.random.default_rng(seed)
    of_rater, of_clip = (
        np.unique(np.asarray(each), return_inverse=True)[1] for each in (raters, clips)
    )
    means = []
    for _ in range(DRAWS):
        weights = np.ones(len(values))
        for number in (of_rater, of_clip):
            count = number.max() + 1
            if count > 1:
                weights = (
                    weights * np.bincount(rng.integers(0, count, count), minlength=count)[number]
                )
        if weights.sum():
            means.append(float(weights @ values / weights.sum()))
    low, high = np.quantile(means, [(1 - SURE) / 2, (1 + SURE) / 2])
    return float(low), float(high)


def attention(votes: list[Vote]) -> dict[str, tuple[int, int]]:
    """Of every rater who voted on checks: in how many the lips of the right motion were preferred,
    and of how many."""
    checks: dict[str, list[bool]] = {}
    for vote in votes:
        if vote.check:
            checks.setdefault(vote.rater, []).append(vote.answers["lip-sync"] < 0)
    return {rater: (sum(counts), len(counts)) for rater, counts in checks.items()}


def report(folder: Path, attentive: float = 0.0) -> Iterator[str]:
    """Lines of the report on the votes in a study's folder. Raises StudyError if there are none.

    attentive: the share of checks that a rater must have seen to be counted."""
    skipped: list[str] = []
    votes = collect(folder, skipped)
    counts = attention(votes)
    left_out = {rater for rater, (right, count) in counts.items() if right < attentive * count}
    compared = [vote for vote in votes if not vote.check and vote.rater not in left_out]
    if not compared:
        raise StudyError(
            f"“{folder}” holds no votes that count: collect some with `python -m research study "
            f"serve {folder}`"
        )
    key = key_of(folder)
    raters = {vote.rater for vote in compared}
    yield f"{len(compared)} votes of {len(raters)} raters on {len(key['clips'])} clips"
    if skipped:
        yield f"no votes, and left out: {'; '.join(skipped[:MOST_NAMED])}{' …' if len(skipped) > MOST_NAMED else ''}"
    if counts:
        right, count = (sum(each) for each in zip(*counts.values()))
        yield f"checks (another clip's motion): the right lips were preferred in {right} of {count}"
    if left_out:
        yield f"left out, who saw fewer than {attentive:.0%} of the checks: {len(left_out)}"
    yield (
        f"share: of the votes that are not equal, with its {SURE:.0%} binomial interval (Wilson), "
        f"as if all votes were independent; "
        "p: exact, against a half"
    )
    yield f"mean: −2 … 2, positive for the second system, with its {SURE:.0%} bootstrap interval over raters and clips"
    for first, second in itertools.combinations([system["name"] for system in key["systems"]], 2):
        both = [vote for vote in compared if vote.systems == (first, second)]
        if not both:
            continue
        yield ""
        yield f"{first} (first) or {second} (second)"
        yield f"{'':14s}{'first':>7s}{'equal':>7s}{'second':>7s}   {'share of the second':24s}{'p':>7s}   mean"
        for question in QUESTIONS:
            p = preference(both, question)
            share = (
                "all equal"
                if np.isnan(p.share)
                else f"{p.share:.2f} [{p.share_interval[0]:.2f}, {p.share_interval[1]:.2f}]"
            )
            mean = f"{p.mean:+.2f} [{p.mean_interval[0]:+.2f}, {p.mean_interval[1]:+.2f}]"
            yield f"{question:14s}{p.first:7d}{p.equal:7d}{p.second:7d}   {share:24s}{p.chance:7.3f}   {mean}"
