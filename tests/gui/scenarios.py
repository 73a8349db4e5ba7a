# SPDX-License-Identifier: GPL-3.0-or-later
"""What an animator does in a window, step by step: each yields the seconds to wait, and notes in
`hand.seen` what it saw."""

import time
from pathlib import Path

import bpy
import numpy as np
from thunder.panels import modules as panel_modules
from thunder.scene.engine import connection
from thunder.scene.heads import character, head
from thunder.scene.host import handlers, jobs
from thunder.scene.host.session import session
from thunder.scene.voice import mixdown, strip as strip_module
from thunder.thunder_core.face import conventions

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = str(ROOT / "assets" / "sample.wav")
MODULE = "bl_ext.user_default.thunder"
PATIENCE = 240  # seconds for the takes of the sample, on two busy cores
TAKES, SEED = 8, 11


def only_open(*names):
    """Leave the panels of these names open, and those they stand in, and fold the others, as clicks
    on their headers would."""
    # All are registered again, parents first: a panel whose parent goes stands beside it from then
    # on.
    panels = sorted(
        (
            each
            for module in panel_modules()
            for each in handlers.classes_of(module)
            if issubclass(each, bpy.types.Panel)
        ),
        key=lambda panel: hasattr(panel, "bl_parent_id"),
    )
    wanted = {f"THUNDER_PT_{name}" for name in names}
    wanted |= {
        panel.bl_parent_id
        for panel in panels
        if panel.__name__ in wanted and hasattr(panel, "bl_parent_id")
    }
    for panel in reversed(panels):
        bpy.utils.unregister_class(panel)
    for panel in panels:
        options = set(getattr(panel, "bl_options", set()))
        if "HIDE_HEADER" not in options:
            panel.bl_options = options - {"DEFAULT_CLOSED"} | (
                set() if panel.__name__ in wanted else {"DEFAULT_CLOSED"}
            )
        bpy.utils.register_class(panel)


def scene_with_voice_and_head(hand):
    """An empty shot with the sample in the sequencer and the bundled head, looked at from the
    front."""
    with hand.context():
        bpy.ops.object.select_all(action="SELECT")
        bpy.ops.object.delete()
    hand.scene.render.fps = 25
    editor = hand.scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = strips.new_sound("dialogue", SAMPLE, 1, 1)
    hand.scene.frame_end = int(strip.frame_final_end)
    with hand.context():
        assert bpy.ops.thunder.add_head() == {"FINISHED"}
        bpy.ops.view3d.view_axis(type="FRONT")
        bpy.ops.view3d.view_selected()
        bpy.ops.object.select_all(action="DESELECT")
    overlay = hand.viewport.spaces.active.overlay
    overlay.show_bones = overlay.show_cursor = overlay.show_object_origins = False
    hand.scene.thunder.count = TAKES
    hand.scene.thunder.seed = SEED
    yield 0.5
    yield from hand.open_tab("Thunder")


