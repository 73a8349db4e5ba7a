# SPDX-License-Identifier: GPL-3.0-or-later
"""Describes how a take is played in a few words for the list: "calm, warm, active lips"; numpy
only."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .direction import AXES, DIRECTION_NAMES, MOOD_NAMES, MOODS, stored_vectors
from .types import SPEAKS

USUAL, AS_DIRECTED, NEARLY = "usual", "as directed", "close to the direction"
OTHER_RECORDING = "performs another recording"
RETAKE = "retake"  # in a take's provenance: the words that it says anew; all else is another take's
PLAYS = "plays"  # likewise, of one that was cut: start and end of what is left, s of what was made
# least deviation, in standard deviations between speakers, at which an axis is named
REMARKABLE = 0.75
# the same for how brows and head are carried: .2 of a channel, 4° of a nod, 5° of a turn, 3.5° of a
# tilt
REMARKABLY_CARRIED = 1.5
_SAME = 1e-3  # largest deviation of an axis that is none, since provenance is rounded
_MOOD = 0.1  # least strength at which a mood is named
# largest requested deviation of an axis at which a take is compared with usual takes
_NEAR_USUAL = 1.0
# axes that show a mood, and deviations at full strength that are needed
_MOODS_MOVE, _BY_MUCH = (("smile", "frown"), 1.0)
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
# The same for how a take carries brows and head throughout (`animation.traits.CARRIED`); left and
# right are the character's.
CARRIED_WORDS = {
    "height": ("low brows", "raised brows"),
    "nod": ("head up", "head down"),
    "turn": ("turned right", "turned left"),
    "tilt": ("tilted left", "tilted right"),
}
VOICE_WORDS, TENSE = ("calm", "lively"), "tense"
# least deviation of a voice that is named: of effort, or of the mean of effort, range of pitch and
# rate
_HEARD = 0.6
# one word for each of these: brows raised and still contradict
_PARTS = (("brows", "height", "frown"), ("head", "nod", "turn", "tilt"))
_PART_OF = {
    word: part[0] for part in _PARTS for name in part for word in (AXIS_WORDS | CARRIED_WORDS)[name]
}
_MAX_WORDS = 3  # words of a take
PLACES = ("early", "in the middle", "at the end")  # of a line without known words
_MOST_HITS = 3  # words of which a take says that it hits them
_SHARE = 3  # a word is on at most one in so many takes of a batch
# Axis → the measures (`animation.traits`) in which it shows: still eyes neither blink nor look away
# more than usual.
MEASURES = {axis.name: ("eyes", "gaze") if axis.name == "eyes" else (axis.name,) for axis in AXES}
_FROWN = DIRECTION_NAMES.index("frown")
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
_PART_OF |= dict.fromkeys(("hardly opens", "opens wide", "wide jaw"), "jaw")
_COMPARED = 3  # least takes of which one can stand out
_LEAD = 0.5  # of that amount, by which the next one is behind it; it is all of it beyond the middle
# Axes that a face shows only where it speaks; their measures are relative to what was requested.
_SHOWN_IN_SPEECH = ("energy", "jaw", "articulation", "width", "rounding", "tension")
# a quiet face that moves one corner more is hardly seen to
_SEEN_IN_SPEECH = (*_SHOWN_IN_SPEECH, "asymmetry")


def words(
    take_style: np.ndarray,
    requested: np.ndarray | None = None,
    most: int = _MAX_WORDS,
    speaks: bool = True,
    visible: Mapping[str, float] | None = None,
) -> str:
    """Remarkable traits of a direction vector, strongest first: at most `most` words, "usual" if
    there are none.

    take_style, requested: [DIRECTION_NAMES], or [T, DIRECTION_NAMES], whose mean is taken; of the
    take, and of what was requested; then the words describe the difference from it, since traits
    shared by all takes of a batch do not help to choose. speaks: False for a face that listens or
    is idle, whose speech is not described. visible: of the finished take (`animation.traits`): a
    trait is as strong as the take shows it, and left out if the take shows its opposite, and so is
    a mood that nobody requested.
    """
    said: list[str] = []
    for _, word in _traits(take_style, requested, speaks, visible or {}):
        if _may_be_said(word, said):
            said.append(word)
    return ", ".join(said[:most]) or USUAL


def _may_be_said(word: str, said: Sequence[str]) -> bool:
    """Whether no word about this part of the face is said yet."""
    return _PART_OF.get(word, word) not in {_PART_OF.get(other, other) for other in said}


def _traits(
    take_style: np.ndarray, requested: np.ndarray | None, speaks: bool, visible: Mapping[str, float]
) -> list[tuple[float, str]]:
    """(strength, word) of every remarkable trait, strongest first; arguments as of `words`."""
    deviations = _mean(take_style) - (0.0 if requested is None else _mean(requested))
    before = np.zeros(len(DIRECTION_NAMES)) if requested is None else _mean(requested)
    traits = []
    for axis, x in zip(AXES, deviations):
        if speaks or axis.name not in _SEEN_IN_SPEECH:
            x = _visible_deviation(axis.name, x, before, visible)
            if abs(x) >= REMARKABLE:
                traits.append((abs(x), AXIS_WORDS[axis.name][int(x > 0)]))
    for name, pair in CARRIED_WORDS.items():
        # A mood, and *Frown*, place brows and head of all takes that follow them.
        placed = before[len(AXES) :].max() >= _MOOD or (
            name == "height" and abs(before[_FROWN]) > _NEAR_USUAL
        )
        # the same brows
        said = (
            {word for _, word in traits} & set(AXIS_WORDS["frown"]) if name == "height" else set()
        )
        if not placed and not said and abs(x := visible.get(name, 0.0)) >= REMARKABLY_CARRIED:
            traits.append((abs(x), pair[int(x > 0)]))
    for name, x, was in zip(MOOD_NAMES, deviations[len(AXES) :], before[len(AXES) :]):
        if abs(x) >= _MOOD and (was >= _MOOD or not _contradicts(name, visible)):
            label = MOODS[name].label.lower()
            traits.append(
                (
                    _DEVIATIONS_PER_MOOD * abs(x),
                    label if was < _MOOD else f"more {label}" if x > 0 else f"less {label}",
                )
            )
    return sorted(traits, key=lambda entry: -entry[0])


def _visible_deviation(
    axis: str, deviation: float, requested: np.ndarray, visible: Mapping[str, float]
) -> float:
    """An axis's deviation `deviation` from a take's direction [DIRECTION_NAMES], as far as
    the take shows it: 0 if it shows the opposite.

    What shows in pauses too is compared with usual takes, and so measured only near the usual
    direction, since a mood moves the same parts of the face. Beyond, it is `deviation` itself, but
    for what is not seen beside usual takes: no face that weeps is called smiling. `deviation`
    itself where nothing is known.
    """
    side = np.sign(deviation)
    if axis == "frown" and side * visible.get("height", 0.0) > 0:
        return 0.0  # brows held low throughout are not open, nor do raised ones frown
    levels = [side * visible[name] for name in MEASURES[axis] if name in visible]
    level = 0.0 if axis in _SHOWN_IN_SPEECH else side * requested[DIRECTION_NAMES.index(axis)]
    if axis not in _SHOWN_IN_SPEECH and (
        requested[len(AXES) :].max() >= _MOOD or abs(level) > _NEAR_USUAL
    ):
        return deviation if min(levels, default=0.0) >= 0 else 0.0
    return side * max(0.0, min(levels, default=abs(deviation) + level) - level)


def _contradicts(mood: str, visible: Mapping[str, float]) -> bool:
    """Whether corners or brows are on the other side of usual than a mood, which was not requested,
    moves them: a take may add to both sides."""
    changes = MOODS[mood].changes
    return any(
        changes.get(name, 0.0) * visible.get(name, 0.0) < 0
        for name in _MOODS_MOVE
        if abs(changes.get(name, 0.0)) >= _BY_MUCH
    )


def measures_of(provenance: Mapping, of: str = "shown") -> dict[str, float]:
    """What a finished take shows of its direction, or what is "seen" of it, from its provenance; {}
    if that is not known, or damaged."""
    try:
        values = {str(name): float(value) for name, value in dict(provenance[of]).items()}
    except (KeyError, TypeError, ValueError):
        return {}
    return {name: value for name, value in values.items() if np.isfinite(value)}


def words_of_take(provenance: Mapping) -> str:
    """The words of a take from its provenance (`scene.takes.provenance.of_made`); "" if it was not
    directed, or its data are inconsistent.

    A take without remarkable traits that was not played exactly as directed is called nearly so.
    """
    return words_of_takes([provenance])[0]


def words_of_takes(provenances: Sequence[Mapping]) -> list[str]:
    """The words of takes of one batch, as of `words_of_take`, with those first that tell a take
    from the others; what a take chooses comes after the first. Where what is seen of them is known,
    these are words of SEEN alone.

    The first words of takes differ as far as their traits allow, since a narrow list shows no
    others. A word is on a third of them at most, those with the strongest trait: a trait of half of
    a batch does not help to choose.
    """
    asked_so = [_traits_of(provenance) for provenance in provenances]
    strengths = [
        {word: strength for strength, word in (traits if isinstance(traits, list) else [])}
        for traits in asked_so
    ]
    seen = stand_out([measures_of(provenance, "seen") for provenance in provenances])
    together = {
        word: sum(each.get(word, 0.0) for each in strengths)
        for word in {word for each in strengths for word in each}
    }
    others = max(1, len(provenances) - 1)
    ranked = []
    for take, each in enumerate(strengths):
        for word, strength in each.items():
            # above the mean of the others
            ranked.append((strength - (together[word] - strength) / others, take, word))
    ranked.sort(key=lambda entry: -entry[0])
    said: list[list[str]] = [[] for _ in provenances]
    used: Counter[str] = Counter()
    for words_each, takes_each in ((1, 1), (_MAX_WORDS, max(1, len(provenances) // _SHARE))):
        for _, take, word in ranked:
            if (
                len(said[take]) < words_each
                and used[word] < takes_each
                and _may_be_said(word, said[take])
            ):
                said[take].append(word)
                used[word] += 1
    said = said if seen is None else seen
    choices = [choice_of_take(about) for about in provenances]
    listed = [
        traits
        if isinstance(traits, str)
        else [*some[:1], *_words_of_choice(choice), *some[1:]][:_MAX_WORDS]
        for traits, some, choice in zip(asked_so, said, choices)
    ]
    result = []
    for parts, some, choice in zip(listed, said, choices):
        if isinstance(parts, str):
            result.append(", ".join([*some, parts] if parts == AS_DIRECTED else [parts]))
            continue
        alike = [choices[other] for other, same in enumerate(listed) if same == parts]
        differs = _words_that_differ(choice, alike) if len(alike) > 1 else []
        result.append(", ".join([*parts[:1], *differs, *parts[1:]][:_MAX_WORDS]) or NEARLY)
    return result


def stand_out(takes: Sequence[Mapping[str, float]]) -> list[list[str]] | None:
    """Of each take the words of SEEN for which it is the one, the most obvious first; None if what
    is seen of too few is known.

    takes: as of `animation.traits.seen`.
    """
    if sum(map(bool, takes)) < _COMPARED:
        return None
    found = []
    for name, (amount, pair) in SEEN.items():
        known = sorted((take[name], place) for place, take in enumerate(takes) if name in take)
        for ends, word in zip((known[:2], known[:-3:-1]), pair if len(known) >= _COMPARED else ()):
            (value, place), (beside, _) = ends
            lead = abs(value - beside) / amount
            if word and lead >= _LEAD and abs(value - known[len(known) // 2][0]) >= amount:
                found.append((lead, place, word))
    said: list[list[str]] = [[] for _ in takes]
    for _, place, word in sorted(found, reverse=True):
        if len(said[place]) < _MAX_WORDS and _may_be_said(word, said[place]):
            said[place].append(word)
    return said


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


def _plays(provenance: Mapping) -> tuple[float, float]:
    """The seconds of a take as it was made that it still plays: all where nothing was cut."""
    try:
        begin, end = (float(seconds) for seconds in provenance[PLAYS])
        return begin, end
    except (KeyError, TypeError, ValueError):
        return 0.0, math.inf


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


def choice_of_take(provenance: Mapping) -> TakeChoice:
    """The choice of a take (`planning.choice`), from its provenance; an empty one if that is not
    known, or damaged. The second of a word is its middle, of a pause its start."""
    try:
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
    except (LookupError, TypeError, ValueError):
        return TakeChoice()


def _place(second: float, choice: Mapping) -> str:
    """Where a line is at a second, in words; where its length is not known, the second."""
    seconds = float(choice.get("seconds", 0.0))
    return PLACES[max(0, min(2, int(3 * second / seconds)))] if seconds > 0 else f"{second:.1f} s"


def _words_of_choice(choice: TakeChoice) -> list[str]:
    """Which words a take hits, and what it does in a pause or where it looks away."""
    hits = list(dict.fromkeys(word for _, word in choice.hits))
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


def words_of_request(provenance: Mapping) -> str:
    """The direction of a take, in words; "" for nothing special, or where it is not known.

    For a take that follows its voice also *as heard*, and how the voice sounds.
    """
    try:
        asked = provenance["original" if "original" in provenance else "direction"]
        said = words(stored_vectors(provenance, asked))
    except (KeyError, TypeError, ValueError):
        return ""
    heard = [f"as heard ({word_of_voice(provenance)})"] if "as_heard" in provenance else []
    return ", ".join(heard + [said] * (said != USUAL))


def word_of_voice(provenance: Mapping) -> str:
    """How the voice of a take sounds, a word of VOICE_WORDS or USUAL; "" where that is not known.

    It says how lively the voice is and names no emotion: anger and joy are both lively. A voice
    that is raised and moves little is tense.
    """
    try:
        effort, pitch, rate = (float(x) for x in provenance["voice_sounds"])
    except (KeyError, TypeError, ValueError):
        return ""
    liveliness = (effort + pitch + rate) / 3
    if effort >= _HEARD and pitch <= -_HEARD / 2:
        return TENSE
    return USUAL if not abs(liveliness) >= _HEARD else VOICE_WORDS[int(liveliness > 0)]


def _traits_of(provenance: Mapping) -> list[tuple[float, str]] | str:
    """The traits of a take from its provenance, or words in their place: what it is a retake of,
    AS_DIRECTED, OTHER_RECORDING, "" if not directed or its data are damaged."""
    if RETAKE in provenance:
        return f"retake of {provenance[RETAKE]}"
    try:
        if provenance["as_asked"]:  # its mouth alone, where it hits what another take hits
            if "moved" in provenance:
                return [] if "choice" in provenance else OTHER_RECORDING
            return AS_DIRECTED
        take_style = stored_vectors(provenance, provenance["reading"])
        asked = provenance["requested" if "requested" in provenance else "direction"]
        requested = stored_vectors(provenance, asked)
        if not (
            np.isfinite(take_style).all()
            and np.isfinite(requested).all()
            and len(take_style)
            and len(requested)
        ):
            return ""
    except (KeyError, TypeError, ValueError):
        return ""
    traits = _traits(
        take_style, requested, provenance.get("role", SPEAKS) == SPEAKS, measures_of(provenance)
    )
    return (
        AS_DIRECTED
        if not traits and np.allclose(_mean(take_style), _mean(requested), atol=_SAME)
        else traits
    )


def _mean(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector, float).reshape(-1, len(DIRECTION_NAMES)).mean(0)
