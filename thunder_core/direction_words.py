# SPDX-License-Identifier: GPL-3.0-or-later
"""Describes a direction in a few words, and how a take is played for the list: "wide jaw, hits
battle"; numpy only."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .direction import AXES, DIRECTION_NAMES, MOOD_NAMES, MOODS, stored_vectors
from .records import if_readable

USUAL, AS_DIRECTED, NEARLY = "usual", "as directed", "close to the direction"
OTHER_RECORDING = "performs another recording"
RETAKE = "retake"  # in a take's provenance: the words that it says anew; all else is another take's
PLAYS = "plays"  # likewise, of one that was cut: start and end of what is left, s of what was made
# least deviation, in standard deviations between speakers, at which an axis is named
REMARKABLE = 0.75
_SAME = 1e-3  # largest deviation of an axis that is none, since provenance is rounded
_MOOD = 0.1  # least strength at which a mood is named
# deviations of an axis that are as remarkable as a mood at full strength
_DEVIATIONS_PER_MOOD = 3.0
# Words for less and more than usual of each axis. A narrow list shows only the beginning of a word,
# so all begin differently.
AXIS_WORDS = {
    "energy": ("calm", "lively"),
    "jaw": ("active lips", "wide jaw"),
    "articulation": ("mumbling", "exact"),
    "smile": ("serious", "smiling"),
    "brows": ("still brows", "lively brows"),
    "head": ("still head", "lively head"),
    "eyes": ("still eyes", "busy eyes"),
    "width": ("narrow mouth", "wide mouth"),
    "rounding": ("unrounded", "round lips"),
    "asymmetry": ("right-sided", "left-sided"),
    "tension": ("slack lips", "tight lips"),
    "frown": ("relaxed brows", "frowning"),
}
VOICE_WORDS, TENSE = ("calm", "lively"), "tense"
# least deviation of a voice that is named: of effort, or of the mean of effort, range of pitch and
# rate
_HEARD = 0.6
# Axes, and what is seen, of one part of the face, of which one word is said.
_PART_OF = {"frown": "brows", "turn": "head", "tilt": "head", "opening": "jaw"}
_MAX_WORDS = 3  # words of a take
PLACES = ("early", "in the middle", "at the end")  # of a line without known words
_MOST_HITS = 3  # words of which a take says that it hits them
# Of what is seen of takes of a line (`animation.traits.seen`): the amount by which one stands out,
# mm, degrees and counts a minute, and its word where it is the least or the most of all; left and
# right are the character's. Each word was found in six of ten views at least (`research blind E`);
# “serious”, “wide mouth”, low and raised brows, a head up or down, and where eyes look were not.
SEEN = {
    "opening": (1.0, ("hardly opens", "opens wide")),
    "jaw": (1.5, ("", "wide jaw")),
    "smile": (1.0, ("", "smiling")),
    "brows": (1.3, ("", "lively brows")),
    "head": (1.5, ("still head", "lively head")),
    "turn": (5.0, ("turned right", "turned left")),
    "tilt": (3.0, ("tilted left", "tilted right")),
    "blinks": (8.0, ("rarely blinks", "blinks often")),
}
_LEAST_BLINKS = 2  # by which a take blinks more or less: in a short line one is many a minute
_COMPARED = 3  # least takes of which one can stand out
_LEAD = 0.5  # of that amount, by which the next one is behind it; it is all of it beyond the middle


def words(direction: np.ndarray, most: int = _MAX_WORDS) -> str:
    """Remarkable traits of a direction vector [DIRECTION_NAMES], or of the mean of [T,
    DIRECTION_NAMES], strongest first: at most `most` words, "usual" if there are none."""
    values = _mean(direction)
    traits = [
        (abs(x), axis.name, AXIS_WORDS[axis.name][int(x > 0)])
        for axis, x in zip(AXES, values)
        if abs(x) >= REMARKABLE
    ]
    traits += [
        (_DEVIATIONS_PER_MOOD * abs(x), name, MOODS[name].label.lower())
        for name, x in zip(MOOD_NAMES, values[len(AXES) :])
        if abs(x) >= _MOOD
    ]
    ranked = sorted(traits, key=lambda trait: -trait[0])
    return ", ".join(_one_of_each_part(trait[1:] for trait in ranked)[:most]) or USUAL


def _one_of_each_part(traits: Iterable[tuple[str, str]]) -> list[str]:
    """The words of (name, word) of traits, the first of each part of the face."""
    said: dict[str, str] = {}
    for name, word in traits:
        said.setdefault(_PART_OF.get(name, name), word)
    return list(said.values())


@if_readable({})
def _seen_of(provenance: Mapping) -> dict[str, float]:
    """What is seen of a finished take (`animation.traits.seen`), from its provenance; {} if that is
    not known, or damaged."""
    values = {str(name): float(value) for name, value in dict(provenance["seen"]).items()}
    return {name: value for name, value in values.items() if np.isfinite(value)}


def words_of_take(provenance: Mapping) -> str:
    """The words of a take from its provenance (`scene.takes.provenance.of_made`); "" if it was not
    directed, or its data are inconsistent.

    A take of which there is nothing to say is close to the direction.
    """
    return words_of_takes([provenance])[0]


def words_of_takes(provenances: Sequence[Mapping]) -> list[str]:
    """The words of takes of one batch, as of `words_of_take`: what is seen to be the most or the
    least of them, then what a take chooses."""
    choices = [choice_of_take(about) for about in provenances]
    listed: list[list[str] | str] = []
    seconds = max(map(_seconds_of, provenances), default=0.0)
    seen = stand_out([_seen_of(about) for about in provenances], seconds or math.inf)
    ways = [_played_as(about) for about in provenances]
    directed = [choice for choice, how in zip(choices, ways) if how is None]
    for some, choice, how in zip(seen, choices, ways):
        if how is None:
            chooses = _words_of_choice(choice, directed)
            listed.append([*some, *chooses][:_MAX_WORDS])
        else:
            listed.append(", ".join([*some, how] if how == AS_DIRECTED else [how]))
    result = []
    for parts, choice in zip(listed, choices):
        if isinstance(parts, str):
            result.append(parts)
            continue
        alike = [choices[other] for other, same in enumerate(listed) if same == parts]
        differs = _words_that_differ(choice, alike) if len(alike) > 1 else []
        result.append(", ".join([*parts[:1], *differs, *parts[1:]][:_MAX_WORDS]) or NEARLY)
    return result


def stand_out(takes: Sequence[Mapping[str, float]], seconds: float = math.inf) -> list[list[str]]:
    """Of each take the words of SEEN for which it is the one, the most obvious first; none where
    what is seen of too few is known.

    takes: as of `animation.traits.seen`.  seconds: of their line.
    """
    found = []
    for name, (amount, pair) in SEEN.items():
        least = _LEAD * amount
        if name == "blinks":
            # counts a minute are rounded
            least = max(least, 60.0 * _LEAST_BLINKS / seconds - 0.1)
        known = sorted((take[name], place) for place, take in enumerate(takes) if name in take)
        for ends, word in zip((known[:2], known[:-3:-1]), pair if len(known) >= _COMPARED else ()):
            (value, place), (beside, _) = ends
            lead = abs(value - beside) / amount
            middle = known[len(known) // 2][0]
            if word and abs(value - beside) >= least and abs(value - middle) >= max(amount, least):
                found.append((lead, place, name, word))
    found.sort(reverse=True)
    return [
        _one_of_each_part((name, word) for _, at, name, word in found if at == place)[:_MAX_WORDS]
        for place in range(len(takes))
    ]


class TakeChoice(NamedTuple):
    """How a take reads its line, as (second, what) of everything: words that it hits, those during
    which its gaze is elsewhere, and what it does in pauses; and the idea of each phrase's
    gestures."""

    hits: tuple[tuple[float, str], ...] = ()
    aside: tuple[tuple[float, str], ...] = ()
    pauses: tuple[tuple[float, str], ...] = ()
    ideas: tuple[str, ...] = ()


def of_part(provenance: Mapping, offset: float, seconds: float) -> dict:
    """The provenance of a take that plays from `offset` seconds on alone, before its beginning if
    negative, and for so many: all of its choice stays known, for when more of it plays again."""
    begin = _plays(provenance)[0] + offset
    return {**provenance, PLAYS: [begin, begin + seconds]}


@if_readable((0.0, math.inf))
def _plays(provenance: Mapping) -> tuple[float, float]:
    """The seconds of a take as it was made that it still plays: all where nothing was cut."""
    begin, end = (float(seconds) for seconds in provenance[PLAYS])
    return begin, end


def played_choice(provenance: Mapping) -> dict:
    """The record of a take's choice (`planning.choice`) of what it plays, in seconds from its
    beginning. Raises LookupError, TypeError, ValueError where it is not known, or damaged."""
    choice = provenance["choice"]  # a text where it is stored in a .blend
    choice = json.loads(choice) if isinstance(choice, str) else dict(choice)
    if PLAYS not in provenance:
        return choice
    begin, end = _plays(provenance)

    def rows(name: str) -> list:
        """Of words those whose middle it plays, of pauses whose start."""
        return [
            [*(float(second) - begin for second in seconds), what]
            for *seconds, what in choice[name]
            if begin <= (float(seconds[0]) + float(seconds[-1])) / 2 < end
        ]

    plays = {} if math.isinf(end) else {"seconds": end - begin}
    return choice | {name: rows(name) for name in ("hits", "aside", "pauses")} | plays


@if_readable(0.0)
def _seconds_of(provenance: Mapping) -> float:
    """The seconds of a take's line; 0 where they are not known."""
    choice = provenance["choice"]
    seconds = float((json.loads(choice) if isinstance(choice, str) else choice)["seconds"])
    return seconds if seconds > 0 and math.isfinite(seconds) else 0.0


