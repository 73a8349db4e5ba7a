# SPDX-License-Identifier: GPL-3.0-or-later
"""Make shapes for a face that has none: dots on it, then its keys; one that has some is mapped."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import Any

import bpy

from ..scene.engine import connection, install
from ..scene.heads import character, family, mapping_table, new_shapes
from ..scene.host.jobs import Step
from ..scene.voice import strip
from ..thunder_core.client import Client
from ..thunder_core.engine_python import find_tracker
from ..thunder_core.errors import attempt, BadHead, NoEngine, WorkerDied
from .base import Obstacles, SlicedWork, why_not_in_object_mode

Work = tuple[str, Generator[Step, None, Any]]
_VIEW = 8.0  # how far the view is from dots, of their size


def _face(context: bpy.types.Context):
    """The chosen face, None without one."""
    return new_shapes.face_of(context.object)


def _parts(context: bpy.types.Context, face: bpy.types.Object) -> list[bpy.types.Object]:
    """Other meshes on a face that are selected: eyes, teeth, tongue, lashes."""
    others = (obj for obj in context.selected_objects if obj.type == "MESH" and obj != face)
    return [obj for obj in others if family.is_around(face, obj)]


class _OnFace(SlicedWork):
    """An operator whose `work(context, face)`, as of `begin`, is done on the face that is chosen,
    or whose dots are, and reported by `show(context, value)`; a character that has shapes already
    is mapped instead, unless it is the one that is animated."""

    obstacles: Obstacles = (
        why_not_in_object_mode,
        lambda context: "" if _face(context) is not None else "Choose the mesh of the face first",
    )

    def work(self, context: bpy.types.Context, face: bpy.types.Object) -> Work:
        """The title of the work on a face, and its steps. Raises ThunderError."""
        raise NotImplementedError

    def show(self, context: bpy.types.Context, value: Any) -> None:
        """Show and report what the work has returned."""
        raise NotImplementedError

    def begin(self, context: bpy.types.Context):
        face = _face(context)
        has_dots = new_shapes.dots_of(face) is not None
        speaker = None if has_dots else new_shapes.speaker_of(face)
        if speaker is None or speaker == context.scene.thunder.head:
            return self.work(context, face)
        return "Mapping the face", _map(context.scene, speaker)

    def finish(self, context: bpy.types.Context, value: Any) -> None:
        if isinstance(value, str):
            self.tell({"INFO"}, value)
            _let_speak(context)
        else:
            self.show(context, value)


def _map(scene: bpy.types.Scene, face: bpy.types.Object):
    """Map a character by its own shapes, as Find by Names does, and animate it. Returns what to
    report."""
    yield Step(0.5, "Reading its shapes", busy=True)
    plan = character.plan_of(face)
    mapping_table.keep_plan(scene, face, plan)
    scene.thunder.head = face
    return (
        f"“{face.name}” has shapes already and is mapped by them: {plan.name}, "
        f"{len(plan.used)} channels. For those that it lacks press Mark the Face, then Make Shapes"
    )


def _let_speak(context: bpy.types.Context) -> None:
    """Generate takes for the head if there is a voice."""
    if not attempt(strip.find, context)[1]:
        with suppress(RuntimeError):  # it reports its own errors
            bpy.ops.thunder.generate("INVOKE_DEFAULT")  # type: ignore[attr-defined]


def _mark(face: bpy.types.Object, parts: list[bpy.types.Object]):
    """Put dots on a face by a picture of it where what follows faces is installed, else by
    proportions; where they lie already, they stay."""
    if new_shapes.is_marked(face):
        return new_shapes.dots_of(face), None
    tracker = suppress(NoEngine, WorkerDied)  # a broken one does not keep dots away
    with tracker, Client(find_tracker(install.TRACKER.venvs()), verbs="tracker") as client:
        return (yield from new_shapes.mark(client, connection.ask, face, parts))
    return (yield from new_shapes.mark(connection.start_client(), connection.ask, face, parts))


class THUNDER_OT_mark_face(_OnFace, bpy.types.Operator):
    """Put 24 dots on the chosen face, about where they belong, to drag them where they do. Also
    select eyes, teeth and tongue that are objects of their own. A face that has shapes, as VRM's,
    is mapped instead"""

    bl_label = "Mark the Face"

    def work(self, context: bpy.types.Context, face: bpy.types.Object):
        return "Marking the face", _mark(face, _parts(context, face))

    def show(self, context: bpy.types.Context, marked: tuple) -> None:
        root, is_seen = marked
        for each in (root, *root.children):
            each.hide_set(False)
        # what is selected while dots are dragged would move with them
        for obj in context.selected_objects:
            obj.select_set(False)
        dot = next(each for each in root.children if each.name.startswith("Upper lid, left"))
        dot.select_set(True)
        context.view_layer.objects.active = dot
        if (view := context.region_data) is not None:
            context.view_layer.update()
            view.view_perspective, view.view_rotation = "ORTHO", root.matrix_world.to_quaternion()
            view.view_location = root.matrix_world.translation
            view.view_distance = _VIEW * root.empty_display_size
        self.tell({"INFO"}, _WHERE[is_seen])


_WHERE = {
    None: "Dots lie as they did: delete one of them to mark the face anew",
    True: "Dots lie where a picture of the face has them: drag those that are off",
    False: "Dots lie by proportions alone: drag each to its place, then press Make Shapes",
}


class THUNDER_OT_make_shapes(_OnFace, bpy.types.Operator):
    """Make the shape keys that the face lacks, where its dots are, and generate takes if there is a
    voice. Keys of its own, and made ones that were sculpted, stay. Also select eyes, teeth and
    tongue that are objects of their own"""

    obstacles: Obstacles = (
        lambda context: (
            ""
            if new_shapes.dots_of(face := _face(context)) is not None
            or family.face_of(face) not in (None, context.scene.thunder.head)
            else new_shapes.NO_DOTS
        ),
    )

    def work(self, context: bpy.types.Context, face: bpy.types.Object):
        self.face = face.session_uid  # it may be renamed meanwhile
        root = new_shapes.dots_of(face)
        if root is None:
            raise BadHead(new_shapes.NO_DOTS)
        return "Making shapes", new_shapes.make(
            connection.start_client(),
            connection.ask,
            face,
            list(dict.fromkeys([*new_shapes.parts_of(root), *_parts(context, face)])),
            context.evaluated_depsgraph_get(),
        )

    def show(self, context: bpy.types.Context, names: tuple[list[str], list[str]]) -> None:
        face = next(each for each in bpy.data.objects if each.session_uid == self.face)
        if (root := new_shapes.dots_of(face)) is not None:  # not deleted meanwhile
            for each in (*root.children, root):
                each.hide_set(True)
        context.view_layer.objects.active = face
        context.scene.thunder.head = face
        made, kept = names
        if (plan := new_shapes.plan_with(face, made)) is not None:
            mapping_table.keep_plan(context.scene, face, plan)
        stay = f", kept {len(kept)} of your own" if kept else ""
        can_speak = not attempt(strip.find, context)[1]
        speaks = "" if can_speak else ": Use a Sample Voice and Generate Takes let the face speak"
        self.tell({"INFO"}, f"Made {len(made)} shape keys{stay}{speaks}")
        self.warn(new_shapes.say_faults(face))
        _let_speak(context)
