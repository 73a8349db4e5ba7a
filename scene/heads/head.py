# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads in a Blender file: adds the bundled ones, finds existing ones, explains why one cannot be
used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import bpy
import numpy as np
from mathutils import Vector

from ...thunder_core.errors import BadHead
from ...thunder_core.face import mapping
from ...thunder_core.face.head import load_head
from ...thunder_core.face.moving.displacement import RigMeter
from ...thunder_core.face.moving.driving import Driver, shows_all, Track
from ...thunder_core.shipped import WEIGHTS
from ...thunder_core.types import TONGUE
from ..host import compat
from ..host.redraw import once
from . import binding, character, detection, drawn, family, flame, rna_paths
from .build import armature_of, build as _build, enliven, HAIR_MARK

ASSET = WEIGHTS / "head.npz"
# bundled heads by file, with menu names
PEOPLE = {"HEAD": "Thunder Head", "WOMAN": "Woman", "MAN": "Man", "OLDER_MAN": "Older Man"}
_LINED = {"OLDER_MAN": 0.35}  # how deep wrinkles are at rest, 0 … 1
# property of a temporary copy, which is never taken for one of the animator's heads
PUPPET_MARK = "thunder_stand_in"
# gaps between an added head and its neighbour, as a share of the head's width, and what is below
# it, of its height
_BESIDE, _ABOVE = 0.1, 1.2
_SET = 20.0  # width in head widths above which a mesh is a set, not a body


@dataclass(frozen=True)
class Rig:
    """A head that can be animated.

    mesh: the object that represents its face (its armature if the face has only bones).  armature:
    its armature object if it is one of ours.  targets: the data-blocks that a take animates, in the
    order of their stored curves.
    driver: converts a motion into their values and back.  channels: the expression channels with an
    effect.
    objects: a character's objects, the face first.  unbound_rules: of its mapping, without a
    target.
    """

    mesh: bpy.types.Object
    armature: bpy.types.Object | None
    targets: tuple
    driver: Driver
    channels: tuple[str, ...]
    objects: tuple = ()
    unbound_rules: tuple = ()

    @property
    def vanished(self) -> str:
        """The sentence that a character lost a mouth or drawing of the animator's; "" if it did
        not."""
        rules = [each for each in self.unbound_rules if isinstance(each, mapping.Rule)]
        lost = [r for r in rules if mapping.is_mouth(r.source) or r.target.kind in mapping.DRAWN]
        if not lost:
            return ""
        to, source = lost[0].target, lost[0].source
        name = f"“{to.name or to.bone or to.object}”"
        if to.kind in mapping.NUMBERED:
            name = f"Number {lost[0].weight:.0f} of {name}"
        what = f"the mouth for {source}" if mapping.is_mouth(source) else f"shown for {source}"
        more = f" ({len(lost) - 1} more)" if len(lost) > 1 else ""
        return (
            f"{name}, {what}, is no longer on “{self.owner.name}”{more}: choose another for that "
            f"row in Thunder Character"
        )

    @property
    def warnings(self) -> list[str]:
        """Sentences on a character that lost a mouth, has nothing that turns its head, or moves or
        shows otherwise than it says."""
        if self.armature is not None:
            return []
        has_neck = any(name.split(".")[0] == "neck" for name in self.driver.used)
        still = (
            f"“{self.owner.name}” has no bone for its neck, so its head keeps still: what "
            f"takes do with the head is not seen"
        )
        faults = (
            drawn.faults_of(self.mesh, character.plan_of(self.mesh))
            if self.driver.is_drawn
            else ["" if has_neck else still, *character.faults_of(self.mesh)]
        )
        return list(filter(None, [self.vanished, *faults]))

    @property
    def has_jaw(self) -> bool:
        """Whether a key or a bone opens its jaw, and not drawn mouths alone."""
        return bool({"jawOpen", "jaw.x"} & self.driver.used)

    @property
    def has_mouths_alone(self) -> bool:
        """Whether it shows mouths of sounds, drawn or posed, and no channel opens it: what is read
        of it says which mouth is seen, and not how lips of a take move."""
        return bool(self.driver.leads) and not self.has_jaw

    @property
    def sums(self) -> mapping.Sums | None:
        """The head's limits as the engine gets them, so that it scores and describes takes as they
        look on it; None if it shows everything, or posed mouths instead of channels."""
        if self.driver.is_drawn:
            return self.driver.seen(channel_names())  # type: ignore[attr-defined]  # a DrawnDriver
        sums = None if self.has_mouths_alone else self.driver.sums
        return None if sums is None or shows_all(channel_names(), sums) else sums

    @property
    def keys(self):
        """The shape-key data-block of the face, None without one."""
        return self.mesh.data.shape_keys if self.mesh.type == "MESH" else None

    @property
    def owner(self) -> bpy.types.Object:
        """The object that represents the head: where its state is stored, and whose name the panel
        shows."""
        return self.armature or self.mesh

    @property
    def meter(self) -> RigMeter:
        """Measures what values of its tracks show, in millimetres of its own face."""
        opens = 0.0
        if self.armature is None and not self.driver.is_drawn:
            seen = detection.reach_of(self.mesh, character.plan_of(self.mesh))
            opens = max(seen.shown["open"][0], 0.0) if seen.upper else 0.0
        turns = tuple(map(tuple, rna_paths.rotations(self.driver.tracks)))
        return RigMeter(self.driver, channel_names(), turns, opens)

    def tracks_of(self, target: compat.Animated) -> list[tuple[int, Track]]:
        """The tracks of one of the targets, each with its index in the driver."""
        block = self.targets.index(target)
        return [
            (place, track) for place, track in enumerate(self.driver.tracks) if track.block == block
        ]

    def values(self) -> list[float]:
        """The values of all tracks as they are set now."""
        return [
            rna_paths.value(self.targets[track.block], track.path, track.index)
            for track in self.driver.tracks
        ]

    def set_values(self, values: Sequence[float]) -> None:
        """Set the values of all tracks."""
        for track, value in zip(self.driver.tracks, values):
            rna_paths.set_value(self.targets[track.block], track.path, track.index, value)
        rna_paths.tag(self.targets)

    def evaluate(self, depsgraph: bpy.types.Depsgraph) -> np.ndarray:
        """The values of all tracks as the scene evaluates them, [tracks]."""
        values = np.empty(len(self.driver.tracks))
        for target in self.targets:
            places, tracks = zip(*self.tracks_of(target))
            values[[*places]] = rna_paths.evaluate(
                target, [(track.path, track.index) for track in tracks], depsgraph
            )
        return values


