# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters laid out as their makers lay them out: the bundled head's own geometry under other
names, on other objects, moved by other bones, sliders and drivers.

Names are written down here from the makers' files and pages, not read from our conventions.
"""

from dataclasses import dataclass, field

import addon_utils
import numpy as np
from characters import deform, drive, rig_with
from mathutils import Matrix, Vector
from thunder.scene.heads import build, head as head_module
from thunder.thunder_core.rotation import rotvec_to_matrix
from thunder.thunder_core.types import JAW_OPEN_RADIANS

SIDES = (("Left", "L"), ("Right", "R"))


@dataclass
class Anatomy:
    """The bundled head at rest, metres: points [V, 3], polygons, what channels move {name: [V, 3]},
    weights of joints {name: [V]} and where they are {name: [3]}; vertices of its parts {name: [n]};
    the middles of its inner lips, and points that only the head moves."""

    points: np.ndarray
    polygons: np.ndarray
    moves: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]
    joints: dict[str, np.ndarray]
    parts: dict[str, np.ndarray]
    lips: tuple[int, int]
    still: np.ndarray
    placed: dict[str, np.ndarray] = field(default_factory=dict)  # object → its vertices here

    def mix(self, **amounts) -> np.ndarray:
        """What channels with these values move together, [V, 3]."""
        return sum(value * self.moves[name] for name, value in amounts.items())


def read_anatomy() -> Anatomy:
    with np.load(head_module.ASSET) as asset:
        data = {name: asset[name] for name in asset.files}
    points = build.flame_to_blender(data["v_template"])
    names, shapes = data["expression_names"].tolist(), data["shapedirs"]
    moves = {
        name: build.flame_to_blender(shapes[:, :, -len(names) + i]) for i, name in enumerate(names)
    }
    weights = dict(zip(build.JOINTS, data["weights"].T))
    places = build.flame_to_blender(data["J_regressor"] @ data["v_template"])
    joints = dict(zip(build.JOINTS, places))
    turned = (points - joints["jaw"]) @ rotvec_to_matrix(np.array([JAW_OPEN_RADIANS, 0, 0])).T
    jaw = weights["jaw"][:, None]
    moves["jawOpen"] = jaw * (turned + joints["jaw"] - points)
    moves["jawLeft"] = jaw * [0.006, 0, 0]
    moves["jawRight"] = -moves["jawLeft"]
    for side, eye in (("Left", "eye_left"), ("Right", "eye_right")):
        turns = {"Up": (0.4, 0), "Down": (-0.4, 0), "Out": (0, -0.4), "In": (0, 0.4)}
        for way, (up, out) in turns.items():
            vector = np.array([-up, 0, -out if side == "Left" else out])
            ball = weights[eye][:, None]
            gone = (points - joints[eye]) @ rotvec_to_matrix(vector).T + joints[eye] - points
            moves[f"eyeLook{way}{side}"] = ball * gone
    materials, owner = data["material_names"].tolist(), data["polygon_material"]

    def part(*wanted):
        rows = np.isin(owner, [materials.index(name) for name in wanted])
        return np.unique(data["polygons"][rows])

    parts = {
        "teeth": part("Teeth", "Side Teeth", "Back Teeth", "Gums"),
        "tongue": part("Tongue", "Back Tongue"),
    }
    parts["brows"] = part("Brows")
    parts["head"] = np.setdiff1d(np.arange(len(points)), np.concatenate(list(parts.values())))
    lips = tuple(int(data[f"inner_lip_{side}_mid"]) for side in ("upper", "lower"))
    moving = np.any([np.abs(by).max(1) > 1e-6 for by in moves.values()], axis=0)
    still = np.flatnonzero(~moving & (weights["neck"] > 0.99))[::40]
    return Anatomy(points, data["polygons"], moves, weights, joints, parts, lips, still)


def read_ict(path) -> Anatomy:
    """ICT-FaceKit's head as it is: without bones, its keys under their own names."""
    with np.load(path) as data:
        points = 0.01 * build.flame_to_blender(data["vertices"])
        shapes = [0.01 * build.flame_to_blender(by) for by in data["shapes"]]
        moves, polygons = dict(zip(data["names"].tolist(), shapes)), data["faces"]
    still = np.flatnonzero(~np.any([np.abs(by).max(1) > 1e-6 for by in shapes], axis=0))[::200]
    polygons = polygons[(polygons >= 0).all(1)]
    moves["eyeBlinkLeft"] = moves.pop("eyeBlink_L")
    return Anatomy(points, polygons, moves, {}, {}, {}, (5533, 5519), still)


