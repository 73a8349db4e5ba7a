# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether lips round for the oo and w of a text where people's do.

`python -m research rounding --data DATA`, in the engine's environment; DATA has folders of English
clips with landmarks and aligned phones (`lips/` and others), whose words were recognised, not given.
They are followed as a transcript is (`thunder_core/engine/speech/transcript.py`), and rounding is
carried ahead as takes hear it. A sound is missed where w, oo and o together stay less than half
probable. People round one whose first three frames are more than a millimetre narrower than their
clip's mean: half way between what is heard as oo and ee. Unstressed words (to, you) often have
no oo to see. Of what is round too often: rows of 20 ms with no round sound within 100 ms. Nothing is
fitted to clips of `check`. To stdout and research/results/rounding.txt.
"""

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

import numpy as np

from research.faces.lip_clips import fit_length, LipClip, Phone, read_clips, spoken_phones
from research.faces.puppet import show_mouth
from research.harness import add_shared, report, results_file, usual_direction
from thunder_core import spoken
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import sound_of
from thunder_core.engine.speech.cues import carry_rounding
from thunder_core.engine.speech.encoder import softmax, SpeechEncoder
from thunder_core.engine.speech.transcript import follow, RATE
from thunder_core.engine.tracking.mouth import tracked_mouth
from thunder_core.face.moving.mouth_shape import WIDTH
from thunder_core.request import Request
from thunder_core.types import FPS, RATE as SOUND_RATE

ROUND_SOUNDS = "UW UH W OW OY AO AW".split()
NARROWER_MM = 1.0
_NOT_SAID = re.compile(r"[<\[+].*|\(\d+\)")  # pauses and noises, and numbers of pronunciations
_FRAMES, _AROUND, _NEAR = 3, 2, 5  # of a sound's start; rows around a sound; rows near to one
_AT = {"width at the start of oo": 0, "two frames before": -2}  # frames about it


class Said(NamedTuple):
    """A sound of a clip: its phone; most rounding that is heard, and with the text, 0 … 1; people's
    width, mm about the clip's mean, NaN where it is not seen; whether its word is found."""

    phone: str
    heard: float
    followed: float
    width: float
    is_found: bool


def text_of(phones: Sequence[Phone]) -> str:
    """The words of a clip's phones."""
    words = (_NOT_SAID.sub("", word) for word, _ in groupby(phones, lambda each: each.word))
    return " ".join(filter(None, words)).lower()


def read_clip(
    encoder: SpeechEncoder, clip: LipClip, phones: Sequence[Phone]
) -> tuple[list[Said], np.ndarray, bool]:
    """The sounds of a clip, whether each row is round far from any round sound, and whether its
    text was followed."""
    logits = encoder.analyse(clip.samples)[1]
    followed, words = follow(logits, text_of(phones), "en")
    heard, said = (
        belief[:, spoken.ROUNDED].sum(1)
        for belief in (softmax(logits), carry_rounding(softmax(logits if followed is None else followed)))
    )  # fmt: skip
    width = clip.shown[:, WIDTH] - np.nanmean(clip.shown[:, WIDTH])
    far, result = np.ones(len(said), bool), []
    for phone in phones:
        start, end = int(phone.start * RATE), int(np.ceil(phone.end * RATE))
        if phone.symbol in ROUND_SOUNDS:
            far[max(0, start - _NEAR) : end + _NEAR + 1] = False
        rows = slice(max(0, start - _AROUND), end + _AROUND)
        first = round(phone.start * FPS)
        seen = width[first : first + _FRAMES]
        middle = (phone.start + phone.end) / 2
        word = min(words, key=lambda each: abs(each.start + each.end - 2 * middle))
        result.append(
            Said(
                phone.symbol, float(heard[rows].max(initial=0)), float(said[rows].max(initial=0)),
                float(seen[np.isfinite(seen)].mean()) if np.isfinite(seen).any() else np.nan,
                followed is not None and word.is_found,
            )
        )  # fmt: skip
    return result, far & (said > 0.5), followed is not None


