# SPDX-License-Identifier: GPL-3.0-or-later
"""A strip's sound put together from its file, for the Blenders that cannot mix down twice without a window."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass

import bpy
import numpy as np

from ..thunder_core.errors import BadSound
from . import compat


def is_needed() -> bool:
    """Whether this is a 5.2 before 5.2.3 in the background: there a mix-down is a job that never ends, and every
    later one is ignored."""
    return bpy.app.background and bool(bpy.app.binary_path) and (5, 2, 0) <= bpy.app.version < (5, 2, 3)


@dataclass(frozen=True)
class Plan:
    """All that is needed to put a strip's sound together without Blender's data, in a thread if need be.

    path: of the sound file.  packed: its bytes where it is packed.  begin: seconds into the sound.  volume: [n] over the
    strip, at even distances.
    """

    name: str
    path: str
    packed: bytes | None
    begin: float
    seconds: float
    mono: bool
    volume: np.ndarray

    def samples(self, folder: str) -> tuple[np.ndarray, int]:
        """What is heard, float32 [n, channels], and its rate. folder: where a packed sound may be unpacked for a moment.

        Raises BadSound.
        """
        import aud

        path = self.path
        unpacked = os.path.join(folder, f"packed_sound_{threading.get_ident()}")
        try:
            if self.packed is not None:
                with open(unpacked, "wb") as file:
                    file.write(self.packed)
                path = unpacked
            sound = aud.Sound(path)
            rate = int(sound.specs[0])
            whole = np.array(sound.data(), np.float32)
        except (RuntimeError, aud.error) as error:
            raise BadSound(f"The file of the strip “{self.name}” cannot be read as sound: choose another voice") from error
        finally:
            if os.path.exists(unpacked):
                os.remove(unpacked)
        count = int(round(self.seconds * rate))
        heard = np.zeros((count, whole.shape[1]), np.float32)
        source = np.arange(count) + int(round(self.begin * rate))
        inside = (source >= 0) & (source < len(whole))
        heard[inside] = whole[source[inside]]
        if self.mono:
            heard = heard.mean(axis=1, keepdims=True)
        volume = np.interp(np.linspace(0, 1, count), np.linspace(0, 1, len(self.volume)), self.volume)
        return heard * volume.astype(np.float32)[:, None], rate


def plan_of(scene, strip, first: int, last: int, fps: float) -> Plan | None:
    """How to put together what is heard of a strip from frame `first` up to `last`; None for one that is retimed or has
    modifiers, which are Blender's own to apply."""
    if len(getattr(strip, "retiming_keys", ())) or len(strip.modifiers):
        return None
    sound = strip.sound
    begin = (first - compat.content_start(strip)) / fps - strip.sound_offset
    return Plan(strip.name, bpy.path.abspath(sound.filepath, library=sound.library),
                None if sound.packed_file is None else bytes(sound.packed_file.data), begin, (last - first) / fps,
                sound.use_mono, _volume(scene, strip, first, last))


def samples_of(scene, strip, first: int, last: int, fps: float, folder: str) -> tuple[np.ndarray, int]:
    """What is heard of a strip from frame `first` up to `last`: float32 [n, channels] and its rate.

    Trim, offset and volume with its animation. Pan is left out: it moves a voice sideways, and the engine hears in
    mono. A strip that is retimed or has modifiers is refused with BadSound. folder: where a packed sound may be unpacked.
    """
    plan = plan_of(scene, strip, first, last, fps)
    if plan is None:
        raise BadSound(f"The strip “{strip.name}” is retimed or has modifiers, which Blender {bpy.app.version_string} "
                       "cannot mix down without a window: open a window, or use 5.2.3")
    return plan.samples(folder)


def _volume(scene, strip, first: int, last: int) -> np.ndarray:
    """The volume of a strip over its frames, float32 [n]."""
    path = f'{compat.strips_all_name(scene.sequence_editor)}["{bpy.utils.escape_identifier(strip.name)}"].volume'
    for curve in compat.curves_for(scene):
        if curve.data_path.endswith(path) and not curve.mute:
            return np.array([max(0.0, curve.evaluate(float(frame))) for frame in range(first, last + 1)], np.float32)
    return np.array([strip.volume, strip.volume], np.float32)