def ict(bpy, body):
    keys = {"eyeBlink_L": body.moves["eyeBlinkLeft"]} | body.moves
    return add(bpy, body, "ICT", {name: keys[name] for name in keys if name != "eyeBlinkLeft"})


def add(bpy, body: Anatomy, name: str, keys, ids=None):
    """A mesh of these vertices (None: of all) with keys {name: moves [V, 3]}; the object."""
    ids = np.arange(len(body.points)) if ids is None else ids
    at = np.full(len(body.points), -1)
    at[ids] = np.arange(len(ids))
    polygons = at[body.polygons]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(body.points[ids].tolist(), [], polygons[(polygons >= 0).all(1)].tolist())
    obj = bpy.data.objects.new(name, mesh)
    bpy.context.collection.objects.link(obj)
    body.placed[obj.name] = ids
    for key, by in keys.items():
        if not obj.data.shape_keys:
            obj.shape_key_add(name="Basis", from_mix=False)
        block = obj.shape_key_add(name=key, from_mix=False)
        block.points.foreach_set("co", (body.points + by)[ids].astype(np.float32).ravel())
        block.value = 0.0
    return obj


def rig(bpy, body: Anatomy, meshes, bones, name="Armature"):
    """An armature that deforms meshes {object: ids or None}, bones {joint: name}; what no bone of
    ours takes goes with the head. The object."""
    up, places = np.array([0, 0, 0.05]), body.joints
    parents = {
        "neck": "root",
        "head": "neck",
        "jaw": "head",
        "eye_left": "head",
        "eye_right": "head",
    }
    at = places | {"head": places["neck"] + up, "root": places["neck"] - 4 * up}
    order = [
        joint
        for joint in ("root", "neck", "head", "jaw", "eye_left", "eye_right")
        if joint in bones
    ]
    made = {
        bones[joint]: (
            at[joint],
            at[joint] + (np.array([0, -0.07, -0.03]) if joint == "jaw" else up * [1, 1, 0.8]),
            bones.get(parents.get(joint)),
        )
        for joint in order
    }
    armature = rig_with(bpy, made, name)
    for obj, ids in meshes.items():
        rest = np.ones(len(body.points))
        for joint in ("root", "jaw", "eye_left", "eye_right"):
            if joint in bones:
                rest -= body.weights[joint]
                chosen = body.weights[joint] if ids is None else body.weights[joint][ids]
                build.add_weights(obj, bones[joint], chosen)
        build.add_weights(obj, bones["head"], (rest if ids is None else rest[ids]).clip(0, 1))
        deform(obj, armature)
    return armature


# ---- the makers. Each gives the object that an animator would select.


def arkit_prefixed(bpy, body):
    """52 keys behind a studio's prefix, no bones."""
    return add(bpy, body, "CH01_head_geo", {f"CH01_{name}": by for name, by in body.moves.items()})


def arkit_lower_blocks(bpy, body):
    """Lower-case keys, the same on head, brows, teeth and tongue, as separate objects."""
    keys = {name.lower(): by for name, by in body.moves.items()}
    meshes = {add(bpy, body, part, keys, ids): ids for part, ids in body.parts.items()}
    bones = {"root": "Spine", "neck": "Neck", "head": "Head"}
    rig(bpy, body, meshes, bones)
    return list(meshes)[-1]


