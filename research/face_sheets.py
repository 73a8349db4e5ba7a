# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of the default head beside ICT-FaceKit's in takes of real voices.

`python -m research face_sheets poses DATA OUT` in the engine's environment: a take of each recording in DATA/lips, by the distributed
weights (seed 1, normal quality, the usual direction), and takes of one of them, which pauses for long enough, in eight moods at half and
full strength; a frame of each sound where it is longest and best recognised, and of each mood in silence and in a vowel. Beside them
extremes of keys and expressions. `python -m research face_sheets draw DATA OUT [--only sounds] [--few] [--alone]` in a Python that has bpy:
one picture per view, a pair in each cell, the default head on the left. Both heads are driven as the product drives them; ICT-FaceKit's is
built by it from DATA/heads/ict_facekit. Hair is hidden, the other head has none, and both get the same colour of skin. With --alone the
default head is shown alone. --webp writes small files, as the docs show them.

Nothing of the other head's mesh is kept in the repository.
"""

from __future__ import annotations

import math
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from research.harness import add_shared
from thunder_core.channels import JAW_OPEN_RADIANS
from thunder_core.request import Request

SOUNDS = "AA AE IY OW UW W M F TH S SH L".split()
MOODS = "amused sad tense angry afraid surprised disgusted contemptuous".split()
STRENGTHS = (0.5, 1.0)
# Title → channels (a name without Left or Right means both) and the jaw's angle [rad].
EXTREMES: dict[str, dict[str, float]] = {
    "neutral": {},
    "jawOpen": dict(jaw=JAW_OPEN_RADIANS),
    "mouthSmile": dict(mouthSmile=1),
    "mouthPucker": dict(mouthPucker=1),
    "mouthFunnel": dict(mouthFunnel=1),
    "surprise": dict(jaw=0.12, browInnerUp=1, browOuterUp=1, eyeWide=1),
    "anger": dict(browDown=1, eyeSquint=0.6, mouthPress=0.8, noseSneer=0.3),
    "sadness": dict(browInnerUp=1, mouthFrown=0.8, mouthShrugLower=0.4, eyeBlink=0.25),
    "disgust": dict(noseSneer=1, mouthUpperUp=0.7, browDown=0.6, eyeSquint=0.7, mouthFrown=0.3, jaw=0.04),
    "cheekPuff": dict(cheekPuff=1),
    "th": dict(jaw=0.08, tongueOut=0.5, tongueTipUp=0.1, mouthLowerDown=0.2),
    "laugh": dict(jaw=0.1, mouthSmile=0.9, mouthUpperUp=0.45, mouthLowerDown=0.35, cheekSquint=0.7, eyeSquint=0.5, browInnerUp=0.2),
}
VOWELS = ("AA", "AE", "AO", "AY", "EH", "AH")
VIEWS = {"front": 0, "three-quarter": 38, "side": 90}
MOOD_VIEW = "three-quarter"
MOOD_VOICE_SECONDS = 20.0  # longest voice used for the moods
REST_SECONDS = 0.9  # least pause in which a face is at rest
OPEN_LIDS = 0.4  # eyeBlink below which a frame is not part of a blink
COLUMNS = 4  # pairs per row
# metres: the camera's distance, and its aim behind and below the eyes; for sounds, for moods
CLOSE, FAR = (0.46, (-0.005, -0.060)), (0.6, (0.04, -0.045))
_WEBP_QUALITY = 85
EYES_OF_OURS = (0.0, -0.061, 0.0)  # metres, in Blender's axes; the other head's are at its origin
# First polygon of each material of ICT-FaceKit's published mesh, as its README has them.
ICT_MATERIALS = {
    0: "M_Face", 9230: "M_BackHead", 14034: "M_GumsTongue", 17006: "M_Teeth", 21496: "M_ScleraLeft", 22296: "M_IrisLeft",
    23094: "M_ScleraRight", 23894: "M_IrisRight", 24692: "M_LacrimalFluid", 25018: "M_EyeBlend", 25048: "M_EyeOcclusion",
    25304: "M_EyeLashes",
}  # fmt: skip


def poses(data: Path, out: Path) -> None:
    """Write OUT/poses.npz: names [N] of the cells, expression [N, n], jaw and eyes [N, 3]."""
    from research.faces.lip_clips import SILENT, spoken_phones
    from research.harness import required
    from thunder_core.direction import Brief, Direction, Style
    from thunder_core.engine.engine import Engine
    from thunder_core.engine.speech.audio import read_sound
    from thunder_core.engine.speech.phones import PHONES
    from thunder_core.types import FPS, Motion

    lips = required(data / "lips", "a folder of voices with aligned phones")
    phones, engine = spoken_phones(lips), Engine.load(None)
    channels = list(engine.head.expression_names)
    lids = [channels.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight")]
    sounds = {voice: read_sound(lips / f"{voice}.wav") for voice in sorted(phones)}
    beliefs = {voice: _belief(engine, sound) for voice, sound in sounds.items()}  # [N, 40] at 50 Hz

    def take(voice: str, asked: Brief) -> Motion:
        return engine.generate(sounds[voice], Request(1, 1, direction=asked))[0].motion

    def clearest(symbols, voices) -> tuple[str, float, float]:
        """(voice, start, end) of the longest of these phones that is also recognised."""

        def recognised(voice, said) -> float:
            first, last = round(50 * said.start), max(round(50 * said.end), round(50 * said.start) + 1)
            return float(beliefs[voice][first:last, PHONES.index(said.symbol)].sum())

        said = [(voice, phone) for voice in voices for phone in phones[voice] if phone.symbol in symbols]
        spans = [(recognised(voice, phone), voice, phone.start, phone.end) for voice, phone in said]
        return max(spans)[1:]

    def frame_of(motion: Motion, start: float, end: float) -> int:
        """The frame next to the middle of a stretch in which the face does not blink."""
        within = np.arange(max(0, round(start * FPS)), min(max(round(end * FPS), round(start * FPS) + 1), motion.frames))
        shut = motion.expression[within][:, lids].max(1) > OPEN_LIDS
        return int(within[np.argmin(np.abs(within - (start + end) / 2 * FPS) + 1e3 * shut)])

    usual, cells = {}, {}
    for sound in SOUNDS:
        voice, start, end = clearest((sound,), list(sounds))
        usual.setdefault(voice, take(voice, Brief(Direction().vector()[None], spread=0.0)))
        cells[sound] = (usual[voice], frame_of(usual[voice], start, end))
        print(f"{sound}: {voice}, {start:.2f} s to {end:.2f} s", flush=True)
    silences = {voice: max((p.end - p.start, p.start, p.end) for p in phones[voice] if p.symbol in SILENT) for voice in phones}
    fit = [voice for voice, sound in sounds.items() if sound.seconds <= MOOD_VOICE_SECONDS and silences[voice][0] >= REST_SECONDS]
    voice, *vowel = clearest(VOWELS, fit)
    silence = silences[voice][1:]
    for mood in MOODS:
        for strength in STRENGTHS:
            motion = take(voice, Brief(Direction(Style(), mood, strength).vector()[None], spread=0.0))
            cells[f"{mood} {strength:.0%} at rest"] = (motion, frame_of(motion, *silence))
            cells[f"{mood} {strength:.0%} speaking"] = (motion, frame_of(motion, *vowel))
    for name, keys in EXTREMES.items():
        both = [keys.get(channel, keys.get(channel.removesuffix("Left").removesuffix("Right"), 0.0)) for channel in channels]
        cells[name] = (Motion(np.array([both]), np.array([[keys.get("jaw", 0.0), 0.0, 0.0]]), np.zeros((1, 3)), np.zeros((1, 3))), 0)
    out.mkdir(parents=True, exist_ok=True)
    np.savez(
        out / "poses.npz",
        names=np.array(list(cells)),
        channels=np.array(channels),
        expression=np.array([motion.expression[frame] for motion, frame in cells.values()]),
        jaw=np.array([motion.jaw[frame] for motion, frame in cells.values()]),
        eyes=np.array([motion.eyes[frame] for motion, frame in cells.values()]),
    )
    print(f"{out / 'poses.npz'}: {len(cells)} poses; takes of {len(usual)} voices, and of {voice} in moods; weights {engine.weights}")


def _belief(engine, sound) -> np.ndarray:
    """Phone probabilities [N, 40] at 50 Hz, as the engine's encoder has them."""
    from thunder_core.engine.speech.encoder import softmax

    return softmax(engine.thunder.encoder.analyse(sound.samples)[1])


