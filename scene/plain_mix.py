# SPDX-License-Identifier: GPL-3.0-or-later
"""A strip's sound put together from its file, for the Blenders that cannot mix down twice without a window."""

from __future__ import annotations

import os

import bpy
import numpy as np

from ..thunder_core.errors import BadSound
from . import compat


def is_needed() -> bool:
    """Whether this is a 5.2 before 5.2.3 in the background: there a mix-down is a job that never ends, and every
    later one is ignored."""
    return bpy.app.background and bool(bpy.app.binary_path) and (5, 2, 0) <= bpy.app.version < (5, 2, 3)


def samples_of(scene, strip, first: int, last: int, fps: float, folder: str) -> tuple[np.ndarray, int]:
    """What is heard of a strip from frame `first` up to `last`: float32 [n, channels] and its rate.

    Trim, offset and volume with its animation. Pan is left out: it moves a voice sideways, and the engine hears in
    mono. A strip that is retimed or has modifiers is refused with BadSound, since those are Blender's own to apply. folder: where a packed sound may be unpacked for a moment.
    """
    import aud

    if len(strip.retiming_keys) or len(strip.modifiers):
        raise BadSound(f"The strip “{strip.name}” is retimed or has modifiers, which Blender {bpy.app.version_string} "
                       "cannot mix down without a window: open a window, or use 5.2.3")
    unpacked = os.path.join(folder, "packed_sound")
    try:
        path = bpy.path.abspath(strip.sound.filepath, library=strip.sound.library)
        if strip.sound.packed_file is not None:
            with open(unpacked, "wb") as file:
                file.write(strip.sound.packed_file.data)
            path = unpacked
        sound = aud.Sound(path)
        rate = int(sound.specs[0])
        whole = np.array(sound.data(), np.float32)
    except (RuntimeError, aud.error) as error:
        raise BadSound(f"The file of the strip “{strip.name}” cannot be read as sound: choose another voice") from error
    finally:
        if os.path.exists(unpacked):
            os.remove(unpacked)
    begin = (first - compat.content_start(strip)) / fps - strip.sound_offset
    count = int(round((last - first) / fps * rate))
    heard = np.zeros((count, whole.shape[1]), np.float32)
    source = np.arange(count) + int(round(begin * rate))
    inside = (source >= 0) & (source < len(whole))
    heard[inside] = whole[source[inside]]
    if strip.sound.use_mono:
        heard = heard.mean(axis=1, keepdims=True)
    return heard * _volume(scene, strip, first, last, count)[:, None], rate


def _volume(scene, strip, first: int, last: int, count: int) -> np.ndarray:
    """The volume of a strip at each sample, float32 [count]."""
    path = f'strips_all["{bpy.utils.escape_identifier(strip.name)}"].volume'
    for curve in compat.curves_for(scene):
        if curve.data_path.endswith(path) and not curve.mute:
            frames = np.arange(first, last + 1)
            values = [max(0.0, curve.evaluate(float(frame))) for frame in frames]
            return np.interp(np.linspace(first, last, count), frames, values).astype(np.float32)
    return np.full(count, strip.volume, np.float32)
