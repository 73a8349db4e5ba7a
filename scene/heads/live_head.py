# SPDX-License-Identifier: GPL-3.0-or-later
"""A head that shows a live performance: its controls are set, no key is written, and the pose that
it had before comes back; and a head that is sent to other programs as it plays.

The scene remembers that pose meanwhile (`MARK`): a file that is saved, or a step that is undone to,
in the middle of a performance gives it back as soon as it is read.
"""

import json
from contextlib import ExitStack

import bpy
import numpy as np

from ...thunder_core import vmc
from ...thunder_core.animation.live_motion import LiveMotion
from ...thunder_core.errors import BadHead
from ...thunder_core.face import own_mouths
from ...thunder_core.progress import result
from ...thunder_core.types import FPS, pack, unpack
from ..host import jobs
from . import head, rna_paths

MARK = "thunder_live"  # property of a scene: JSON of the head's mesh and its values before
_OPENS = 60.0  # millimetres that lips are apart by a radian of the jaw, about


class LiveHead:
    """A head of a scene that is posed by rows of packed motions.

    on: the one that is posed now, None for none.
    """

    on: "LiveHead | None" = None

    def __init__(self, scene, rig: head.Rig):
        """Raises BadHead if the rig cannot be moved."""
        head.check_animatable(rig)
        result(rig.driver.prepare())
        self.scene, self.mesh = scene.name, rig.mesh.name
        self.before = [_value(rig, track) for track in rig.driver.tracks]
        self._rig: head.Rig | None = None

    def show(self, row: np.ndarray, live: LiveMotion | None = None) -> None:
        """Pose the head. row: [channels + 9], of `live`, which knows its sounds. Raises BadHead if
        the head is gone."""
        try:
            rig = self._rig or self._begin()
            names = head.channel_names()
            motion = unpack(row[None], len(names))
            if rig.driver.leads and live is not None:
                said, at = live.sounds()
                opening = np.full(max(2, round(at * FPS) + 2), motion.jaw[0, 0] * _OPENS)
                weights = own_mouths.weights(said, rig.driver.leads, np.array([at]), opening)
                motion, names = own_mouths.apply(motion, names, weights)
            _set(rig, rig.driver.drive(motion, names)[0].tolist())
        except ReferenceError as error:
            raise self._gone() from error

    def end(self) -> None:
        """Give the head back the pose that it had, if it is still there."""
        LiveHead.on = self._rig = None
        scene = bpy.data.scenes.get(self.scene)
        if scene is not None and MARK in scene:
            give_back(scene)

    def release(self) -> None:
        """Let go of Blender's data."""
        self._rig = None

    def _begin(self) -> head.Rig:
        """The rig, looked up. Raises BadHead."""
        scene = bpy.data.scenes.get(self.scene)
        if scene is None or self.mesh not in scene.objects:
            raise self._gone()
        rig = head.look_up(self.scene, self.mesh)[1]
        scene[MARK] = json.dumps([self.mesh, self.before])
        LiveHead.on, self._rig = self, rig
        return rig

    def _gone(self) -> BadHead:
        return BadHead(
            f"“{self.mesh}” was removed or renamed while it performed: choose a head, then perform "
            f"again"
        )


def _value(rig: head.Rig, track) -> float:
    return rna_paths.value(rig.targets[track.block], track.path, track.index)


def _set(rig: head.Rig, values: list[float]) -> None:
    for track, value in zip(rig.driver.tracks, values):
        rna_paths.set_value(rig.targets[track.block], track.path, track.index, value)
    rna_paths.tag(rig.targets)


def give_back(scene) -> None:
    """Give a head the pose that a scene remembers, and forget it."""
    text = scene.pop(MARK)
    try:
        mesh, before = json.loads(text)
        _set(head.look_up(scene.name, mesh)[1], before)
    except (BadHead, ReferenceError, TypeError, ValueError):
        pass  # it is gone, or another one


class Sender(jobs.Part):
    """Sends a head to other programs while it is on: on each frame that Blender shows, as it is
    animated there, and every frame of a live performance. It is off in every file that is
    opened."""

    stream: vmc.Stream | None = None
    _rig: head.Rig | None = None

    def start(self, scene, rig: head.Rig, port: int, host: str) -> None:
        """Send a head of a scene from now on. Raises BadRequest."""
        self.close()
        self.stream, self.names = vmc.Stream(port, host), (scene.name, rig.mesh.name)
        self._ends = ExitStack()
        self._ends.callback(self.stream.close)
        self._ends.enter_context(jobs.handled("frame_change_post", self._show))

    def send(self, row: np.ndarray, seconds: float) -> None:
        """Send a row [channels + 9], if it is on."""
        if self.stream is not None:
            self.stream.send(row, head.channel_names(), seconds)

    def _show(self, scene, depsgraph) -> None:
        is_other = scene.name != self.names[0] or bpy.app.is_job_running("RENDER")
        if is_other or LiveHead.on is not None:
            return
        try:
            rig = self._rig = self._rig or head.look_up(*self.names)[1]
            values = np.zeros(len(rig.driver.tracks))
            for target in rig.targets:
                places, tracks = zip(*rig.tracks_of(target))
                numbers = [(track.path, track.index) for track in tracks]
                values[[*places]] = rna_paths.evaluate(target, numbers, depsgraph)
        except (BadHead, ReferenceError):
            self.close()
            return
        names = head.channel_names()
        row = pack(rig.driver.read(values[None], names))[0]
        self.send(row, scene.frame_current_final * scene.render.fps_base / scene.render.fps)

    def release(self) -> None:
        self._rig = None

    def close(self) -> None:
        """Send nothing more."""
        if self.stream is not None:
            self._ends.close()
        self.stream = self._rig = None

    file_opened = close


class _Poses(jobs.Part):
    """Gives back poses that files and steps hold."""

    def release(self) -> None:
        if LiveHead.on is not None:
            LiveHead.on.release()

    def undone(self) -> None:
        if LiveHead.on is None:
            self.file_opened()

    def file_opened(self) -> None:
        for scene in [scene for scene in bpy.data.scenes if MARK in scene]:
            give_back(scene)


jobs.session.add(_Poses())
sender = jobs.session.add(Sender())