def until(condition, what="this", patience=PATIENCE):
    """Steps that wait until something is so."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, (
            f"{what}: waited {patience} seconds, at {session.job and session.job.step}"
        )
        yield 0.005


def done(patience=PATIENCE):
    """Steps that wait until nothing runs any more."""
    yield 0.3
    yield from until(lambda: session.job is None, "work", patience)
    yield 0.7


def takes_of(scene):
    return [
        {
            "score": take.score,
            "seed": take.seed,
            "action": take.action.name if take.action else None,
            "curve": take.curve,
        }
        for take in scene.thunder.takes
    ]


def generate(hand):
    """Steps that click the main button and wait until nothing runs any more, noting how long the
    window was held."""
    held = time_slices()
    x, y = hand.main_button(hand.photograph("ready"))
    yield from hand.click(x, y)
    end = time.monotonic() + PATIENCE
    yield from until(lambda: session.job is not None, "the click started nothing")
    hand.seen["pid"] = connection.client().pid
    messages, half_way = [], False
    while session.job is not None:
        assert time.monotonic() < end, f"still at {session.job.step}"
        step = session.job.step
        if not messages or messages[-1] != step.message:
            messages.append(step.message)
        if step.fraction > 0.4 and not half_way:
            half_way = True
            hand.photograph("working")
        yield 0.02
    hand.seen["messages"] = messages
    hand.seen["held"] = held
    yield 1.0


def time_slices():
    """Lets every slice of our work be timed; the list fills with (processor seconds, message)."""
    held, advance = [], jobs.Job.advance

    def timed(self, *arguments):
        before = time.thread_time()  # not the clock: on a busy machine that counts what others do
        try:
            return advance(self, *arguments)
        finally:
            held.append((time.thread_time() - before, self.step.message))

    jobs.Job.advance = timed
    return held


def pose(scene, frame):
    """How far the jaw is open at a frame, radians, and the values of all shape keys."""
    scene.frame_set(frame)
    rig = next(o for o in scene.objects if o.type == "ARMATURE")
    jaw = rig.pose.bones["jaw"].matrix_basis.to_quaternion().angle
    mesh = next(o for o in scene.objects if o.type == "MESH" and o.data.shape_keys)
    return [jaw, *(key.value for key in mesh.data.shape_keys.key_blocks)]


def generates_takes(hand):
    yield from scene_with_voice_and_head(hand)
    scene = hand.scene
    yield from generate(hand)
    hand.seen["takes"] = takes_of(scene)
    hand.seen["shown"] = scene.thunder.active_take
    hand.seen["provenance"] = [take.action["thunder"].to_dict() for take in scene.thunder.takes]
    frames = range(scene.frame_start, scene.frame_end + 1, 2)
    hand.seen["best"] = [pose(scene, frame) for frame in frames]
    # The frame with the widest mouth makes the picture that shows most.
    widest = frames[max(range(len(frames)), key=lambda i: hand.seen["best"][i][0])]
    scene.frame_set(widest)
    yield 1.0
    hand.photograph("takes")
    scene.thunder.active_take = 2
    yield 0.5
    hand.seen["third"] = [pose(scene, frame) for frame in frames]
    scene.frame_set(widest)
    yield 0.5
    hand.photograph("third_take")


def cancels_with_escape(hand):
    yield from scene_with_voice_and_head(hand)
    before = {
        name: len(getattr(bpy.data, name)) for name in ("actions", "objects", "sounds", "scenes")
    }
    # minutes, if nobody stopped it
    hand.scene.thunder.count, hand.scene.thunder.quality = 64, "FINAL"
    x, y = hand.main_button(hand.photograph("ready"))
    yield from hand.click(x, y)
    yield from until(
        lambda: session.job is not None and session.job.step.fraction >= 0.06,
        "the click started nothing",
    )
    hand.seen["pid"] = connection.client().pid
    pressed = time.monotonic()
    hand.press("ESC")
    yield from until(lambda: session.job is None, "Esc", 20)
    hand.seen["seconds_to_stop"] = time.monotonic() - pressed
    hand.seen["takes"] = takes_of(hand.scene)
    hand.seen["left"] = {
        name: len(getattr(bpy.data, name)) - count for name, count in before.items()
    }
    yield 0.5
    hand.photograph("cancelled")


def generates_after_escape(hand):
    """Esc, then Generate: with the strip as its file sounds, softer, and driven so that only
    Blender can mix it down."""
    yield from scene_with_voice_and_head(hand)
    hand.scene.thunder.count, hand.scene.thunder.quality = 1, "DRAFT"
    line = strip_module.by_name(hand.scene, "dialogue")
    voice = strip_module.of_strip(hand.scene, line)
    path = str(Path(hand.folder) / "sound.wav")

    def sound(work):
        for _ in work:
            yield 0.02
        with open(path, "rb") as file:
            return np.frombuffer(file.read()[44:], "<f4")

    read = yield from sound(mixdown.mix_down(voice, path))
    mixed = yield from sound(mixdown._mix_with_blender(voice, hand.scene, line, path))
    count = min(len(read), len(mixed))
    hand.seen["lengths"] = [len(read), len(mixed)]
    hand.seen["alike"] = float(np.corrcoef(read[:count], mixed[:count])[0, 1])
    hand.seen["takes"], by_blender = [], mixdown._mix_with_blender
    mixdown._mix_with_blender = lambda *given: (
        hand.seen.update(by_blender=len(hand.seen["takes"])) or by_blender(*given)
    )
    for change in (
        lambda: None,
        lambda: setattr(line, "volume", 0.5),
        lambda: line.driver_add("volume"),
    ):
        change()
        hand.scene.thunder.takes.clear()
        hand.press_escape_on_screen()
        yield 1.0
        hand.call(bpy.ops.thunder.generate, "INVOKE_DEFAULT")
        yield from until(lambda: session.job is None)
        hand.seen["takes"].append(len(hand.scene.thunder.takes))


def head_with_a_take(hand):
    """An empty shot with the bundled head and a take on it that was made here; gives the scene and
    the rig at the end."""
    import sys

    sys.path.append(str(ROOT / "tests" / "blender"))
    import round_trip

    yield from scene_with_voice_and_head(hand)
    rig = head.find(hand.scene)
    round_trip.show(rig, hand.scene)
    yield 0.3
    return hand.scene, rig


def plays(hand):
    """How many frames a second the window plays, as fast as it can: with nothing in it, with the
    head, with its materials."""
    hand.seen["version"], hand.seen["size"] = (
        bpy.app.version_string,
        [hand.window.width, hand.window.height],
    )
    import gpu

    hand.seen["renderer"] = gpu.platform.renderer_get()
    with hand.context():
        bpy.ops.object.select_all(action="SELECT")
        bpy.ops.object.delete()
    hand.seen["empty"] = yield from frame_rate(hand)
    yield from head_with_a_take(hand)
    hand.scene.frame_start, hand.scene.frame_end = 11, 26
    hand.seen["head_solid"] = yield from frame_rate(hand)
    hand.viewport.spaces.active.shading.color_type = "MATERIAL"
    hand.seen["head"] = yield from frame_rate(hand)
    hand.photograph("played")


def frame_rate(hand, frames=16, most_seconds=25.0):
    """Steps that play the scene as fast as the window can; gives frames a second and processor
    milliseconds a frame."""
    scene, shown, spent = hand.scene, [], []

    def count(*_):
        shown.append(time.monotonic())
        spent.append(time.process_time())

    scene.render.fps, scene.sync_mode = 1000, "NONE"
    bpy.app.handlers.frame_change_post.append(count)
    try:
        hand.call(bpy.ops.screen.animation_play)
        yield 1.0
        shown.clear()
        spent.clear()
        end = time.monotonic() + most_seconds
        while len(shown) < frames and time.monotonic() < end:
            yield 0.5
    finally:
        bpy.app.handlers.frame_change_post.remove(count)
        hand.call(bpy.ops.screen.animation_cancel, restore_frame=False)
    scene.render.fps = 25
    yield 0.5
    steps = len(shown) - 1
    return {
        "fps": steps / (shown[-1] - shown[0]),
        "processor_ms": 1e3 * (spent[-1] - spent[0]) / steps,
    }


def mara(hand):
    """Steps that make a character of several meshes with another program's names out of the bundled
    head; gives its face.

    Four bones and most shapes as Character Creator 4 calls them; noses that do not sneer and
    tongues without tips.
    """
    with hand.context():
        bpy.ops.object.select_all(action="SELECT")
        bpy.ops.object.delete()
        bpy.ops.thunder.add_head()
    face = hand.scene.thunder.head
    rig = face.parent
    for key in [name for name in rig.keys() if name.startswith("thunder")]:
        del rig[key]
    convention = next(c for c in conventions.conventions() if c.name == "reallusion_cc4")
    for block in list(face.data.shape_keys.key_blocks)[1:]:
        names = convention.keys.get(block.name, ())
        if not names or "Sneer" in block.name or block.name in ("tongueTipUp", "tongueBladeUp"):
            face.shape_key_remove(block)
        else:
            block.name = next(iter(names[0]))
    for ours, theirs in (
        ("jaw", "CC_Base_JawRoot"),
        ("neck", "CC_Base_Head"),
        ("eye_left", "CC_Base_L_Eye"),
        ("eye_right", "CC_Base_R_Eye"),
    ):
        rig.data.bones[ours].name = theirs
    rig.name, face.name = "Mara Rig", "Mara"
    with hand.context():
        bpy.ops.object.mode_set(mode="EDIT")
        bpy.ops.mesh.separate(type="MATERIAL")
        bpy.ops.object.mode_set(mode="OBJECT")
    faces = [part for part in rig.children if part.data.shape_keys]
    for part in rig.children:
        part.name = "Mara " + part.material_slots[0].material.name.removeprefix("Thunder ").title()
        part.name = (
            "Mara" if part == max(faces, key=lambda other: len(other.data.vertices)) else part.name
        )
    hand.scene.thunder.head = bpy.data.objects["Mara"]
    rig.hide_set(True)
    with hand.context():
        bpy.ops.view3d.view_axis(type="FRONT")
        bpy.ops.object.select_all(action="DESELECT")
        bpy.data.objects["Mara"].select_set(True)
        hand.window.view_layer.objects.active = bpy.data.objects["Mara"]
        bpy.ops.view3d.view_selected()
        bpy.ops.object.select_all(action="DESELECT")
    hand.viewport.spaces.active.shading.color_type = "MATERIAL"
    overlay = hand.viewport.spaces.active.overlay
    overlay.show_cursor = overlay.show_object_origins = overlay.show_floor = overlay.show_axis_x = (
        overlay.show_axis_y
    ) = False
    yield 0.5
    return bpy.data.objects["Mara"]


def maps_a_character(hand):
    """A character is found, its table shown, a row previewed, changed by hand, and its pose comes
    back."""
    only_open("main", "character")
    face = yield from mara(hand)
    scene = hand.scene
    strip_module.add(scene, SAMPLE, "dialogue", 1)
    yield from hand.open_tab("Thunder")
    rig = head.find(scene)
    hand.seen["channels"] = len(rig.channels)
    hand.seen["plan"] = character.plan_of(face).name
    hand.seen["meshes"] = sorted(
        obj.name
        for obj in scene.objects
        if obj.type == "MESH" and obj.data.shape_keys in rig.targets
    )
    assert hand.call(bpy.ops.thunder.show_mapping) == {"FINISHED"}
    hand.seen["rows"] = [
        [row.source, row.kind, row.target or row.bone] for row in scene.thunder.table
    ]
    rest = lips(face)
    index = next(i for i, row in enumerate(scene.thunder.table) if row.source == "mouthFunnel")
    scene.thunder.table_index = index
    scene.thunder.preview = True
    yield 2.0
    hand.seen["previewed_mm"] = moved(face, rest)
    yield from open_popover(hand, "THUNDER_PT_character")
    hand.photograph("character")
    hand.press("ESC")
    yield 0.5
    row = scene.thunder.table[index]
    row.weight = 0.5
    yield 0.5
    hand.seen["halved_mm"] = moved(face, rest)
    scene.thunder.preview = False
    yield 0.5
    hand.seen["rest_mm"] = moved(face, rest)
    hand.seen["kept"] = [
        rule.weight for rule in character.plan_of(face).rules if rule.source == "mouthFunnel"
    ]


def open_popover(hand, name):
    """Steps that open a panel beside the sidebar, as its button does."""
    region = hand.sidebar
    x, y = region.x - region.width, region.y + region.height - 100
    hand.window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=x, y=y)
    yield 0.3
    hand.call(bpy.ops.wm.call_panel, name=name)
    yield 1.5


def lips(face):
    """Positions of a mesh's evaluated vertices, [V, 3] metres."""
    evaluated = face.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = evaluated.to_mesh()
    points = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", points)
    evaluated.to_mesh_clear()
    return points.reshape(-1, 3)


def moved(face, rest):
    """The farthest that any vertex of a mesh is from where it was, millimetres."""
    import numpy as np

    return float(np.linalg.norm(lips(face) - rest, axis=1).max() * 1e3)