def widths_at_oo(engine: Engine, clip: LipClip, phones: Sequence[Phone]) -> np.ndarray | None:
    """Mean width at the places of _AT, mm about the clip's mean, [3, 2]: of the person, of a take,
    and of one with the text. None where no oo is seen all around, or widths are not reliable."""
    known = np.zeros(clip.frames, bool)
    known[clip.held[2]] = True
    starts = np.array([round(p.start * FPS) for p in phones if p.symbol == "UW"], int)
    around = starts[:, None] + np.arange(-2, 3)
    inside = (around >= 0).all(1) & (around < clip.frames).all(1)
    starts = starts[inside][known[around[inside]].all(1)]
    if clip.width is None or not len(starts):
        return None
    widths = [clip.mouth[:, WIDTH]]
    for text in ("", text_of(phones)):
        direction = replace(usual_direction(), text=text, language="en")
        sound = sound_of(clip.samples, SOUND_RATE, clip.name)
        (take,) = engine.generate(sound, Request(1, 1, direction=direction))
        seen = tracked_mouth().straighten(show_mouth(take.motion, 1))
        widths.append(fit_length(seen[:, WIDTH], clip.frames))
    return np.array(
        [[width[starts + at].mean() - width[known].mean() for at in _AT.values()] for width in widths]
    )  # fmt: skip


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "weights", "results")


def run(args: Namespace) -> None:
    """Follow the words of all clips, and write the table."""
    engine, lines = Engine.load(args.weights, device="cpu"), []
    encoder = engine.thunder.encoder
    for part in ("fit", "check"):
        clips = [c for c in read_clips(args.data, part) if c.is_tracked and c.language == "en"]
        aligned = {folder: spoken_phones(folder) for folder in {clip.folder for clip in clips}}
        spoken_clips = [
            (clip, phones) for clip in clips if (phones := aligned[clip.folder].get(clip.name))
        ]
        of_clips = [read_clip(encoder, *each) for each in spoken_clips]
        said = [each for sounds, *_ in of_clips for each in sounds]
        far = np.concatenate([far for _, far, _ in of_clips]) if of_clips else np.zeros(1)
        lines += [
            f"{part}: {len(of_clips)} clips, {sum(not each for *_, each in of_clips)} of whose texts "
            f"the voice does not seem to say",
            *_of_sounds([each for each in said if each.phone == "UW"], "oo"),
            *_of_sounds([each for each in said if each.phone == "W"], "w"),
            _width("ee", [each for each in said if each.phone == "IY"]),
            f"{'rows round far from a round sound':42s}{far.mean():10.2%}",
            *_of_takes([widths_at_oo(engine, clip, phones) for clip, phones in spoken_clips]),
            "",
        ]
    report(results_file(args.results, "rounding.txt", True), lines[:-1])


def _of_takes(found: Sequence[np.ndarray | None]) -> list[str]:
    """The lines of what `widths_at_oo` gives of clips, and the deviations of these means."""
    widths = np.array([each for each in found if each is not None])
    if not len(widths):
        return []
    means, errors = widths.mean(0).T, (widths.std(0) / np.sqrt(len(widths))).T
    heading = f"{f'{len(widths)} clips, mm':42s}"
    return [
        heading + "".join(f"{name:>16s}" for name in ("people", "takes", "with the text")),
        *(
            f"{name:42s}" + "".join(f"{f'{mean:+.2f} ± {error:.2f}':>16s}" for mean, error in zip(*of))
            for name, *of in zip(_AT, means, errors)
        ),
    ]  # fmt: skip


def _of_sounds(sounds: Sequence[Said], name: str) -> list[str]:
    missed = [each for each in sounds if each.followed < 0.5]

    def row(what: str, is_counted: Callable[[Said], bool]) -> str:
        counted = [each for each in sounds if is_counted(each)]
        count = sum(each.followed < 0.5 for each in counted)
        return f"{name + what:42s}{count:4d} of {len(counted):3d} missed"

    return [
        row("", lambda each: True),
        row(" that people round", lambda each: each.width < -NARROWER_MM),
        row(" that people round, of found words",
            lambda each: each.width < -NARROWER_MM and each.is_found),
        row(" that people do not round", lambda each: each.width >= -NARROWER_MM),
        _width(f"{name}, heard", [each for each in sounds if each.heard >= 0.5]),
        _width(f"{name}, missed", missed),
    ]  # fmt: skip


def _width(name: str, sounds: Sequence[Said]) -> str:
    """People's mean width on some sounds, and the deviation of that mean."""
    values = np.array([each.width for each in sounds if np.isfinite(each.width)])
    if not len(values):
        return f"people's width, {name}: not seen"
    error = values.std() / np.sqrt(len(values))
    return f"{f'people’s width, {name}, mm':42s}{values.mean():+10.2f} ± {error:.2f}"
