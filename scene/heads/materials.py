# SPDX-License-Identifier: GPL-3.0-or-later
"""Materials of a head: one for each part, for Workbench, EEVEE and Cycles; skin has pores and
wrinkles made of noise, without textures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import bpy


@dataclass(frozen=True)
class Surface:
    """Surface of one part: roughness 0 … 1, share and depth [m, at red] of light that enters, coat
    of moisture 0 … 1, pores."""

    roughness: float
    under: float = 0.0
    depth: float = 0.0
    wet: float = 0.0
    specular: float = 0.5
    pores: bool = False


# By a word in the material's name; the first match counts, and the last entry is skin. The inner
# mouth is rough: Eevee shows the world's reflection there as if no lips were in front, so that
# mouth and tongue would be grey, and lips would have a line of light where they meet. Subsurface
# light is noise there at few samples. Nothing emits light: it would glow in dark scenes.
_LOOKS = (
    ("lip", Surface(roughness=0.45, under=0.1, depth=0.003, specular=0.3)),
    ("mouth", Surface(roughness=0.6, specular=0.05)),
    ("gum", Surface(roughness=0.5, specular=0.08)),
    ("back teeth", Surface(roughness=0.4, specular=0.08)),
    ("teeth", Surface(roughness=0.25, specular=0.25)),
    ("back tongue", Surface(roughness=0.6, specular=0.05)),
    ("tongue", Surface(roughness=0.4, specular=0.18)),
    ("white", Surface(roughness=0.06, under=0.08, depth=0.001, wet=1.0)),
    ("iris", Surface(roughness=0.06, wet=1.0)),
    ("limbus", Surface(roughness=0.06, wet=1.0)),
    ("pupil", Surface(roughness=0.06, wet=1.0)),
    ("eye", Surface(roughness=0.06, wet=1.0)),
    ("brow", Surface(roughness=0.85, specular=0.15)),
    ("hair", Surface(roughness=0.6, specular=0.3)),
    ("", Surface(roughness=0.5, under=0.25, depth=0.004, specular=0.45, pores=True)),
)
TINT = "Tint"  # colour attribute of a head: factors of its materials' colours
# Vectors of a bundled head's mesh, which `build.enliven` stores: how deep wrinkles may be, in
# shares of WRINKLE. Properties of its object have the same names and say how much of that shows
# now. Each has three numbers: forehead, frown and nose on the left; the same on the right; crow's
# feet of the left and the right eye, and where lids are wet.
WRINKLES = ("Thunder Wrinkles Left", "Thunder Wrinkles Right", "Thunder Wrinkles Eyes")
# vector of its mesh: whole at the bottom of lines of the forehead; of frowns and crow's feet; of
# the nose
LINES = "Thunder Wrinkle Lines"
WRINKLE, _PORE = 0.0018, 0.0001  # depths, metres
_BOX = (0.25, 0.22, 0.34)  # size of a head, metres: its generated coordinates are shares of it
_PORES, _PATCHES = 1200.0, 90.0  # how many pores, and patches that shine alike, in a metre
# range of the roughness, and how far lines go astray, as a share of the distance between two
_SHINE, _WAVY = 0.3, 0.25
_COLUMNS = 8  # of nodes beside each other
_BLOOD = (1.0, 0.35, 0.2)  # scattering distances of red, green and blue under skin, relative to red
_WET_ROUGHNESS = 0.04


def look_of(name: str) -> Surface:
    """The look of the part that a material's name speaks of."""
    return next(look for word, look in _LOOKS if word in name.lower())


def material(
    title: str,
    colour: Sequence[float],
    look: Surface,
    tinted: bool = False,
    solid: tuple[float, ...] | None = None,
) -> bpy.types.Material:
    """The material of a part of a head; several heads of a file share it, and an animator's changes
    to it stay.

    colour: linear RGBA.  tinted: the colour is multiplied by the mesh's colour attribute.  solid:
    the colour in Workbench and the solid view, where it differs. A linked material of that title
    is left alone.
    """
    result = bpy.data.materials.get(title)
    if result is not None and result.library is None:
        return result
    made = bpy.data.materials.new(title)
    made.diffuse_color = solid or colour  # Workbench and the solid view
    made.roughness = look.roughness
    made.specular_intensity = 0.25 + 0.75 * look.wet if look.wet else 0.2
    if made.node_tree is None:
        made.use_nodes = True
    tree = made.node_tree
    assert tree is not None
    shader = next((node for node in tree.nodes if node.type == "BSDF_PRINCIPLED"), None)
    if shader is not None:
        for socket, value in {
            "Base Color": colour,
            "Roughness": look.roughness,
            "Specular IOR Level": look.specular,
            "Subsurface Weight": look.under,
            "Subsurface Radius": _BLOOD,
            "Subsurface Scale": look.depth,
            "Coat Weight": look.wet,
            "Coat Roughness": _WET_ROUGHNESS,
        }.items():
            if socket in shader.inputs:
                shader.inputs[socket].default_value = value
        if tinted:
            _tint(tree, shader, colour)
        if look.pores and tinted:
            _add_pores(tree, shader)
    return made


