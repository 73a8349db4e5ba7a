# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows all takes at once: a head for each, side by side in the viewport, playing with the sound;
removed when playback stops. Under each head are its take's score, name and words."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import bpy
from bpy.app.handlers import persistent
from bpy_extras import view3d_utils
from mathutils import Matrix, Vector

from ...thunder_core import records
from ...thunder_core.errors import BadRequest
from ...thunder_core.translation import wrap
from ..animation import display
from ..heads import head
from ..host import jobs, playback
from ..host.language import translated
from ..takes import grades, take_list
from . import puppets

if TYPE_CHECKING:
    from ..properties.settings import ThunderTake


NAME = "Thunder Grid"
WIDER = 1.6  # ratio of columns to rows that suits a viewport
LOOK_SECONDS = 0.1  # interval of checking whether the scene still plays
# property of the grid's collection: the scene's preview range before the grid
RANGE = "thunder_preview_range"
# distance between heads, and space for the text below one, in sizes of a head
GAP, LABEL = 1.06, 0.38
# distances of the caption's middle and the words' top below a head, in its heights
CAPTION, WORDS = (0.06, 0.125)
CAPTION_SIZE, WORDS_SIZE = 0.085, 0.066  # text sizes, in heights of a head
LINES, LETTER = 3, 0.47  # lines of words; mean width of a letter, in text sizes
SHARE = 0.9  # width of words, as a share of the distance between heads
INK = (0.9, 0.9, 0.9)  # linear RGB
CLUTTER = {  # viewport settings that would draw over words or make them hard to read
    "shading": ("show_object_outline", "show_cavity"),
    "overlay": ("show_floor", "show_ortho_grid", "show_axis_x", "show_axis_y", "show_axis_z"),
}
VIEW = ("view_perspective", "view_distance", "view_rotation", "view_location")


@dataclass
class _Grid:
    """The content of the grid, and the state to restore afterwards."""

    scene: str
    takes: dict[str, str]  # name of a head's object in the grid → name of its take's action
    axes: Matrix
    middle: Vector
    size: Vector
    frame: tuple[int, float]  # the playhead's position before: whole frame and subframe
    selected: list[str] = field(default_factory=list)
    active: str = ""
    space: int = 0
    # how the viewport was: values by (part of the space, name)
    view: dict = field(default_factory=dict)


class _GridState(jobs.Part):
    """The current grid, None if there is none."""

    grid: _Grid | None = None

    def undone(self) -> None:
        leave_for_file()

    def release(self) -> None:
        if self.grid is not None:
            leave()

    def file_opened(self) -> None:
        self.grid = None
        _restore_loop()
        puppets.remove_marked()  # of a file that was recovered

    close = release


state = jobs.session.add(_GridState())


def is_running() -> bool:
    """Whether there is a grid."""
    return state.grid is not None