def write_ict(data: Path, folder: Path) -> Path:
    """The OBJ files of ICT-FaceKit's FaceXModel, from the archive in DATA, in a folder; the folder."""
    with np.load(data / "heads" / "ict_facekit" / "head.npz") as archive:
        points, faces = archive["vertices"].astype(float), archive["faces"]
        shapes = {str(name): offset.astype(float) for name, offset in zip(archive["names"], archive["shapes"])}
    lines = []
    for number, face in enumerate(faces.tolist()):
        if number in ICT_MATERIALS:
            lines.append(f"usemtl {ICT_MATERIALS[number]}")
        lines.append("f " + " ".join(f"{v + 1}" for v in face if v >= 0))
    tail = "\n".join(lines) + "\n"
    for name, moved in {"generic_neutral_mesh": points, **{name: points + offset for name, offset in shapes.items()}}.items():
        rows = ("v %.6f %.6f %.6f\n" * len(moved)) % tuple(moved.ravel())
        (folder / f"{name}.obj").write_text(rows + tail)
    return folder


def draw(data: Path, out: Path, size: int, only: str, few: bool, alone: bool, suffix: str) -> None:
    """Write a picture for every view of the sounds, of the moods and of the extremes."""
    import bpy

    import bake
    from research import head_sheet
    from research.harness import required

    if not alone:
        required(data / "heads" / "ict_facekit" / "head.npz", "ICT-FaceKit's head, which the default one is compared with")
    archive = np.load(required(out / "poses.npz", "run `poses` first"))
    names = [str(name) for name in archive["names"]]
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bake.load_extension()
    scene = bpy.context.scene
    camera = head_sheet.stage(scene, size, 0)
    from thunder.scene.heads import head

    with tempfile.TemporaryDirectory() as folder:
        ours = head.build(scene.collection, bpy.context.view_layer)
        rigs = {True: ours}
        if not alone:
            bpy.ops.thunder.add_ict_head(directory=str(write_ict(data, Path(folder))))
            rigs[False] = head.find(scene)
            _same_skin(ours.mesh, rigs[False].mesh)
        pictures = {True: {}, False: {}}
        moods = [name for name in names if name not in SOUNDS and name not in EXTREMES]
        views = [(name, view) for name in SOUNDS for view in VIEWS] if only in ("all", "sounds") else []
        views += [(name, MOOD_VIEW) for name in moods] if only in ("all", "moods") else []
        views += [(name, MOOD_VIEW) for name in EXTREMES] if only == "extremes" else []
        if few:
            views = [(name, view) for name, view in views if view == "front" or name in EXTREMES or f"{STRENGTHS[-1]:.0%}" in name]
        for default, rig in rigs.items():
            _show_alone(rig, *rigs.values())
            eyes = np.array(EYES_OF_OURS) if default else np.array(rig.owner.matrix_world.translation)
            for name, view in views:
                _pose(rig, archive, names.index(name))
                _aim(camera, eyes, VIEWS[view], *(CLOSE if name in SOUNDS else FAR))
                pictures[default][name, view] = _rendered(scene, folder)

    def pair(name: str, view: str) -> np.ndarray:
        if alone:
            return pictures[True][name, view]
        both = np.concatenate([pictures[True][name, view], pictures[False][name, view]], 1)
        return np.pad(both, ((3, 3), (3, 3), (0, 0)), constant_values=1.0)

    groups = {view: [cell for cell in views if cell[1] == view and cell[0] in SOUNDS] for view in VIEWS}
    groups["moods"] = [cell for cell in views if cell[0] in moods]
    groups["extremes"] = [cell for cell in views if cell[0] in EXTREMES]
    for group, cells in groups.items():
        if cells:
            _save([pair(*cell) for cell in cells], out / f"workbench_{group}.{suffix}", COLUMNS)
            print(f"workbench_{group}.{suffix}: {'; '.join(name for name, _ in cells)}")