@if_readable(TakeChoice())
def choice_of_take(provenance: Mapping) -> TakeChoice:
    """The choice of a take (`planning.choice`), from its provenance; an empty one if that is not
    known, or damaged. The second of a word is its middle, of a pause its start."""
    choice = played_choice(provenance)
    hits, aside = (
        tuple(
            ((float(start) + float(end)) / 2, str(text) or _place(float(start), choice))
            for start, end, text in choice[name]
        )
        for name in ("hits", "aside")
    )
    pauses = tuple((float(start), str(act)) for start, act in choice["pauses"])
    return TakeChoice(hits, aside, pauses, tuple(map(str, choice.get("ideas", ()))))


def _place(second: float, choice: Mapping) -> str:
    """Where a line is at a second, in words; where its length is not known, the second."""
    seconds = float(choice.get("seconds", 0.0))
    return PLACES[max(0, min(2, int(3 * second / seconds)))] if seconds > 0 else f"{second:.1f} s"


def _hits_of(choice: TakeChoice) -> list[str]:
    """The words that a take hits, each once."""
    return list(dict.fromkeys(word for _, word in choice.hits))


def _words_of_choice(choice: TakeChoice, directed: Sequence[TakeChoice]) -> list[str]:
    """Which words a take hits, and what it does in a pause or where it looks away. Where the words
    of the line are not known, the places are said unless most of the directed takes hit there, or
    one alone hits everywhere."""
    hits = _hits_of(choice)
    if set(hits) <= set(PLACES):
        alike = sum(_hits_of(other) == hits for other in directed)
        tells = 2 * alike <= len(directed) if len(directed) > 1 else set(hits) < set(PLACES)
        hits = hits if tells else []
    one, two, three, *_ = *hits, "", "", ""
    # whole templates, since languages join words each in its way
    said = {
        1: [f"hits {one}"],
        2: [f"hits {one} and {two}"],
        3: [f"hits {one} and {two} and {three}"],
        4: [f"hits {one} and {two} and {three} …"],
    }.get(min(len(hits), _MOST_HITS + 1), [])
    acts = Counter(act for _, act in choice.pauses)
    for act, _ in acts.most_common(1):
        said.append(f"{act} in the pause" if acts.total() == 1 else f"{act} in a pause")
    return said + [_looks_away(word) for _, word in choice.aside if not acts]


