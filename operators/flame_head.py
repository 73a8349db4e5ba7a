# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators for a head from a FLAME file: preview Thunder's channels on it, measure how exact they
are, fit its bones."""

import bpy

from ..scene.engine import connection
from ..scene.heads import channel_preview, flame, head
from ..scene.media import flame_parameters
from ..thunder_core.channels import TONGUE
from ..thunder_core.errors import BadRequest
from ..thunder_core.face import mapping
from .base import Explained, InstantWork, why_not_in_object_mode
from .slices import SlicedWork


def _channels(self, context, text):
    return [
        name for name in (*mapping.DERIVED, *head.channel_names()) if not name.startswith(TONGUE)
    ]


class _NeedsFlameHead(Explained):
    obstacles = (
        lambda context: (
            ""
            if flame.chosen_mesh(context)
            else "No head from a FLAME file is selected: add one with Head from FLAME File"
        ),
    )


class _OfFlameHead(_NeedsFlameHead, InstantWork):
    """An operator whose `change(context, rig)` acts on the chosen FLAME head and returns what to
    report."""

    def act(self, context):
        return self.change(context, head.resolve(flame.chosen_mesh(context)))


class THUNDER_OT_preview_retarget(_OfFlameHead, bpy.types.Operator):
    """Preview one of Thunder's channels on this head. An amount of 0 resets it"""

    bl_label = "Show Channel"

    channel: bpy.props.StringProperty(
        name="Channel",
        default="jawOpen",
        search=_channels,
        description="Channel to preview, with all others at rest",
    )
    amount: bpy.props.FloatProperty(
        name="Amount",
        default=1.0,
        soft_min=0.0,
        soft_max=1.0,
        min=-2.0,
        max=2.0,
        description="Value of the channel; 0 resets the head",
    )

    def change(self, context, rig):
        if self.amount == 0.0:
            channel_preview.end(context.scene)
        else:
            channel_preview.show(context.scene, rig, self.channel, self.amount)


class THUNDER_OT_measure_retarget(_OfFlameHead, bpy.types.Operator):
    """Measure how closely this head follows the bundled one during speech"""

    bl_label = "Measure"

    def change(self, context, rig):
        measured = flame.measure(rig.mesh, rig.armature)
        text = (
            f"Lip opening off by {measured.opening:.2f} mm on average, {measured.worst:.1f} mm at "
            f"most; "
            f"lips that should touch are at most {measured.closed:.2f} mm apart; "
            f"lip shape off by {measured.lips:.1f} of {measured.travel:.1f} mm"
        )
        rig.armature[flame.MEASURED] = text
        return text


class THUNDER_OT_fit_flame_bones(_OfFlameHead, bpy.types.Operator):
    """Move the jaw, neck and eye bones to fit the identity sliders"""

    bl_label = "Fit Bones to Identity"
    obstacles = (why_not_in_object_mode,)

    def change(self, context, rig):
        return (
            f"Bones moved by up to "
            f"{1000 * flame.fit_bones(rig.mesh, rig.armature, context.view_layer):.1f} mm"
        )


class THUNDER_OT_check_with_smplx(_NeedsFlameHead, SlicedWork, bpy.types.Operator):
    """Compare this head on the current frame with the same FLAME file posed by smplx. Needs the
    FLAME extra"""

    bl_label = "Check with smplx"
    bl_options = {"INTERNAL"}

    filepath: bpy.props.StringProperty(
        name="File",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
        description="FLAME file that this head was made from; empty for the one in the preferences",
    )

    def begin(self, context):
        chosen = connection.preferences()
        path = self.filepath or (chosen.flame_file if chosen else "")
        if not path:
            raise BadRequest("No FLAME file is chosen: choose the one that this head was made from")
        rig = head.resolve(flame.chosen_mesh(context))
        model = flame.load(path, "choose the FLAME file that this head was made from")
        return "Checking with smplx", flame_parameters.compare(
            connection.client(), context.scene, rig, model
        )

    def outcome(self, answer):
        return (
            f"In this pose the head differs from smplx {answer['smplx']} by {answer['rig']:.3f} "
            f"mm at most; "
            f"Thunder's skinning of the file by {answer['skinning']:.4f} mm"
        )
