# SPDX-License-Identifier: GPL-3.0-or-later
"""A head that shows a live performance: its controls are set, no key is written, and the pose that
it had before comes back; and a head that is sent to other programs as it plays.

The scene remembers that pose meanwhile (`MARK`): a file that is saved, or a step that is undone to,
in the middle of a performance gives it back as soon as it is read.
"""

from __future__ import annotations

import json
from contextlib import contextmanager, ExitStack, suppress

import bpy
import numpy as np

from ...thunder_core import records, vmc
from ...thunder_core.animation.live_motion import LiveMotion
from ...thunder_core.errors import BadHead, ThunderError
from ...thunder_core.face.moving import mouths
from ...thunder_core.progress import result
from ...thunder_core.types import FPS, pack, unpack
from ..host import jobs, playback
from . import head

MARK = "thunder_live"  # property of a scene: JSON of the head's mesh and its values before
_LOOK_SECONDS = 0.1  # interval of asking whether the computer of a name was found
_OPENS = 60.0  # millimetres that lips are apart by a radian of the jaw, about


class LiveHead:
    """A head of a scene that is posed by rows of packed motions; one at a time.

    rig: its rig, None until it is looked up.
    """

    rig: head.Rig | None = None

    def __init__(self, scene: bpy.types.Scene, rig: head.Rig) -> None:
        """Raises BadHead if the rig cannot be moved."""
        head.check_animatable(rig)
        result(rig.driver.prepare())
        self.scene, self.mesh = scene.name, rig.mesh.name

    def show(self, row: np.ndarray, live: LiveMotion | None = None) -> None:
        """Pose the head. row: [channels + 9], of `live`, which knows its sounds. Raises BadHead if
        the head is gone."""
        with head.expect(self.mesh):
            scene = bpy.data.scenes[self.scene]
            if not scene.get(MARK) or not _is_there(LiveHead.rig, scene):
                LiveHead.rig = head.look_up(self.scene, self.mesh)[1]
                scene[MARK] = scene.get(MARK) or json.dumps([self.mesh, LiveHead.rig.values()])
            driver, names = LiveHead.rig.driver, head.channel_names()
            motion = unpack(row[None], len(names))
            if driver.leads and live is not None:
                said, at = live.sounds()
                weights = mouths.weights(
                    said, driver.leads, np.array([at]),
                    np.full(max(2, round(at * FPS) + 2), motion.jaw[0, 0] * _OPENS),
                )  # fmt: skip
                motion, names = mouths.apply(motion, names, weights)
            LiveHead.rig.set_values(driver.drive(motion, names)[0].tolist())

    def end(self) -> None:
        """Give the head back its pose, if it is still there and spoke; what is sent is eased to
        rest."""
        if give_back() and sender.stream is not None:
            sender.stream.rest()


def _is_there(rig: head.Rig | None, scene: bpy.types.Scene) -> bool:
    """Whether a rig is known whose mesh, of which it may need nothing, is still in the scene: one
    that is deleted there stays in the file where a take's list names it."""
    return rig is not None and playback.is_there(rig.mesh) and rig.mesh.name in scene.objects


def give_back(for_a_frame: bool = False) -> bool:
    """Give heads the poses that scenes remember, and forget these; whether there were any.

    for_a_frame: before another frame is shown, whose animation changes that pose: the next `show`
    remembers it as it is then.
    """
    scenes = [scene for scene in bpy.data.scenes if MARK in scene]
    for scene in scenes:
        text = scene.pop(MARK)
        if for_a_frame:
            scene[MARK] = ""
        # it is gone, or another one, or the record is damaged
        with suppress(BadHead, ReferenceError, *records.UNREADABLE):
            mesh, before = json.loads(text)
            values = np.array(before, float)
            _, rig = head.look_up(scene.name, str(mesh))
            if values.shape == (len(rig.driver.tracks),) and np.isfinite(values).all():
                rig.set_values(values.tolist())
    return bool(scenes)


class Sender(jobs.Part):
    """Sends a head to other programs while it is on: whenever Blender shows it otherwise, as it
    is animated or posed, and every frame of a live performance. It is off in every file that is
    opened, in which poses are given back that were saved in the middle of a performance.

    trouble: the sentence with which it ended by itself, "" if it did not.
    """

    trouble = ""
    stream: vmc.Stream | None = None
    _rig: head.Rig | None = None
    _ends = ExitStack()

    def __init__(self) -> None:
        self.task = jobs.Task(self._look, any_time=True)

    def start(self, scene: bpy.types.Scene, rig: head.Rig, port: int, host: str) -> bool:
        """Send a head of a scene from now on; whether a name has to be looked up first. Raises
        BadRequest."""
        self.close()
        self.stream, self._rig, self.names = (
            vmc.Stream(port, host), rig, (scene.name, rig.mesh.name),
        )  # fmt: skip
        self._ends.callback(self.stream.close)
        for event in ("frame_change_post", "depsgraph_update_post"):
            self._ends.enter_context(jobs.handled(event, self._show))
        self.task.start(_LOOK_SECONDS)
        return self.stream.is_looking

    def _look(self) -> float | None:
        """Wait for the computer, which nobody is told of where nothing moves meanwhile."""
        with self._said():
            return None if self.stream is None or self.stream.is_found else _LOOK_SECONDS
        return None

    def send(self, row: np.ndarray, seconds: float) -> None:
        """Send a row [channels + 9], if it is on."""
        if self.stream is not None:
            with self._said():
                self.stream.send(row, head.channel_names(), seconds)

    def _show(self, scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
        if scene.name != self.names[0] or MARK in scene or bpy.app.is_job_running("RENDER"):
            return
        with self._said(), head.expect(self.names[1]):
            if not _is_there(self._rig, scene):
                self._rig = head.look_up(*self.names)[1]
            values = self._rig.evaluate(depsgraph)[None]
            self.send(
                pack(self._rig.driver.read(values, head.channel_names()))[0],
                scene.frame_current_final * scene.render.fps_base / scene.render.fps,
            )

    @contextmanager
    def _said(self):
        """End with a sentence where the block raises an error."""
        try:
            yield
        except ThunderError as error:
            self.close()
            self.trouble = f"The head is no longer sent: {error}"
            jobs.redraw()

    def release(self) -> None:
        self._rig = LiveHead.rig = None

    def close(self) -> None:
        """Send nothing more."""
        self._ends.close()
        self.stream, self._rig, self.trouble = None, None, ""

    def undone(self) -> None:
        give_back()  # a performance that goes on poses it again

    def file_opened(self) -> None:
        self.close()
        give_back()


sender = jobs.session.add(Sender())