@lru_cache(maxsize=1)
def channel_names() -> tuple[str, ...]:
    """The expression channels of the bundled head, in the model's order."""
    try:
        with np.load(ASSET, allow_pickle=False) as asset:
            return tuple(str(name) for name in asset["expression_names"])
    except (OSError, ValueError) as error:
        raise BadHead(
            f"The bundled head cannot be read ({ASSET.name}): reinstall the add-on"
        ) from error


# reading takes half of the time that a second head needs
_load_bundled = lru_cache(maxsize=len(PEOPLE))(load_head)


def build(
    collection: bpy.types.Collection,
    view_layer: bpy.types.ViewLayer,
    location: Sequence[float] | Vector = (0.0, 0.0, 0.0),
    person: str = "HEAD",
) -> Rig:
    """Add a bundled head, one of PEOPLE, to a collection, mesh active and selected. Needs object
    mode. Under a second."""
    path = ASSET if person == "HEAD" else WEIGHTS / f"head_{person.lower()}.npz"
    try:
        model = _load_bundled(path)
    except BadHead as error:
        raise BadHead(
            f"The bundled head cannot be read ({path.name}): reinstall the add-on"
        ) from error
    mesh, armature = _build(model, PEOPLE[person], collection, view_layer, location)
    enliven(mesh, armature, model, _LINED.get(person, 0.0))
    return resolve(mesh)


def fit_to_units(scene: bpy.types.Scene, mesh: bpy.types.Object) -> None:
    """Give a head that was just added, in metres, its size in the scene's units."""
    metres = scene.unit_settings.scale_length  # of a unit: 0.01 in a scene in centimetres
    if scene.unit_settings.system != "NONE" and metres > 0.0 and abs(metres - 1.0) > 1e-6:
        root = _root_object(mesh)
        root.scale = [size / metres for size in root.scale[:]]


