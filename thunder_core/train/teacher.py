# SPDX-License-Identifier: GPL-3.0-or-later
"""The teacher: a procedural animator that performs phones on the default head's channels, as it is
directed; also as an engine, which performs the speech encoder's phones.

The mouth is in `teacher_mouth`, lids, brows, gaze and head are in `teacher_upper_face`; each draws
from a separate random generator, so that one can change without the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..direction import Direction
from ..engine.planning.lip_kernels import presence_in
from ..engine.speech.cues import closure
from ..engine.speech.encoder import LOUDNESS
from ..engine.speech.phones import BILABIALS, PHONES, SILENCE
from ..engine.systems.thunder import Performance, Thunder, VoiceFeatures
from ..events import LIPS
from ..progress import Progress
from ..types import FPS, Motion
from .label import likeliest
from .teacher_mouth import mouth
from .teacher_timing import presence, prosody
from .teacher_upper_face import upper_face


def perform(
    phones: np.ndarray, heard: np.ndarray, channels: list[str], rng: np.random.Generator,
    direction: Direction | None = None,
    pitch: np.ndarray | None = None, listens: bool = False, features: np.ndarray | None = None,
) -> Motion:  # fmt: skip
    """The motion of `perform_planned`."""
    return perform_planned(phones, heard, channels, rng, direction, pitch, listens, features)[0]


def perform_planned(
    phones: np.ndarray, heard: np.ndarray, channels: list[str], rng: np.random.Generator,
    direction: Direction | None = None,
    pitch: np.ndarray | None = None, listens: bool = False, features: np.ndarray | None = None,
) -> tuple[Motion, np.ndarray]:  # fmt: skip
    """Animate phones (10 ms labels [M]) with loudness `heard` [T, 2] (see `encoder.loudness`) →
    (Motion of T frames, the curves of its events [T, EVENTS]).

    pitch [T]: see `teacher_timing.semitones`; it improves accents.  listens: the voice is
    another's, whose accents and phrase ends are answered with a shut mouth.  features [T, d]: of
    the speech encoder that `lip_kernels` were fitted to; without them lips follow the phones alone.
    Without a direction one is drawn for a random speaker. Raises BadRequest unless `channels` are
    the default head's.
    """
    of_mouth, of_upper_face, of_direction = rng.spawn(3)
    if direction is None:
        direction = Direction.of_clip(str(of_direction.integers(1 << 32)), of_direction)
    voice = prosody(phones, heard, pitch)
    if listens:
        phones, features = np.full_like(phones, SILENCE), None
    accents = list(zip(voice.accents, 0.4 + 0.6 * voice.weights))
    # The encoder's silence is closer to where real lips rest than the labels'.
    alive = (
        presence(phones, len(heard)) if features is None else presence_in(features).astype(float)
    )
    expression, jaw, lips = mouth(
        phones, heard, alive, channels, direction, of_mouth, accents, features
    )
    upper, head, eyes, breath, events = upper_face(voice, direction, of_upper_face, listens)
    events[:, LIPS] = lips
    for name, values in upper.items():
        for side in (name,) if name in channels else (name + "Left", name + "Right"):
            column = expression[:, channels.index(side)]
            column[:] = np.clip(column + values, 0, 1.2)
    jaw[:, 0] = np.maximum(
        jaw[:, 0], breath * (1 - closure(np.isin(phones, BILABIALS), len(heard)))
    )
    return Motion(*(values.astype(np.float32) for values in (expression, jaw, head, eyes))), events


# ---- as an engine

_LABELS = round(100 / FPS)  # phone labels (10 ms) per animation frame
_CHANGE = 2.0  # cost of a change of phone at 25 frames per second, nats: half of the cost at 50


class TeacherPerformer:
    """`engine.engine.Performer` of the procedural animator.

    It has phones per animation frame and no pitch; the corpus' performances use finer data.
    """

    fingerprint = ""

    def __init__(self, thunder: Thunder):
        self.thunder = thunder

    def perform(
        self, voice: VoiceFeatures, takes: Sequence[Performance], steps: int, guidance: float,
        progress: Progress,
        reference: np.ndarray | None = None,
    ) -> list[Motion]:  # fmt: skip
        """As `Performer`; a direction that changes within the line is played as its mean."""
        features = voice.features
        belief = voice.features[:, -LOUDNESS - len(PHONES) : -LOUDNESS]
        phones = (
            likeliest(np.log(belief.clip(1e-6, None)), _CHANGE).astype(np.uint8).repeat(_LABELS)
        )
        motions = []
        for i, take in enumerate(takes):
            progress(i / len(takes))
            direction = None if take.style is None else Direction.of_vector(take.style.mean(0))
            map_input = features if voice.map_fits and not voice.listens else None
            rng = np.random.default_rng(take.seed)
            motions.append(
                perform(
                    phones,
                    features[:, -LOUDNESS:],
                    self.thunder.channel_names,
                    rng,
                    direction,
                    None,
                    voice.listens,
                    map_input,
                )
            )
        return motions
