# SPDX-License-Identifier: GPL-3.0-or-later
"""Materials of a head: one for each part, for Workbench, EEVEE and Cycles, with Principled settings only."""

from dataclasses import dataclass

import bpy


@dataclass(frozen=True)
class Look:
    """Surface of one part: roughness 0 … 1, share and depth [m, at red] of light that enters, coat of moisture 0 … 1."""

    roughness: float
    under: float = 0.0
    depth: float = 0.0
    wet: float = 0.0
    specular: float = 0.5


# By a word in the material's name; the first match counts, and the last entry is skin. The inner mouth is rough: Eevee shows the world's
# reflection there as if no lips were in front, so that mouth and tongue would be grey, and lips would have a line of light where they meet.
# Subsurface light is noise there at few samples. Nothing emits light: it would glow in dark scenes.
_LOOKS = (
    ("lip", Look(roughness=0.45, under=0.1, depth=0.003, specular=0.3)),
    ("mouth", Look(roughness=0.6, specular=0.05)),
    ("gum", Look(roughness=0.5, specular=0.08)),
    ("back teeth", Look(roughness=0.4, specular=0.08)),
    ("teeth", Look(roughness=0.3, specular=0.12)),
    ("tongue", Look(roughness=0.5, specular=0.08)),
    ("white", Look(roughness=0.06, under=0.08, depth=0.001, wet=1.0)),
    ("iris", Look(roughness=0.06, wet=1.0)),
    ("limbus", Look(roughness=0.06, wet=1.0)),
    ("pupil", Look(roughness=0.06, wet=1.0)),
    ("eye", Look(roughness=0.06, wet=1.0)),
    ("brow", Look(roughness=0.85, specular=0.15)),
    ("hair", Look(roughness=0.6, specular=0.3)),
    ("", Look(roughness=0.5, under=0.12, depth=0.004, specular=0.4)),
)
TINT = "Tint"  # colour attribute of a head: factors of its materials' colours
_BLOOD = (1.0, 0.35, 0.2)  # scattering distances of red, green and blue under skin, relative to red
_WET_ROUGHNESS = 0.04


def look_of(name: str) -> Look:
    """The look of the part that a material's name speaks of."""
    return next(look for word, look in _LOOKS if word in name.lower())


def material(title: str, colour, look: Look, tinted: bool = False) -> bpy.types.Material:
    """The material of a part of a head; several heads of a file share it, and an animator's changes to it stay.

    colour: linear RGBA.  tinted: the colour is multiplied by the mesh's colour attribute. A linked material of that title is left alone.
    """
    result = bpy.data.materials.get(title)
    if result is not None and result.library is None:
        return result
    made = bpy.data.materials.new(title)
    made.diffuse_color = colour  # Workbench and the solid view
    made.roughness = look.roughness
    made.specular_intensity = 0.25 + 0.75 * look.wet if look.wet else 0.2
    if made.node_tree is None:
        made.use_nodes = True
    shader = next((node for node in made.node_tree.nodes if node.type == "BSDF_PRINCIPLED"), None)
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
            _tint(made.node_tree, shader, colour)
    return made


def _tint(tree: bpy.types.NodeTree, shader: bpy.types.Node, colour) -> None:
    """Multiply a shader's colour by the attribute: factors next to the colour, so that this can be changed in one place."""
    attribute = tree.nodes.new("ShaderNodeVertexColor")  # supported by exporters, unlike the general attribute node
    attribute.layer_name, attribute.location = TINT, (-420, 60)
    mix = tree.nodes.new("ShaderNodeMix")
    mix.data_type, mix.blend_type, mix.location = "RGBA", "MULTIPLY", (-220, 240)
    mix.inputs["Factor"].default_value = 1.0
    first, second = [socket for socket in mix.inputs if socket.type == "RGBA"]
    first.default_value = colour
    tree.links.new(attribute.outputs["Color"], second)
    tree.links.new(next(socket for socket in mix.outputs if socket.type == "RGBA"), shader.inputs["Base Color"])