def _root_object(mesh: bpy.types.Object) -> bpy.types.Object:
    """The object that moves and scales all of a head: the rig that deforms it, so that mesh and
    bones stay together."""
    owner = owner_of(mesh)
    rigs = (
        {modifier.object for modifier in mesh.modifiers if modifier.type == "ARMATURE"}
        if mesh.type == "MESH"
        else set()
    )
    return owner.parent if owner.parent is not None and owner.parent in rigs else owner


def move_clear(
    scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer, mesh: bpy.types.Object
) -> None:
    """Move a newly added head to where it is seen: at the world's origin above what is there, such
    as the cube of a new file, and to the right of other heads that it intersects."""
    view_layer.update()
    owner = _root_object(mesh)
    low, high = family.extent(mesh)
    size, shift = high - low, np.zeros(3)
    parts = {mesh, *owner.children_recursive}
    others = [obj for obj in in_scene(scene) if obj not in parts]
    if owner.location.length < 1e-6:
        for other in others:
            parts |= {other, *owner_of(other).children_recursive}
        boxes = [
            family.extent(obj)
            for obj in view_layer.objects
            if obj.type == "MESH" and obj not in parts and obj.visible_get(view_layer=view_layer)
        ]
        tops = [
            most[2]
            for least, most in boxes
            if _overlap(low, high, least, most) and (most - least)[0] < _SET * size[0]
        ]
        if tops:
            shift[2] = max(tops) + _ABOVE * size[2] - low[2]
    for least, most in sorted(map(family.extent, others), key=lambda box: box[0][0]):
        if _overlap(low + shift, high + shift, least, most):
            shift[0] = most[0] - low[0] + _BESIDE * size[0]
    owner.location = owner.location + Vector(shift)
    view_layer.update()


def _overlap(low: np.ndarray, high: np.ndarray, least: np.ndarray, most: np.ndarray) -> bool:
    return bool((np.minimum(high, most) > np.maximum(low, least)).all())


# ---- finding


