# SPDX-License-Identifier: GPL-3.0-or-later
"""A head that shows a live performance: its controls are set, no key is written, and the pose that
it had before comes back; and heads that are sent to other programs as they play.

The scene remembers that pose meanwhile (`MARK`): a file that is saved, or a step that is undone to,
in the middle of a performance gives it back as soon as it is read.
"""

from __future__ import annotations

import json
from contextlib import contextmanager, ExitStack, suppress
from dataclasses import dataclass

import bpy
import numpy as np

from ...thunder_core import records, vmc
from ...thunder_core.animation.live_motion import LiveMotion
from ...thunder_core.errors import BadHead, BadRequest, ThunderError
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
            rig = LiveHead.rig
            assert rig is not None  # else it was just looked up
            driver, names = rig.driver, head.channel_names()
            motion = unpack(row[None], len(names))
            if driver.leads and live is not None:
                said, at = live.sounds()
                weights = mouths.weights(
                    said, driver.leads, np.array([at]),
                    np.full(max(2, round(at * FPS) + 2), motion.jaw[0, 0] * _OPENS),
                )  # fmt: skip
                motion, names = mouths.apply(motion, names, weights)
            rig.set_values(driver.drive(motion, names)[0].tolist())

    def end(self) -> None:
        """Give the head back its pose, if it is still there and spoke; what is sent is eased to
        rest."""
        if give_back():
            sender.rest(self.mesh)


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


@dataclass
class _Sent:
    """A head that is sent. to: host and port.  rig: its rig, None until it is looked up again."""

    stream: vmc.Stream
    to: tuple[str, int]
    scene: str
    rig: head.Rig | None


class Sender(jobs.Part):
    """Sends heads to other programs, each to a port of its own, while they are on: whenever Blender
    shows them otherwise, as they are animated or posed, and every frame of a live performance. It
    is off in every file that is opened, in which poses are given back that were saved in the middle
    of a performance.

    ended: the sentence with which one ended by itself, "" if none did.
    """

    ended = ""

    def __init__(self) -> None:
        self.task = jobs.Task(self._look, any_time=True)
        self._sent: dict[str, _Sent] = {}  # by the names of their meshes
        self._ends = ExitStack()

    @property
    def heads(self) -> tuple[str, ...]:
        """The names of the meshes of the heads that are sent."""
        return tuple(self._sent)

    @property
    def trouble(self) -> str:
        """Why one ended by itself, or cannot be reached now; "" for nothing."""
        return next(filter(None, (each.stream.trouble for each in self._sent.values())), self.ended)

    def start(
        self, scene: bpy.types.Scene, rig: head.Rig, port: int, host: str, names: str = vmc.BOTH
    ) -> bool:
        """Send a head of a scene from now on; whether a name has to be looked up first. names: of
        its shapes. Raises BadRequest."""
        self.stop(rig.mesh.name)
        for name, other in self._sent.items():
            if other.to == (host, port):
                raise BadRequest(
                    f"Port {port} of {host} gets “{name}” already: choose another Port for "
                    f"“{rig.owner.name}”, and in the program that shows it"
                )
        stream = vmc.Stream(port, host, names)
        if not self._sent:
            for event in ("frame_change_post", "depsgraph_update_post"):
                self._ends.enter_context(jobs.handled(event, self._show))
        self._sent[rig.mesh.name] = _Sent(stream, (host, port), scene.name, rig)
        self.ended = ""
        self.task.start(_LOOK_SECONDS)
        return stream.is_looking

    def _look(self) -> float | None:
        """Wait for the computers, which nobody is told of where nothing moves meanwhile."""
        waits = False
        for mesh, sent in list(self._sent.items()):
            with self._said(mesh):
                waits = not sent.stream.is_found or waits
        return _LOOK_SECONDS if waits else None

    def stop(self, mesh: str) -> None:
        """Send a head no more."""
        if mesh in self._sent:
            self._sent.pop(mesh).stream.close()
        if not self._sent:
            self._ends.close()

    def send(self, mesh: str, row: np.ndarray, seconds: float) -> None:
        """Send a row [channels + 9] of a head, if it is on."""
        if mesh in self._sent:
            with self._said(mesh):
                self._sent[mesh].stream.send(row, head.channel_names(), seconds)

    def rest(self, mesh: str) -> None:
        """Ease what is sent of a head to rest."""
        if mesh in self._sent:
            self._sent[mesh].stream.rest()

    def _show(self, scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
        if MARK in scene or bpy.app.is_job_running("RENDER"):
            return
        for mesh, sent in list(self._sent.items()):
            if sent.scene != scene.name:
                continue
            with self._said(mesh), head.expect(mesh):
                if not _is_there(sent.rig, scene):
                    sent.rig = head.look_up(sent.scene, mesh)[1]
                rig = sent.rig
                assert rig is not None  # else it was just looked up
                self.send(
                    mesh,
                    pack(rig.driver.read(rig.evaluate(depsgraph)[None], head.channel_names()))[0],
                    scene.frame_current_final * scene.render.fps_base / scene.render.fps,
                )

    @contextmanager
    def _said(self, mesh: str):
        """End the sending of a head with a sentence where the block raises an error, and show what
        is said of it otherwise."""
        before = self.trouble
        try:
            yield
        except ThunderError as error:
            self.stop(mesh)
            self.ended = f"The head is no longer sent: {error}"
        if self.trouble != before:
            jobs.redraw()

    def release(self) -> None:
        LiveHead.rig = None
        for each in self._sent.values():
            each.rig = None

    def close(self) -> None:
        """Send nothing more."""
        for mesh in self.heads:
            self.stop(mesh)
        self.ended = ""

    def undone(self) -> None:
        give_back()  # a performance that goes on poses it again

    def file_opened(self) -> None:
        self.close()
        give_back()


sender = jobs.session.add(Sender())
