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
from itertools import groupby
from typing import NamedTuple

import numpy as np

from research.faces.lip_clips import LipClip, Phone, read_clips, spoken_phones
from research.harness import add_shared, report, results_file
from thunder_core import spoken
from thunder_core.engine.speech.cues import carry_rounding
from thunder_core.engine.speech.encoder import softmax, SpeechEncoder
from thunder_core.engine.speech.transcript import follow, RATE
from thunder_core.face.moving.mouth_shape import WIDTH
from thunder_core.types import FPS
from thunder_core.weight_files import SHIPPED

ROUND_SOUNDS = "UW UH W OW OY AO AW".split()
NARROWER_MM = 1.0
_NOT_SAID = re.compile(r"[<\[+].*|\(\d+\)")  # pauses and noises, and numbers of pronunciations
_FRAMES, _AROUND, _NEAR = 3, 2, 5  # of a sound's start; rows around a sound; rows near to one


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


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "results")


def run(args: Namespace) -> None:
    """Follow the words of all clips, and write the table."""
    encoder, lines = SpeechEncoder.load(SHIPPED), []
    for part in ("fit", "check"):
        clips = [c for c in read_clips(args.data, part) if c.is_tracked and c.language == "en"]
        aligned = {folder: spoken_phones(folder) for folder in {clip.folder for clip in clips}}
        of_clips = [
            read_clip(encoder, clip, phones)
            for clip in clips
            if (phones := aligned[clip.folder].get(clip.name))
        ]
        said = [each for sounds, *_ in of_clips for each in sounds]
        far = np.concatenate([far for _, far, _ in of_clips]) if of_clips else np.zeros(1)
        lines += [
            f"{part}: {len(of_clips)} clips, {sum(not each for *_, each in of_clips)} of whose texts "
            f"the voice does not seem to say",
            *_of_sounds([each for each in said if each.phone == "UW"], "oo"),
            *_of_sounds([each for each in said if each.phone == "W"], "w"),
            _width("ee", [each for each in said if each.phone == "IY"]),
            f"{'rows round far from a round sound':42s}{far.mean():10.2%}",
            "",
        ]
    report(results_file(args.results, "rounding.txt", True), lines[:-1])


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