def character_creator(bpy, body):
    """CC4: Jaw_Open is a small fold beside CC_Base_JawRoot, funnel and pucker in quarters."""
    keys = {"Jaw_Open": 0.08 * body.moves["jawOpen"], "Mouth_Close": body.moves["mouthClose"]}
    keys |= {f"Jaw_{side}": body.moves[f"jaw{full}"] for full, side in SIDES}
    upper = body.points[:, 2] > body.points[list(body.lips), 2].mean()
    for channel in ("Funnel", "Pucker"):
        for place, rows in (("Up", upper), ("Down", ~upper)):
            for side, there in (("L", body.points[:, 0] >= 0), ("R", body.points[:, 0] < 0)):
                chosen = (rows & there)[:, None]
                keys[f"Mouth_{channel}_{place}_{side}"] = chosen * body.moves[f"mouth{channel}"]
    pairs = {
        "Eye_Blink": "eyeBlink", "Eye_Squint": "eyeSquint", "Eye_Wide": "eyeWide",
        "Brow_Drop": "browDown", "Brow_Raise_Outer": "browOuterUp", "Mouth_Smile": "mouthSmile",
        "Mouth_Frown": "mouthFrown", "Mouth_Stretch": "mouthStretch", "Mouth_Dimple": "mouthDimple",
        "Mouth_Press": "mouthPress", "Mouth_Up_Upper": "mouthUpperUp", "Cheek_Raise": "cheekSquint",
        "Mouth_Down_Lower": "mouthLowerDown", "Nose_Sneer": "noseSneer",
    }  # fmt: skip
    for name, channel in pairs.items():
        keys |= {f"{name}_{side}": body.moves[channel + full] for full, side in SIDES}
    for place in ("Upper", "Lower"):
        keys[f"Mouth_Shrug_{place}"] = body.moves[f"mouthShrug{place}"]
        for side, there in (("L", body.points[:, 0] >= 0), ("R", body.points[:, 0] < 0)):
            keys[f"Mouth_Roll_In_{place}_{side}"] = there[:, None] * body.moves[f"mouthRoll{place}"]
    keys |= {"V_Open": 0.05 * body.moves["jawOpen"], "V_Explosive": body.mix(mouthRollLower=0.5)}
    face = add(bpy, body, "CC_Base_Body", keys)
    bones = {"root": "CC_Base_Spine02", "neck": "CC_Base_NeckTwist01", "head": "CC_Base_Head",
             "jaw": "CC_Base_JawRoot", "eye_left": "CC_Base_L_Eye", "eye_right": "CC_Base_R_Eye"}  # fmt: skip
    rig(bpy, body, {face: None}, bones)
    return face


def daz_facs(bpy, body):
    """Genesis 8.1 as Diffeomorphic brings it: properties of the armature drive keys and the jaw."""
    keys = {
        f"facs_bs_{name[0].upper()}{name[1:]}_div2": by
        for name, by in body.moves.items()
        if not name.startswith(("jaw", "eyeBlink", "eyeLook"))
    }
    keys |= {f"facs_jnt_EyeBlink{full}": body.moves[f"eyeBlink{full}"] for full, _ in SIDES}
    face = add(bpy, body, "Genesis 8.1 Female Mesh", keys)
    bones = {"root": "chestUpper", "neck": "neckLower", "head": "head", "jaw": "lowerJaw",
             "eye_left": "lEye", "eye_right": "rEye"}  # fmt: skip
    armature = rig(bpy, body, {face: None}, bones, "Genesis 8.1 Female")
    for name in ("facs_jnt_JawOpen", *keys):
        armature[name] = 0.0
        armature.id_properties_ui(name).update(min=0.0, max=1.0, soft_min=0.0, soft_max=1.0)
    for name in keys:
        drive(face.data.shape_keys.key_blocks[name], "value", armature, f'["{name}"]')
    turn_jaw(armature, "lowerJaw", armature, '["facs_jnt_JawOpen"]')
    return face


def turn_jaw(armature, bone, source, path, factor=1.0):
    """A driver that opens the mouth by a bone's rotation, whichever way that bone's axes go."""
    pose = armature.pose.bones[bone]
    pose.rotation_mode = "XYZ"
    axis = np.array(pose.bone.matrix_local.to_3x3())[0]  # the bone's own x axis along the face
    drive(
        pose,
        "rotation_euler",
        source,
        path,
        f"v * {np.sign(axis[0]) * factor * JAW_OPEN_RADIANS}",
        0,
    )