@once
def in_scene(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The objects that represent the heads of a scene, one for each, ours first."""
    ours, others, listed = [], [], set[bpy.types.Object]()
    for obj in scene.objects:
        if obj in listed or PUPPET_MARK in obj:
            continue
        if obj.type == "MESH" and (
            flame.is_flame(armature_of(obj))
            or (armature_of(obj) is not None and family.is_face(obj))
        ):
            ours.append(obj)
        elif (
            family.is_face(obj) and (face := family.face_of(obj)) is not None and face not in listed
        ):
            others.append(face)
            listed.update((face, *family.relatives(face)))
    return ours + others


def is_any_in(scene: bpy.types.Scene) -> bool:
    """Whether a scene has any head at all."""
    return any(
        family.is_face(obj) or (obj.type == "MESH" and flame.is_flame(armature_of(obj)))
        for obj in scene.objects
    )


def _known_keys(mesh: bpy.types.Object) -> list[str]:
    names = set(family.key_names(mesh))
    return [name for name in channel_names() if name in names]


def _thunder_mesh(obj: bpy.types.Object) -> bpy.types.Object | None:
    """The mesh of a head of ours, from a mesh, its hair, the rig above it, or any empty in between;
    None for others."""
    above = armature_of(obj) if HAIR_MARK in obj and obj.type == "MESH" else None
    obj = above or obj
    meshes = (
        [obj]
        if obj.type == "MESH"
        else [child for child in obj.children_recursive if child.type == "MESH"]
    )
    candidates = [
        mesh
        for mesh in meshes
        if (armature := armature_of(mesh)) is not None
        and (_known_keys(mesh) or flame.is_flame(armature))
    ]
    return max(candidates, key=lambda mesh: len(_known_keys(mesh)), default=None)


def flame_mesh(context: bpy.types.Context) -> bpy.types.Object | None:
    """The mesh of the FLAME head that the scene's settings or the active object mean, else None."""
    obj = context.scene.thunder.head or context.object
    mesh = _thunder_mesh(obj) if obj is not None else None
    return mesh if mesh is not None and flame.is_flame(armature_of(mesh)) else None


def is_thunder_head(obj: bpy.types.Object) -> bool:
    """Whether an object belongs to a head of ours."""
    return _thunder_mesh(obj) is not None


@once
def resolve(obj: bpy.types.Object) -> Rig:
    """The rig that an object belongs to. Raises BadHead with the reason if Thunder cannot move
    it."""
    mesh = _thunder_mesh(obj)
    if mesh is not None:
        armature, known = armature_of(mesh), tuple(_known_keys(mesh))
        assert armature is not None  # of a head of ours
        if flame.is_flame(armature):
            targets, driver = flame.bind(mesh, armature)
            # a FLAME head has no tongue
            channels = tuple(name for name in channel_names() if not name.startswith(TONGUE))
            return Rig(mesh, armature, targets, driver, channels, (mesh, armature))
        bound = binding.bind(
            flame.standard_mapping("Thunder", known),
            [mesh, armature],
            (armature, mesh.data.shape_keys),
        )
        hair = (
            child
            for child in armature.children_recursive
            if HAIR_MARK in child and child.type == "MESH"
        )
        return Rig(mesh, armature, bound.targets, bound.driver, known, (mesh, armature, *hair))
    bound = character.resolve(obj)
    channels = tuple(name for name in channel_names() if name in bound.driver.used)
    own = bound.targets, bound.driver, channels, bound.objects, bound.unbound_rules
    return Rig(bound.face, None, *own)


def look_up(scene_name: str, mesh_name: str):
    """(scene, rig) by their names, looked up again. Raises BadHead if the head is gone."""
    with expect(mesh_name):
        scene = bpy.data.scenes[scene_name]
        mesh = scene.objects[mesh_name]
    return scene, resolve(mesh)


@contextmanager
def expect(name: str) -> Iterator[None]:
    """Raises BadHead if a head, or what moves it, turns out in the block to be gone."""
    try:
        yield
    except (ReferenceError, LookupError, ValueError) as error:
        raise BadHead(
            f"“{name}” was removed, renamed or changed meanwhile: choose a head and start again"
        ) from error


def owner_of(mesh: bpy.types.Object) -> bpy.types.Object:
    """The object that stores the state of the head that a mesh (or mapped armature) represents,
    without working out its rig."""
    return (armature_of(mesh) if mesh.type == "MESH" else None) or mesh


def by_name(scene: bpy.types.Scene, name: str) -> bpy.types.Object:
    """The mesh that stands for a head, by its own name or that of a part, such as its rig; an
    object that belongs to no head is returned as it is. Raises BadHead if there is no such object.
    """
    obj = scene.objects.get(name)
    if obj is None:
        heads = ", ".join(owner_of(mesh).name for mesh in in_scene(scene))
        raise BadHead(
            f"There is no object “{name}” in the scene “{scene.name}”: "
            + (f"name one of its heads, {heads}" if heads else "it has no head that Thunder knows")
        )
    return _thunder_mesh(obj) or family.face_of(obj) or obj


def active_object(context: bpy.types.Context):
    """The active object, None if the context has none, as in a timer."""
    chosen = getattr(context, "object", None)
    layer = getattr(context, "view_layer", None)
    return chosen if chosen is not None or layer is None else layer.objects.active


def guess(scene: bpy.types.Scene, active: bpy.types.Object | None) -> bpy.types.Object | None:
    """The object to use when none is chosen: the active one if it is a head, or the only head of
    the scene."""
    if active is not None and active.name in scene.objects and PUPPET_MARK not in active:
        result = _thunder_mesh(active) or family.face_of(active)
        if result is not None:
            return result
    heads = in_scene(scene)
    return heads[0] if len(heads) == 1 else None


def current(
    context: bpy.types.Context, scene: bpy.types.Scene | None = None
) -> bpy.types.Object | None:
    """The object that represents the head chosen in a scene's settings, else the one that `guess`
    gives; None for none. scene: None for the context's."""
    scene = context.scene if scene is None else scene
    return scene.thunder.head or guess(scene, active_object(context))


@once
def find(scene: bpy.types.Scene, active: bpy.types.Object | None = None) -> Rig:
    """The rig of the head chosen in a scene's settings, or of the one that `guess` gives.

    Raises BadHead if there is none or it cannot be used.
    """
    chosen = scene.thunder.head
    if chosen is not None and chosen.name not in scene.objects:
        raise BadHead(
            f"The head “{chosen.name}” is not in this scene: choose another beside Thunder's "
            "person icon"
        )
    chosen = chosen or guess(scene, active)
    if chosen is None:
        raise BadHead(_why_none(scene, active))
    return resolve(chosen)


def _why_none(scene: bpy.types.Scene, active: bpy.types.Object | None) -> str:
    """Why a scene has no head to use, and what to do, in a sentence."""
    if len(in_scene(scene)) > 1:
        return "There are several heads in this scene: choose one beside Thunder's person icon"
    if (shows := family.instance(scene.objects)) is not None:
        return f"“{shows.name}” shows a linked collection: press Make Editable"
    if active is not None and (
        active.type == "ARMATURE" or family.key_names(active) or family.armature_of(active)
    ):
        return (
            f"“{active.name}” has no keys or bones whose names are known: map them in Thunder "
            f"Character (the icon beside its name), or press Add Head"
        )
    return "No head is selected: choose one beside Thunder's person icon, or press Add Head"


def check_animatable(rig: Rig) -> None:
    """Raise BadHead with the reason if keys on this rig could not be written or would not be
    seen."""
    name = rig.mesh.name
    for scene in rig.mesh.users_scene:
        if scene.render.frame_map_old != scene.render.frame_map_new:
            raise BadHead(
                f"The scene “{scene.name}” stretches time, so lips would leave the sound: set both "
                f"numbers of Time Stretching to 100 (Output properties, Frame Range)"
            )
        twin = next((obj for obj in scene.objects if _is_twin(rig, obj)), None)
        if twin is not None:
            raise BadHead(
                f"“{name}” and “{twin.name}” share one mesh, so each would speak the other's "
                f"lines: select one and use Object › Relations › Make Single User › Object & Data"
            )
    if any(block.library is not None for block in (rig.owner, *rig.targets)):
        raise BadHead(
            f"“{name}” is linked from another file: press Make Editable, which makes a library "
            f"override of it"
        )
    if any(obj.type == "MESH" and obj.show_only_shape_key for obj in (rig.mesh, *rig.objects)):
        raise BadHead(f"“{name}” shows only one shape key: turn off Solo Active Shape Key")
    if any(block.id_type == "KEY" and not block.use_relative for block in rig.targets):
        raise BadHead(
            f"The shape keys of “{name}” are absolute: turn Relative on in its shape keys"
        )
    for block in rig.targets:
        is_armature = block.id_type == "OBJECT" and block.type == "ARMATURE"
        if is_armature and block.data.pose_position == "REST":
            raise BadHead(
                f"“{block.name}” is in rest position: switch its armature to Pose Position"
            )
        driven = rna_paths.drivers_of(block)
        for _, track in rig.tracks_of(block):
            if track.path in driven:
                raise BadHead(
                    f"{_label(track.path)} of “{name}” has a driver, which would override every "
                    f"take: remove the driver or choose another head"
                )
        animation = block.animation_data
        if animation is not None and animation.use_tweak_mode:
            raise BadHead(
                f"An NLA strip of “{name}” is being tweaked: leave tweak mode first (Tab in the "
                f"NLA editor)"
            )
        if animation is not None and any(track.is_solo for track in animation.nla_tracks):
            raise BadHead(
                f"An NLA track of “{name}” is soloed and would hide every take: turn its star off"
            )


def _is_twin(rig: Rig, obj: bpy.types.Object) -> bool:
    """Whether an object that is seen shares the face of a rig and is not of its head."""
    return (
        obj.type == "MESH"
        and obj.data == rig.mesh.data
        and obj not in (rig.mesh, *rig.objects)
        and PUPPET_MARK not in obj
        and obj.visible_get()
    )


def _label(path: str) -> str:
    """Description of a path's property for animators."""
    owner, name, custom = rna_paths.split(path)
    if owner.startswith("key_blocks"):
        return f"The shape key “{owner[len('key_blocks') + 2 : -2]}”"
    bone = rna_paths.bone_of(path)
    return f"The bone “{bone[0]}”" if bone else f"The property “{name}”"
