# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures when a voice counts as hard to understand: `UNCLEAR` of
thunder_core/engine/voice.py, to be measured again with every encoder.

`python -m research unclear --data DATA [--voices 40] [--split test]`; DATA has `speech/`. One
recording of each unseen voice, as it is and with noise or four other voices beneath it. Of each:
the doubt about its phones (`VoiceFeatures.doubt`), median and the range of four fifths; the share of recordings
over the threshold; and in how many of the frames with speech the encoder still finds the phone that
it finds in the clean recording. Last the threshold that tells best the recordings with four voices
5 dB below from clean ones. Where DATA has `lips/` too: how well eight takes follow the mouths of
`check` with four of the other voices beneath, beside the linear map that
the teacher follows. To stdout and
research/results/unclear.txt.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from research.faces.lip_clips import (
    encode_clip,
    fit_length,
    FOLDERS,
    follows,
    map_voice,
    read_clips,
)
from research.harness import add_shared, report, required, results_file, usual_direction
from research.ranking import recordings
from research.train.augment import noise
from thunder_core.engine.engine import Engine
from thunder_core.engine.planning.mouth_map import encoder_matches
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import LOUDNESS
from thunder_core.engine.voice import UNCLEAR
from thunder_core.face.moving.lips import Lips
from thunder_core.face.moving.mouth_shape import OPENING
from thunder_core.request import Request
from thunder_core.types import RATE, Speech

LEVELS = (10.0, 5.0)  # dB by which a voice is above what is beneath it
OTHERS, SECONDS = 4, 10.0  # voices beneath it, and how much of each recording is used


def mix_beneath(samples: np.ndarray, other: np.ndarray, decibels: float) -> np.ndarray:
    """A voice [n] with another sound [n] so far below its mean level."""
    by = np.sqrt((samples**2).mean() / (other**2).mean()) * 10 ** (-decibels / 20)
    return np.clip(samples + by * other, -1, 1).astype(np.float32)


def voices_beneath(sounds: list[np.ndarray], number: int) -> np.ndarray:
    """The four recordings after that number at once, as long as it is."""
    length = len(sounds[number])
    others = [
        np.resize(sounds[(number + step) % len(sounds)], length) for step in range(1, OTHERS + 1)
    ]
    return np.sum([other / other.std() for other in others], 0)


def versions(sounds: list[np.ndarray], number: int) -> dict[str, np.ndarray]:
    """A recording as it is, and with noise or other voices beneath it."""
    voice, rng = sounds[number], np.random.default_rng(number)
    result = {"as it is": voice}
    beneath = {"noise": noise(len(voice), rng), f"{OTHERS} voices": voices_beneath(sounds, number)}
    for name, other in beneath.items():
        result |= {f"{name}, -{level:.0f} dB": mix_beneath(voice, other, level) for level in LEVELS}
    return result


def lips_lines(data: Path, engine: Engine, takes: int) -> list[str]:
    """Lines: r of the opening with real mouths, of clips as they are and with voices beneath."""
    check = read_clips(data, "check")
    encoder, lips = engine.thunder.encoder, Lips.of(engine.head)
    map_fits = encoder_matches(encoder)
    lines = [
        "",
        f"{len(check)} clips of `check`, {takes} takes, Spread 0.5: r of the opening",
        f"{'':20s} {'average take':>13s} {'top of the list':>16s} {'mean of takes':>14s} "
        f"{'linear map':>11s}",
    ]
    sounds = [clip.samples for clip in check]
    for level in (None, *LEVELS):
        values = []
        for number, clip in enumerate(check):
            samples = clip.samples
            if level is not None:
                samples = mix_beneath(samples, voices_beneath(sounds, number), level)
            request = Request(takes, 1, direction=usual_direction(0.5))
            gaps = [
                lips.beyond_rest(take.motion) for take in engine.generate(Speech(samples), request)
            ]
            curves = fit_length(np.array(gaps), clip.frames)
            map_curve = map_voice(encode_clip(encoder, clip, samples)[0], map_fits)[:, OPENING]
            values.append(
                [
                    np.mean([follows(curve, clip.opening) for curve in curves]),
                    *(
                        follows(curve, clip.opening)
                        for curve in (curves[0], curves.mean(0), map_curve)
                    ),
                ]
            )
        means = np.average(values, axis=0, weights=[clip.frames for clip in check])
        name = "as it is" if level is None else f"{OTHERS} voices, -{level:.0f} dB"
        lines.append(
            f"{name:20s} {means[0]:13.3f} {means[1]:16.3f} {means[2]:14.3f} {means[3]:11.3f}"
        )
    return lines


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "weights", "results", "takes", split="validation", voices=40)


def run(args: Namespace) -> None:
    required(args.data / "speech", "the folder of recordings")
    engine = Engine.load(args.weights, device="cpu")
    sounds = [
        read_sound(path).samples[: round(SECONDS * RATE)]
        for path in recordings(args.data, args.split, args.voices)
    ]
    doubts: dict[str, list[float]] = {}
    alike: dict[str, list[float]] = {}
    for number in range(len(sounds)):
        clean = None
        for name, samples in versions(sounds, number).items():
            voice = engine.thunder.analyse(samples, Speech(samples).frames)
            phones = voice.phones[:, :-LOUDNESS].argmax(-1)
            if clean is None:
                clean, said = phones, voice.speaking
            doubts.setdefault(name, []).append(voice.doubt)
            alike.setdefault(name, []).append((phones == clean)[said].mean())
    lines = [
        f"weights {engine.weights}; {len(sounds)} voices of the split {args.split}; threshold "
        f"{UNCLEAR}",
        f"{'':20s} {'doubt':>6s} {'10 %':>6s} {'90 %':>6s} {'unclear':>8s} {'same phones':>12s}",
    ]
    for name, values in doubts.items():
        low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
        unclear = np.mean(np.array(values) > UNCLEAR)
        lines.append(
            f"{name:20s} {middle:6.2f} {low:6.2f} {high:6.2f} {unclear:8.2f} "
            f"{np.mean(alike[name]):12.2f}"
        )
    clean, worst = np.array(doubts["as it is"]), np.array(doubts[f"{OTHERS} voices, -5 dB"])
    tried = np.unique(np.concatenate([clean, worst]))
    wrong = [(clean > each).mean() + (worst <= each).mean() for each in tried]
    best = tried[int(np.argmin(wrong))]
    lines.append(
        f"told apart best at {best:.2f}: clean ones above it {(clean > best).mean():.2f}, the "
        f"worst below {(worst <= best).mean():.2f}"
    )
    has_lips = (args.data / FOLDERS[0]).exists()
    if has_lips:
        lines += lips_lines(args.data, engine, args.takes)
    report(results_file(args.results, "unclear.txt", has_lips), lines)