def character_creator_rigified(bpy, body):
    """The same with a control rig around it, as CC/iC Blender Tools generates."""
    face = character_creator(bpy, body)
    add_control(bpy, face.parent, "CC_Base_JawRoot", "jaw_master")
    return face


def by_controls(bpy, body, bones, control):
    """A face without keys, deformed by bones that copy a control."""
    face = add(bpy, body, "Body", {})
    add_control(bpy, rig(bpy, body, {face: None}, bones, "rig"), bones["jaw"], control)
    return face


def add_control(bpy, armature, bone, control):
    """Let a bone copy a control at its place; returns the constraint."""
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    edit = armature.data.edit_bones
    made, source = edit.new(control), edit[bone]
    made.head, made.tail, made.roll, made.parent = (
        source.head,
        source.tail,
        source.roll,
        source.parent,
    )
    made.use_deform = False
    bpy.ops.object.mode_set(mode="OBJECT")
    constraint = armature.pose.bones[bone].constraints.new("COPY_TRANSFORMS")
    constraint.target, constraint.subtarget = armature, control
    return constraint


def rigify(bpy, body):
    """The rig that Blender's own add-on generates of its human, with the head on its jaw and
    spine: some of its controls have a joint's plain name and turn nothing (“jaw”, “eye.L”)."""
    addon_utils.enable("rigify", default_set=True)
    bpy.ops.object.armature_human_metarig_add()
    sketch = bpy.context.object
    bpy.ops.pose.rigify_generate()
    armature = bpy.context.object
    addon_utils.disable("rigify", default_set=True)
    bpy.data.objects.remove(sketch)
    hinge = armature.data.bones["jaw_master"].head_local
    armature.data.transform(Matrix.Translation(Vector(body.joints["jaw"]) - hinge))
    face = add(bpy, body, "Body", {})
    build.add_weights(face, "DEF-chin", body.weights["jaw"])
    build.add_weights(face, "DEF-spine.006", 1.0 - body.weights["jaw"])
    deform(face, armature)
    return face


def auto_rig_pro(bpy, body):
    bones = {"root": "spine_03.x", "neck": "c_neck.x", "head": "c_head.x", "jaw": "jawbone.x",
             "eye_left": "c_eye.l", "eye_right": "c_eye.r"}  # fmt: skip
    return by_controls(bpy, body, bones, "c_jawbone.x")


def vroid(bpy, body):
    """VRoid Studio: mouths for five vowels, faces of moods; no jaw bone."""
    keys = {
        "Fcl_ALL_Neutral": body.mix(browInnerUp=0.0),
        "Fcl_ALL_Joy": body.mix(
            mouthSmileLeft=1, mouthSmileRight=1, eyeBlinkLeft=1, eyeBlinkRight=1
        ),
        "Fcl_BRW_Angry": body.mix(browDownLeft=1, browDownRight=1),
        "Fcl_BRW_Surprised": body.mix(browInnerUp=1, browOuterUpLeft=1, browOuterUpRight=1),
        "Fcl_EYE_Close": body.mix(eyeBlinkLeft=1, eyeBlinkRight=1),
        "Fcl_EYE_Close_R": body.moves["eyeBlinkRight"],
        "Fcl_EYE_Close_L": body.moves["eyeBlinkLeft"],
        "Fcl_EYE_Spread": body.mix(eyeWideLeft=1, eyeWideRight=1),
        "Fcl_MTH_Close": body.mix(mouthPressLeft=1, mouthPressRight=1),
        "Fcl_MTH_Fun": body.mix(mouthSmileLeft=1, mouthSmileRight=1),
        "Fcl_MTH_Sorrow": body.mix(mouthFrownLeft=1, mouthFrownRight=1),
        "Fcl_MTH_A": body.mix(jawOpen=0.8),
        "Fcl_MTH_I": body.mix(jawOpen=0.12, mouthStretchLeft=0.9, mouthStretchRight=0.9),
        "Fcl_MTH_U": body.mix(jawOpen=0.15, mouthPucker=0.9),
        "Fcl_MTH_E": body.mix(jawOpen=0.35, mouthStretchLeft=0.5, mouthStretchRight=0.5),
        "Fcl_MTH_O": body.mix(jawOpen=0.45, mouthFunnel=0.8),
    }
    face = add(bpy, body, "Face", keys)
    bones = {"root": "J_Bip_C_UpperChest", "neck": "J_Bip_C_Neck", "head": "J_Bip_C_Head",
             "eye_left": "J_Adj_L_FaceEye", "eye_right": "J_Adj_R_FaceEye"}  # fmt: skip
    rig(bpy, body, {face: None}, bones)
    return face