def _tint(tree: bpy.types.NodeTree, shader: bpy.types.Node, colour: Sequence[float]) -> None:
    """Multiply a shader's colour by the attribute: factors next to the colour, so that this can be
    changed in one place."""
    # supported by exporters, unlike the general attribute node
    attribute = _node(tree, "VertexColor", layer_name=TINT)
    mix = _node(tree, "Mix", (1.0,), data_type="RGBA", blend_type="MULTIPLY")
    first, second = [socket for socket in mix.inputs if socket.type == "RGBA"]
    first.default_value = colour
    tree.links.new(attribute.outputs["Color"], second)
    tree.links.new(
        next(socket for socket in mix.outputs if socket.type == "RGBA"), shader.inputs["Base Color"]
    )


def _add_pores(tree: bpy.types.NodeTree, shader: bpy.types.Node) -> None:
    """Let skin shine unevenly, most at wet edges of lids, and give it a relief of pores, and of
    wrinkles as the object's properties say."""
    place = _vector(tree, "MULTIPLY", _node(tree, "TexCoord").outputs["Generated"], _BOX)
    pores, patches = (_noise(tree, place, often) for often in (_PORES, _PATCHES))
    left, right, eyes, across = (_attribute(tree, name, "GEOMETRY") for name in (*WRINKLES, LINES))
    left_now, right_now, eyes_now = (_attribute(tree, name, "OBJECT") for name in WRINKLES)
    across = _vector(tree, "MULTIPLY_ADD", patches, (_WAVY,) * 3, across)
    wave = _vector(tree, "COSINE", _vector(tree, "MULTIPLY", across, (2 * math.pi,) * 3))
    wave = _vector(tree, "MULTIPLY_ADD", wave, (0.5,) * 3, (0.5,) * 3)
    lines = _vector(tree, "MULTIPLY", wave, wave)  # grooves between wider ridges
    depth = _vector(
        tree, "MULTIPLY_ADD", left, left_now, _vector(tree, "MULTIPLY", right, right_now)
    )
    feet = _math(
        tree,
        "MULTIPLY",
        _vector(tree, "DOT_PRODUCT", eyes, eyes_now),
        _node(tree, "SeparateXYZ", (lines,)).outputs["Y"],
    )
    wrinkles = _math(
        tree,
        "MULTIPLY",
        _math(tree, "ADD", _vector(tree, "DOT_PRODUCT", depth, lines), feet),
        -WRINKLE,
    )
    bump = _node(tree, "Bump")
    bump.inputs["Distance"].default_value = 1.0  # the height is in metres
    tree.links.new(_math(tree, "MULTIPLY_ADD", pores, _PORE, wrinkles), bump.inputs["Height"])
    tree.links.new(bump.outputs["Normal"], shader.inputs["Normal"])
    dull = _math(
        tree, "MULTIPLY_ADD", patches, _SHINE, shader.inputs["Roughness"].default_value - _SHINE / 2
    )
    dry = _math(tree, "MULTIPLY_ADD", _node(tree, "SeparateXYZ", (eyes,)).outputs["Z"], -0.8, 1.0)
    tree.links.new(_math(tree, "MULTIPLY", dull, dry), shader.inputs["Roughness"])


def _node(
    tree: bpy.types.NodeTree, kind: str, inputs: tuple = (), **settings: Any
) -> bpy.types.Node:
    """A node with settings, and outputs of other nodes or values for its first inputs."""
    row, column = divmod(len(tree.nodes), _COLUMNS)
    node = tree.nodes.new(f"ShaderNode{kind}")
    node.location = (200 * (column - _COLUMNS - 1), -250 * row)
    for name, value in settings.items():
        setattr(node, name, value)
    for socket, value in zip(node.inputs, inputs):
        if isinstance(value, bpy.types.NodeSocket):
            tree.links.new(value, socket)
        else:
            socket.default_value = value
    return node


def _math(tree: bpy.types.NodeTree, operation: str, *inputs: Any) -> bpy.types.NodeSocket:
    return _node(tree, "Math", inputs, operation=operation).outputs[0]


def _noise(
    tree: bpy.types.NodeTree, place: bpy.types.NodeSocket, often: float
) -> bpy.types.NodeSocket:
    """Noise 0 … 1 that varies so often in a metre."""
    node = _node(tree, "TexNoise", (place,))
    node.inputs["Scale"].default_value, node.inputs["Detail"].default_value = often, 2.0
    return node.outputs[0]


def _vector(tree: bpy.types.NodeTree, operation: str, *inputs: Any) -> bpy.types.NodeSocket:
    node = _node(tree, "VectorMath", inputs, operation=operation)
    return node.outputs["Value" if operation == "DOT_PRODUCT" else "Vector"]


def _attribute(tree: bpy.types.NodeTree, name: str, kind: str) -> bpy.types.NodeSocket:
    """Of the mesh's points (GEOMETRY), which stays where it is as they move, or a property of the
    object (OBJECT)."""
    return _node(tree, "Attribute", attribute_type=kind, attribute_name=name).outputs["Vector"]