def _looks_away(word: str) -> str:
    return f"looks away {word}" if word in PLACES else f"looks away on {word}"


def _words_that_differ(choice: TakeChoice, alike: Sequence[TakeChoice]) -> list[str]:
    """One thing that a take does and fewest others of those of which the list says the same, itself
    among them; nothing if all do everything."""
    does, *others = (
        [
            *(f"hits {word}" for _, word in each.hits),
            *(_looks_away(word) for _, word in each.aside),
            *(f"{idea} in phrase {number}" for number, idea in enumerate(each.ideas, 1)),
            *(f"{act} at {start:.1f} s" for start, act in each.pauses),
        ]
        for each in (choice, *alike)
    )
    shared = {what: sum(what in other for other in others) for what in does}
    return [what for what in sorted(does, key=shared.__getitem__) if shared[what] < len(alike)][:1]


@if_readable("")
def words_of_request(provenance: Mapping) -> str:
    """The direction of a take, in words; "" for nothing special, or where it is not known.

    For a take that follows its voice also *as heard*, and how the voice sounds.
    """
    asked = provenance["original" if "original" in provenance else "direction"]
    said = words(stored_vectors(provenance, asked))
    heard = [f"as heard ({word_of_voice(provenance)})"] if "as_heard" in provenance else []
    return ", ".join(heard + [said] * (said != USUAL))


@if_readable("")
def word_of_voice(provenance: Mapping) -> str:
    """How the voice of a take sounds, a word of VOICE_WORDS or USUAL; "" where that is not known.

    It says how lively the voice is and names no emotion: anger and joy are both lively. A voice
    that is raised and moves little is tense.
    """
    effort, pitch, rate = (float(x) for x in provenance["voice_sounds"])
    liveliness = (effort + pitch + rate) / 3
    if effort >= _HEARD and pitch <= -_HEARD / 2:
        return TENSE
    return USUAL if not abs(liveliness) >= _HEARD else VOICE_WORDS[int(liveliness > 0)]


@if_readable("")
def _played_as(provenance: Mapping) -> str | None:
    """What stands in place of a take's words, from its provenance: what it is a retake of,
    AS_DIRECTED, OTHER_RECORDING, "" if it was not directed or its data are damaged; None for
    nothing."""
    if RETAKE in provenance:
        return f"retake of {provenance[RETAKE]}"
    if provenance["as_asked"]:  # its mouth alone, where it hits what another take hits
        if "moved" in provenance:
            return None if "choice" in provenance else OTHER_RECORDING
        return AS_DIRECTED
    asked = provenance["requested" if "requested" in provenance else "direction"]
    played, requested = (
        stored_vectors(provenance, each) for each in (provenance["reading"], asked)
    )
    if not all(len(each) and np.isfinite(each).all() for each in (played, requested)):
        return ""
    return AS_DIRECTED if np.allclose(_mean(played), _mean(requested), atol=_SAME) else None


def _mean(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector, float).reshape(-1, len(DIRECTION_NAMES)).mean(0)