def _show_alone(rig, *all_rigs) -> None:
    for other in all_rigs:
        for obj in {other.mesh, *other.objects}:
            obj.hide_render = other is not rig or obj.type != "MESH" or "thunder_hair" in obj
    rig.mesh.hide_render = False


def _same_skin(ours, theirs) -> None:
    """Give the other head the colour of the default one's skin, in Workbench and in shaders."""
    colour = next(slot.material for slot in ours.material_slots if "Skin" in slot.material.name).diffuse_color[:]
    for slot in theirs.material_slots:
        if "Face" in slot.material.name or "BackHead" in slot.material.name:
            slot.material.diffuse_color = colour
            for node in slot.material.node_tree.nodes:
                if node.type == "BSDF_PRINCIPLED":
                    node.inputs["Base Color"].default_value = colour


def _pose(rig, archive, number: int) -> None:
    """Put a head into a pose, as a take would."""
    from thunder.scene.heads import rna_paths
    from thunder.thunder_core.types import Motion

    frame = slice(number, number + 1)
    motion = Motion(archive["expression"][frame], archive["jaw"][frame], np.zeros((1, 3)), archive["eyes"][frame])
    values = rig.driver.drive(motion, [str(name) for name in archive["channels"]])[0]
    for track, value in zip(rig.driver.tracks, values):
        rna_paths.put(rig.targets[track.block], track.path, track.index, value)
    for target in rig.targets:
        target.update_tag()