def mpfb(bpy, body):
    """MakeHuman's face units with the default rig."""
    keys = {
        "mouth-open": body.mix(jawOpen=0.9), "mouth-protusion": body.mix(mouthFunnel=1),
        "mouth-eversion": body.mix(mouthPucker=1), "mouth-pursing": body.mix(mouthPucker=0.7),
        "mouth-compression": body.mix(mouthPressLeft=1, mouthPressRight=1),
        "mouth-corner-puller": body.mix(mouthSmileLeft=1, mouthSmileRight=1),
        "mouth-depression": body.mix(mouthFrownLeft=1, mouthFrownRight=1),
        "mouth-retraction": body.mix(mouthStretchLeft=1, mouthStretchRight=1),
        "mouth-elevation": body.mix(mouthShrugLower=1, mouthShrugUpper=1),
        "mouth-part-later": body.mix(jawOpen=0.1),
    }  # fmt: skip
    for full, _ in SIDES:
        side = full.lower()
        keys[f"eye-{side}-closure"] = body.moves[f"eyeBlink{full}"]
        keys[f"eye-{side}-opened-up"] = body.moves[f"eyeWide{full}"]
        keys[f"eye-{side}-slit"] = body.moves[f"eyeSquint{full}"]
        keys[f"eyebrows-{side}-down"] = body.moves[f"browDown{full}"]
        keys[f"eyebrows-{side}-extern-up"] = body.moves[f"browOuterUp{full}"]
        keys[f"eyebrows-{side}-inner-up"] = body.mix(browInnerUp=0.5)
    face = add(bpy, body, "Human", keys)
    bones = {"root": "spine01", "neck": "neck01", "head": "head", "jaw": "jaw",
             "eye_left": "eye.L", "eye_right": "eye.R"}  # fmt: skip
    rig(bpy, body, {face: None}, bones, "Human.rig")
    return face


def metahuman(bpy, body):
    """Sliders of a face board, bones of a second armature, drive shapes and the jaw's bone."""
    keys = {"jaw_open": 0.05 * body.moves["jawOpen"]}
    pairs = {
        "eye_blink": "eyeBlink", "eye_squintInner": "eyeSquint", "eye_widen": "eyeWide",
        "brow_down": "browDown", "brow_raiseOuter": "browOuterUp", "mouth_cornerPull": "mouthSmile",
        "mouth_cornerDepress": "mouthFrown", "mouth_stretch": "mouthStretch",
        "mouth_dimple": "mouthDimple", "mouth_lipsPress": "mouthPress", "nose_wrinkle": "noseSneer",
        "mouth_upperLipRaise": "mouthUpperUp", "mouth_lowerLipDepress": "mouthLowerDown",
    }  # fmt: skip
    for name, channel in pairs.items():
        keys |= {f"{name}_{side}": body.moves[channel + full] for full, side in SIDES}
    quarters = {
        "mouth_lipsTogether": "mouthClose",
        "mouth_funnel": "mouthFunnel",
        "mouth_lipsPurse": "mouthPucker",
    }
    upper = body.points[:, 2] > body.points[list(body.lips), 2].mean()
    for name, channel in quarters.items():
        for place, rows in (("U", upper), ("D", ~upper)):
            for side, there in (("L", body.points[:, 0] >= 0), ("R", body.points[:, 0] < 0)):
                keys[f"{name}_{place}{side}"] = (rows & there)[:, None] * body.moves[channel]
    keys = {f"head_lod0_mesh__{name}": by for name, by in keys.items()}
    face = add(bpy, body, "head_lod0_mesh", keys)
    bones = {"root": "spine_05", "neck": "neck_01", "head": "head", "jaw": "FACIAL_C_Jaw",
             "eye_left": "FACIAL_L_Eye", "eye_right": "FACIAL_R_Eye"}  # fmt: skip
    armature = rig(bpy, body, {face: None}, bones, "root")
    places = {f"CTRL_{name}": ((0.3 + 0.02 * i, 0, 1.5), (0.3 + 0.02 * i, 0.01, 1.5), None)
              for i, name in enumerate(keys)}  # fmt: skip
    board = rig_with(bpy, places, "FaceBoard")
    board.parent = armature
    for name in keys:
        path = f'pose.bones["CTRL_{name}"].location[1]'
        drive(face.data.shape_keys.key_blocks[name], "value", board, path)
    turn_jaw(
        armature, "FACIAL_C_Jaw", board, 'pose.bones["CTRL_head_lod0_mesh__jaw_open"].location[1]'
    )
    return face


