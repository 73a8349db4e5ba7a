# SPDX-License-Identifier: GPL-3.0-or-later
"""The sliders of a take's shape, and the update when one is moved."""

from dataclasses import fields

import bpy
from bpy.props import EnumProperty, FloatProperty, IntProperty, PointerProperty

from ....thunder_core.face import shaping
from ....thunder_core.face.shaping import Shape
from ....thunder_core.progress import result
from ...host import handlers, jobs
from ...host.session import AddonChanges
from .. import take_list
from . import strength
from .applying import apply
from .stored import entry_of, STATE

_addon_changes = AddonChanges()


def _on_slider_moved(self, context) -> None:
    """A slider was moved."""
    if not _addon_changes.active:
        jobs.pop_up_errors(lambda: follow(entry_of(self.id_data)))


def follow(entry, settle: bool = False) -> None:
    """Write a take with its shape at once; if that takes longer, its operator does it shortly
    afterwards, in slices.

    settle: edits become part of the base if the sliders are neutral.
    """
    rig = take_list.rig_of(entry.id_data, entry)
    if rig.driver.is_slow and not bpy.app.background:
        strength.update.start(strength.UPDATE_SECONDS)
    else:
        result(apply(rig, entry, settle=settle))


def _intensity(name: str, about: str):
    """The property of one slider."""
    return FloatProperty(
        name=name,
        default=1.0,
        min=0.0,
        max=shaping.MOST,
        step=5,
        subtype="FACTOR",
        update=_on_slider_moved,
        description=about,
    )


class ThunderShape(bpy.types.PropertyGroup):
    """The shape of a take; on its first action, so that it is copied with the take."""

    mouth: _intensity("Mouth", "How strongly lips, cheeks and tongue move; closed lips stay closed")
    jaw: _intensity("Jaw", "How far the jaw opens; closed lips stay closed")
    upper_face: _intensity("Upper Face", "How strongly brows, lids and nose move")
    head: _intensity("Head", "How far the head moves")
    blinks: _intensity("Blinks", "How far blinks close the eyes")
    smoothing: IntProperty(
        name="Smooth",
        default=0,
        min=0,
        max=12,
        update=_on_slider_moved,
        description="Smooth movement over this many frames on either side. Closed lips stay "
        "closed, blinks stay quick",
    )
    offset: FloatProperty(
        name="Offset",
        default=0.0,
        soft_min=-12.0,
        soft_max=12.0,
        min=-1000.0,
        max=1000.0,
        step=10,
        precision=2,
        update=_on_slider_moved,
        description="Play the take this many frames later, or earlier if negative",
    )
    emotion: EnumProperty(
        name="Emotion",
        update=_on_slider_moved,
        description="Emotion on top of the take",
        items=[
            ("NONE", "No Emotion", "No emotion on top of the take"),
            *(
                (name, name.title(), f"{name.title()} on top of the take")
                for name in shaping.EMOTIONS
            ),
        ],
    )
    strength: FloatProperty(
        name="Strength",
        default=0.5,
        min=0.0,
        max=1.0,
        step=5,
        subtype="FACTOR",
        update=_on_slider_moved,
        description="Strength of the emotion in the whole take",
    )

    def values(self) -> Shape:
        """The shape as the core knows it, without the offset."""
        return Shape(
            self.mouth,
            self.jaw,
            self.upper_face,
            self.head,
            self.blinks,
            self.smoothing,
            "" if self.emotion == "NONE" else self.emotion,
            self.strength,
        )


def forget(action) -> None:
    """Remove the data of a take's shape from an action that is no longer a take; its keys stay
    unchanged."""
    action.pop(STATE, None)
    _unset(action.thunder_shape)


def reset(entry) -> None:
    """Reset all sliders of a take to neutral, and its keys accordingly."""
    _unset(entry.action.thunder_shape)
    follow(entry, settle=True)


def _unset(shape) -> None:
    """Put all sliders back to their defaults, without writing the take."""
    with _addon_changes:
        for name in (*(field.name for field in fields(Shape)), "offset"):
            shape.property_unset(name)


register, unregister = handlers.registration(
    properties=((bpy.types.Action, "thunder_shape", PointerProperty(type=ThunderShape)),)
)