def build(scene: bpy.types.Scene, rig: head.Rig, entries: list) -> Generator[jobs.Step, None, None]:
    """Steps that set up a head for each take, best at the top left. Raises BadRequest if there is
    none."""
    entries = [entry for entry in entries if entry.action is not None]
    if not entries:
        raise BadRequest("There are no takes to play: generate some first")
    head.check_animatable(rig)
    yield jobs.Step(0.0, "Setting up the takes", busy=True)
    frame, _ = puppets.face_frame(rig)
    low, high = puppets.extent(rig, frame)
    if not (high.x > low.x and high.y > low.y):
        raise BadRequest(
            f"“{rig.owner.name}” has no size on this frame: go to one where it is seen, or clear "
            f"its scale (Alt S)"
        )
    wide, tall = (high.x - low.x) * GAP, (high.y - low.y) * (GAP + LABEL)
    columns = min(len(entries), math.ceil(math.sqrt(len(entries) * WIDER * tall / wide)))
    rows = math.ceil(len(entries) / columns)
    # rows of equal length look less like something is missing
    columns = math.ceil(len(entries) / rows)
    axes = frame.to_3x3().transposed()  # the face's to the world's
    group = bpy.data.collections.new(NAME)
    group[head.PUPPET_MARK] = True
    scene.collection.children.link(group)
    take_of: dict[str, str] = {}
    first, last = min(entry.first for entry in entries), max(entry.last for entry in entries)
    try:
        for number, entry in enumerate(entries):
            at = Vector(
                (
                    (number % columns - (columns - 1) / 2) * wide,
                    ((rows - 1) / 2 - number // columns) * tall,
                    0.0,
                )
            )
            copy = puppets.add(rig, group, axes @ at)
            puppets.play(copy, rig, entry)
            for obj in copy.objects:
                obj.hide_set(obj not in copy.visible)
            under = at + Vector(((low.x + high.x) / 2, low.y, high.z))
            place = frame.inverted() @ Matrix.Translation(under)
            texts = _add_texts(group, entry, place, (wide, high.y - low.y), axes)
            names = (obj.name for obj in [*copy.objects, *texts])
            take_of |= dict.fromkeys(names, entry.action.name)
            yield jobs.Step(
                (number + 1) / len(entries),
                f"Setting up take {number + 1} of {len(entries)}",
                busy=True,
            )
        size = Vector((columns * wide, rows * tall, high.z - low.z))
        middle = frame.inverted() @ (
            (low + high) / 2 + Vector((0.0, -LABEL / 2 * (high.y - low.y), 0.0))
        )
        state.grid = _Grid(
            scene.name, take_of, axes, middle, size, (scene.frame_current, scene.frame_subframe)
        )
        _loop_over(scene, group, first, last)
    except BaseException:
        puppets.remove_marked()
        raise


def _loop_over(scene: bpy.types.Scene, group: bpy.types.Collection, first: int, last: int) -> None:
    """Loop the scene's playback over the frames of the takes, or their part in the animator's
    preview range.

    The previous range is stored with the grid's collection, so that undo and a recovered file
    restore both or neither.
    """
    used, start, end = scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end
    group[RANGE] = [int(used), start, end]
    if used and start < last and end > first:
        first, last = max(first, start), min(last, end)
    scene.use_preview_range = True
    # Setting a start beyond the end would move the end too, so the start is set first.
    scene.frame_preview_start, scene.frame_preview_end = first, last


def _restore_loop() -> None:
    """Restore the preview ranges of the scenes that a grid is in."""
    for scene in bpy.data.scenes:
        for group in scene.collection.children:
            if head.PUPPET_MARK in group and RANGE in group:
                with contextlib.suppress(*records.UNREADABLE):
                    used, start, end = group[RANGE]
                    scene.frame_preview_start, scene.frame_preview_end = start, end
                    scene.use_preview_range = bool(used)


def _caption(entry: ThunderTake) -> str:
    return f"{translated(take_list.score_text(entry))}  {entry.name}" + (" ★" if entry.star else "")


def _add_texts(
    group: bpy.types.Collection,
    entry: ThunderTake,
    place: Matrix,
    size: tuple[float, float],
    axes: Matrix,
) -> list[bpy.types.Object]:
    """Texts that face the viewer under a head: its take's score and name, and its words.

    place: matrix of the centre under the head, from the face's axes to the world.  size: distance
    between heads, and the height of one.
    """
    wide, tall = size
    letters = max(12, int(SHARE * wide / (LETTER * WORDS_SIZE * tall)))
    lines = wrap(translated(grades.words_of(entry)), letters, LINES)
    ink = next((each for each in bpy.data.materials if head.PUPPET_MARK in each), None)
    if ink is None:
        ink = bpy.data.materials.new(NAME)
        ink[head.PUPPET_MARK] = True
        ink.diffuse_color = (*INK, 1.0)
        ink.roughness = 1.0
    texts = []
    for words, below, letter, above in (
        (_caption(entry), CAPTION, CAPTION_SIZE, "CENTER"),
        ("\n".join(lines), WORDS, WORDS_SIZE, "TOP"),
    ):
        if words:
            obj = puppets.add_text(group, NAME, words, letter * tall, ("CENTER", above), ink)
            obj[head.PUPPET_MARK] = True
            at = place @ Vector((0.0, -below * tall, 0.0))
            obj.matrix_world = Matrix.Translation(at) @ axes.to_4x4()
            texts.append(obj)
    return texts


def enter(context: bpy.types.Context) -> None:
    """Show only the grid in a 3D viewport, from the front, and play."""
    area = viewport(context)
    grid, window = state.grid, context.window
    assert grid is not None  # `build` made it
    scene = bpy.data.scenes[grid.scene]
    if area is None or window is None:
        return
    _leaving.start(LOOK_SECONDS)
    layer = window.view_layer
    grid.selected = [obj.name for obj in layer.objects.selected]
    grid.active = layer.objects.active.name if layer.objects.active is not None else ""
    space, region = (
        area.spaces.active,
        next(region for region in area.regions if region.type == "WINDOW"),
    )
    grid.space = space.as_pointer()
    with context.temp_override(window=window, area=area, region=region):
        if context.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        if space.local_view is not None:
            bpy.ops.view3d.localview(frame_selected=False)
        for obj in layer.objects:
            obj.select_set(obj.name in grid.takes and obj.visible_get())
        for part, names in {"region_3d": VIEW, **CLUTTER}.items():
            settings = getattr(space, part)
            for name in (name for name in names if hasattr(settings, name)):
                grid.view[part, name] = copy(getattr(settings, name))
                if part in CLUTTER:
                    setattr(settings, name, False)
        if space.region_3d.view_perspective == "CAMERA":  # which would move with the view
            space.region_3d.view_perspective = "PERSP"
        bpy.ops.view3d.localview(frame_selected=False)
        for obj in layer.objects.selected:
            obj.select_set(False)
        layer.objects.active = None
        view = space.region_3d
        view.view_perspective, view.view_rotation = "ORTHO", grid.axes.to_quaternion()
        frame_box(area, region, grid.middle, grid.size.x, grid.size.y)
        playback.start(scene, scene.frame_preview_start)


def frame_box(
    area: bpy.types.Area, region: bpy.types.Region, middle: Vector, wide: float, tall: float
) -> None:
    """Show all of a box around a place, so wide and tall as the view has it, beside the sidebar."""
    view = area.spaces.active.region_3d
    view.view_location, view.view_distance = middle, 1.0
    view.update()
    ends = [
        view3d_utils.region_2d_to_location_3d(region, view, (x, region.height / 2), middle)
        for x in (0, region.width)
    ]
    per_pixel = (ends[1] - ends[0]).length / max(1, region.width)
    left, right = 0, 0
    if bpy.context.preferences.system.use_region_overlap:
        left, right = (
            sum(other.width for other in area.regions if other.type == kind and other.width > 1)
            for kind in ("TOOLS", "UI")
        )
    width = max(50, region.width - left - right)
    distance = max(wide / width, tall / max(50, region.height * 0.88)) * 1.04 / per_pixel
    view.view_distance = distance
    view.view_location += view.view_rotation @ Vector(
        ((right - left) / 2 * per_pixel * distance, 0.0, 0.0)
    )


def viewport(context: bpy.types.Context):
    """The 3D viewport in which the grid was started, else the largest of the window; None if there
    is none."""
    if context.window is None or bpy.app.background:
        return None
    if context.area is not None and context.area.type == "VIEW_3D":
        return context.area
    areas = [area for area in context.window.screen.areas if area.type == "VIEW_3D"]
    return max(areas, key=lambda area: area.width * area.height, default=None)


def leave() -> str:
    """Take the grid away; the view, the selection, the current frame and the file are as before.
    The action of the take whose head the animator clicked meanwhile, "" for none."""
    grid, state.grid = state.grid, None
    _restore_loop()
    if grid is None:
        puppets.remove_marked()
        return ""
    chosen = ""
    for window in bpy.context.window_manager.windows:
        objects = window.view_layer.objects
        active = objects.active
        if (
            active is not None
            and active.name in grid.takes
            and active.select_get(view_layer=window.view_layer)
        ):
            chosen = grid.takes[active.name]
        for area in window.screen.areas:
            if area.type == "VIEW_3D" and area.spaces.active.as_pointer() == grid.space:
                _look_away(window, area, grid)
        if window.scene.name == grid.scene:
            for name in grid.selected:
                if name in objects:
                    objects[name].select_set(True)
            objects.active = objects.get(grid.active) if grid.active else None
    puppets.remove_marked()
    scene = bpy.data.scenes.get(grid.scene)
    if scene is not None:
        scene.frame_set(grid.frame[0], subframe=grid.frame[1])
    return chosen


def _look_away(window: bpy.types.Window, area: bpy.types.Area, grid: _Grid) -> None:
    space, region = (
        area.spaces.active,
        next(region for region in area.regions if region.type == "WINDOW"),
    )
    if space.local_view is not None:
        with (
            contextlib.suppress(RuntimeError),
            bpy.context.temp_override(window=window, area=area, region=region),
        ):
            # without a context for it the heads are removed anyway
            bpy.ops.view3d.localview(frame_selected=False)
    for (part, name), value in grid.view.items():
        setattr(getattr(space, part), name, value)


def leave_and_show() -> str:
    """Remove the grid and show the take whose head the animator clicked, as an undo step; returns
    its name, "" for none.

    Raises ThunderError if that take cannot be shown; the grid is gone then too.
    """
    scene = bpy.data.scenes.get(state.grid.scene) if state.grid is not None else None
    action = leave()
    entry = take_list.entry_of(scene, bpy.data.actions.get(action)) if scene is not None else None
    if entry is None:
        return ""
    display.show(take_list.rig_of(scene, entry), entry)
    bpy.ops.ed.undo_push(message="Show Take")  # leaving is not an undo step, choosing is
    return entry.name


# ---- it goes by itself


def leave_when_stopped() -> float | None:
    """Checks repeatedly, so that no stop is missed, whatever stopped playback and however slowly
    the window draws."""
    if state.grid is None:
        return None
    windows = bpy.context.window_manager.windows
    if playback.is_on() or not len(windows):
        return LOOK_SECONDS
    with bpy.context.temp_override(window=windows[0]):
        jobs.pop_up_errors(leave_and_show)
    return None


_leaving = jobs.Task(leave_when_stopped, any_time=True)


@persistent
def leave_for_file(*_: object) -> None:
    """Nothing of the grid is saved, or left by an undo step in which it was there."""
    if state.grid is not None or any(head.PUPPET_MARK in group for group in bpy.data.collections):
        leave()


register, unregister = jobs.registration((("save_pre", leave_for_file),))