def oculus(bpy, body):
    """Ready Player Me with Oculus visemes, on head and teeth."""
    keys = {
        "viseme_sil": body.mix(browInnerUp=0.0),
        "viseme_PP": body.mix(mouthPressLeft=0.8, mouthPressRight=0.8, mouthRollLower=0.3),
        "viseme_FF": body.mix(mouthRollLower=0.8, mouthUpperUpLeft=0.2, mouthUpperUpRight=0.2),
        "viseme_TH": body.mix(jawOpen=0.15, tongueOut=0.4), "viseme_DD": body.mix(jawOpen=0.12),
        "viseme_kk": body.mix(jawOpen=0.2), "viseme_CH": body.mix(jawOpen=0.1, mouthFunnel=0.7),
        "viseme_SS": body.mix(jawOpen=0.05, mouthStretchLeft=0.4, mouthStretchRight=0.4),
        "viseme_nn": body.mix(jawOpen=0.12), "viseme_RR": body.mix(jawOpen=0.12, mouthFunnel=0.3),
        "viseme_aa": body.mix(jawOpen=0.7),
        "viseme_E": body.mix(jawOpen=0.35, mouthStretchLeft=0.4, mouthStretchRight=0.4),
        "viseme_I": body.mix(jawOpen=0.15, mouthStretchLeft=0.6, mouthStretchRight=0.6),
        "viseme_O": body.mix(jawOpen=0.45, mouthFunnel=0.7),
        "viseme_U": body.mix(jawOpen=0.18, mouthPucker=0.9),
        "mouthOpen": body.mix(jawOpen=0.9), "mouthSmile": body.mix(mouthSmileLeft=1, mouthSmileRight=1),
        "eyesClosed": body.mix(eyeBlinkLeft=1, eyeBlinkRight=1),
        "eyesLookUp": body.mix(eyeLookUpLeft=1, eyeLookUpRight=1),
        "eyesLookDown": body.mix(eyeLookDownLeft=1, eyeLookDownRight=1),
    }  # fmt: skip
    teeth = body.parts["teeth"]
    skin = np.setdiff1d(np.arange(len(body.points)), teeth)
    meshes = {add(bpy, body, "Wolf3D_Teeth", keys, teeth): teeth}
    face = add(bpy, body, "Wolf3D_Head", keys, skin)
    meshes[face] = skin
    rig(
        bpy,
        body,
        meshes,
        {
            "root": "Spine2",
            "neck": "Neck",
            "head": "Head",
            "eye_left": "LeftEye",
            "eye_right": "RightEye",
        },
    )
    return face


MAKERS = {
    "ARKit behind a prefix": arkit_prefixed,
    "ARKit in lower case, four objects": arkit_lower_blocks,
    "Character Creator 4": character_creator,
    "Character Creator 4, rigified": character_creator_rigified,
    "Daz FACS (Diffeomorphic)": daz_facs,
    "VRoid": vroid,
    "MPFB": mpfb,
    "MetaHuman's sliders": metahuman,
    "Ready Player Me (Oculus)": oculus,
    "Rigify": rigify,
    "Auto-Rig Pro": auto_rig_pro,
}