def _aim(camera, eyes: np.ndarray, degrees: float, distance: float, aim: tuple[float, float]) -> None:
    from mathutils import Vector

    angle, target = math.radians(degrees), Vector(eyes) + Vector((0.0, *aim))
    away = Vector((math.sin(angle), -math.cos(angle), 0.04)).normalized()
    camera.location = target + distance * away
    camera.rotation_euler = (-away).to_track_quat("-Z", "Y").to_euler()


def _rendered(scene, folder: str) -> np.ndarray:
    """The picture through the scene's camera, [height, width, 3], top row first."""
    import bpy

    scene.render.filepath = str(Path(folder) / "view.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    pixels = np.array(image.pixels[:], np.float32).reshape(image.size[1], image.size[0], 4)[::-1, :, :3]
    bpy.data.images.remove(image)
    return pixels


def _save(pairs: list[np.ndarray], path: Path, columns: int) -> None:
    import bpy

    pairs = pairs + [np.ones_like(pairs[0])] * (-len(pairs) % columns)
    rows = [np.concatenate(pairs[i : i + columns], 1) for i in range(0, len(pairs), columns)]
    sheet = np.concatenate(rows, 0)[::-1]
    sheet = np.concatenate([sheet, np.ones((*sheet.shape[:2], 1), np.float32)], 2)
    picture = bpy.data.images.new("Sheet", sheet.shape[1], sheet.shape[0])
    picture.pixels.foreach_set(np.ascontiguousarray(sheet, np.float32).ravel())
    picture.filepath_raw, picture.file_format = str(path.resolve()), path.suffix[1:].upper()
    picture.save(quality=_WEBP_QUALITY)


def add_arguments(parser: ArgumentParser) -> None:
    """Add this bench's options."""
    steps = parser.add_subparsers(dest="step", required=True)
    for name in ("poses", "draw"):
        step = steps.add_parser(name)
        add_shared(step, "data")
        step.add_argument("out", type=Path)
        if name == "draw":
            step.add_argument("--size", type=int, default=150, help="width of one head in pixels")
            step.add_argument("--few", action="store_true", help="sounds from the front and moods at full strength alone")
            step.add_argument("--alone", action="store_true", help="the default head without the other")
            step.add_argument("--only", choices=("all", "sounds", "moods", "extremes"), default="all")
            step.add_argument("--webp", action="store_true", help="small files")


def run(options: Namespace) -> None:
    """Sample the poses, or draw them."""
    if options.step == "poses":
        poses(options.data, options.out)
    else:
        suffix = "webp" if options.webp else "png"
        draw(options.data, options.out, options.size, options.only, options.few, options.alone, suffix)
