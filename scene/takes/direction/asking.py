# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets a character's direction by a preset or by the style of an animation or a recording, and
translates it into a request to the engine: one for the whole line, or one per frame where it has
keys."""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np

from ....thunder_core.animation import motion_file
from ....thunder_core.animation.timing import Clock
from ....thunder_core.animation.traits import style_of, StyleOfMotion
from ....thunder_core.direction import AS_HEARD, AXES, Brief, Direction, MOOD_NAMES
from ....thunder_core.direction_presets import Preset, Presets, USERS
from ....thunder_core.direction_words import words
from ....thunder_core.types import FPS
from ...animation import fcurves, keying
from ...heads import head
from ...host import compat
from ...voice import strip
from .. import transcript, turns
from ..provenance import Sampling
from . import sliders

MOOD_SECONDS = 0.4  # length of the blend from one mood to another at a mood key


def add_direction(sampling: Sampling, owner: bpy.types.Object, voice: strip.Voice) -> Sampling:
    """The sampling of takes for the head that an object represents, with its direction.

    A sampling that already has one is unchanged. An engine that follows only the mood, or nothing,
    gets no more; the Direction panel says so. Where several heads speak ranges of the voice, the
    head speaks its ranges. Raises BadSound if it has none.
    """
    if not sampling.listening:
        sampling = replace(
            sampling, turns=turns.spans_of(bpy.data.scenes[voice.scene], voice, owner)
        )
    if sampling.asked is not None:
        return sampling
    requested = transcript.add_words(
        direction_over(owner, voice.clock, voice.last), bpy.context.scene, voice
    )
    followed = sampling.supported_part(requested)
    return sampling if followed is None else replace(sampling, asked=followed)


def direction_over(owner: bpy.types.Object, clock: Clock, last: float | None) -> Brief:
    """The direction of the head that an object represents, over a sound.

    last: the scene frame after the sound's end; None if unknown: then the frame after the last key.
    """
    direction = sliders.of(owner)
    return Brief() if direction is None else _sample_direction(direction, clock, last)


def _sample_direction(
    direction: sliders.ThunderDirection, clock: Clock, last: float | None
) -> Brief:
    """A direction over a sound, in one row if nothing of it changes."""
    curves = _curves(direction)
    now = sliders.value(direction)
    if not curves:
        return Brief.of(now, direction.spread)
    if last is None:
        last = max(curve.keyframe_points[-1].co[0] for curve in curves.values()) + 1
    count = max(1, round(float(clock.seconds(last)) * FPS))
    frames = clock.frame(np.arange(count) / FPS)
    values = {name: fcurves.evaluate(curve, frames) for name, curve in curves.items()}
    result = np.repeat(now.vector()[None], count, axis=0)
    heard = np.full(count, now.share(AS_HEARD), np.float32)
    for column, axis in enumerate(AXES):
        if axis.name in values:
            clipped = np.clip(values[axis.name], axis.least, axis.most)
            result[:, column] = (
                np.log(clipped / axis.usual) if axis.factor else clipped - axis.usual
            ) / axis.speakers
    if "mood" in values or "strength" in values:
        strengths = _strengths(direction, values, count)
        result[:, len(AXES) :], heard = strengths[:, :-1], strengths[:, -1].astype(np.float32)
    return Brief(_first_if_alike(result), direction.spread, as_heard=_first_if_alike(heard))


def _first_if_alike(rows: np.ndarray) -> np.ndarray:
    """Rows [T, …], or the first of them where all are alike."""
    return rows[:1] if (rows == rows[0]).all() else rows


def _strengths(
    direction: sliders.ThunderDirection, values: dict[str, np.ndarray], count: int
) -> np.ndarray:
    """The strength of each mood and of *As Heard* [T, moods + 1]; where the mood has keys one flows
    into the next."""
    numbers = sliders.CHOICE_NUMBERS
    chosen = values.get("mood", np.full(count, numbers[direction.mood]))
    chosen = np.clip(np.floor(chosen + 1e-6), 0, len(numbers) - 1)
    strength = np.clip(values.get("strength", np.full(count, direction.strength)), 0.0, 1.0)
    result = np.stack(
        [(chosen == numbers[name]) * strength for name in (*MOOD_NAMES, AS_HEARD)], axis=1
    )
    if "mood" in values:
        length = round(MOOD_SECONDS * FPS) | 1
        padded = np.pad(result, ((length // 2, length // 2), (0, 0)), mode="edge")
        result = np.lib.stride_tricks.sliding_window_view(padded, length, axis=0).mean(axis=-1)
    return result


def remove_keys(direction: sliders.ThunderDirection) -> None:
    """Remove the curves of all sliders of a direction."""
    scene = direction.id_data
    for curve in _curves(direction, silent=True).values():
        compat.curves_in(scene.animation_data.action, scene, compat.slot_of(scene)).remove(curve)


def _curves(direction: sliders.ThunderDirection, silent: bool = False) -> dict:
    """The keyed curves of a direction's sliders by their names; with `silent` also muted and empty
    ones."""
    before = f"{direction.path_from_id()}."
    return {
        curve.data_path.removeprefix(before): curve
        for curve in compat.curves_for(direction.id_data)
        if curve.data_path.startswith(before)
        and (silent or (not curve.mute and len(curve.keyframe_points)))
    }


MOST_SECONDS = 120.0  # longest motion that is read; more does not improve the style


def all_presets() -> Presets:
    """The shipped presets and the animator's."""
    return Presets(compat.user_folder(USERS))


def use_preset(direction: sliders.ThunderDirection, name: str) -> None:
    """Move the sliders of a direction to a preset. Raises BadRequest."""
    preset = all_presets().load(name)
    sliders.put(direction, preset.direction)
    if preset.spread is not None:
        direction.spread = preset.spread


def save_preset(direction: sliders.ThunderDirection, name: str) -> Path:
    """Save the sliders as a preset of the animator. Raises BadRequest or NoSpace."""
    return all_presets().save(
        Preset(name.strip(), sliders.value(direction), spread=direction.spread)
    )


def reset_direction(direction: sliders.ThunderDirection) -> None:
    """Move all sliders to their usual values."""
    sliders.put(direction, Direction())
    for name in ("strength", "spread"):
        direction.property_unset(name)


def style_of_animation(
    rig: head.Rig, scene, first: int, last: int
) -> Generator[float, None, StyleOfMotion]:
    """Read the style of a head's animation over these frames of its scene. Returns it. Raises
    BadRequest."""
    clock = Clock.of(scene, first)
    motion = yield from keying.read(
        rig, head.channel_names(), clock, min(MOST_SECONDS, (last - first + 1) / clock.fps)
    )
    return style_of(motion, head.channel_names())


def style_of_file(path: str) -> StyleOfMotion:
    """Read the style of a recording. Raises BadRequest."""
    channels = head.channel_names()
    motion = motion_file.read_recording(path, channels)
    return style_of(motion.part(slice(0, round(MOST_SECONDS * FPS))), channels)


def use_style(direction: sliders.ThunderDirection, read: StyleOfMotion) -> str:
    """Move the sliders of a direction to a style, without a mood and without their keys; returns a
    sentence on the result."""
    remove_keys(direction)
    direction_read = Direction(read.style)
    sliders.put(direction, direction_read)
    if read.spread is not None:
        direction.spread = read.spread
    return f"Style read from {read.seconds:.0f} s of speech: {words(direction_read.vector())}"
