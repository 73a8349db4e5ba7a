# SPDX-License-Identifier: GPL-3.0-or-later
"""The sliders of a character's direction, its mood, and how far takes go from it."""

from __future__ import annotations

from functools import partial
from typing import cast

import bpy

from ....thunder_core.direction import AXES, CHOICES, Direction, NEUTRAL, SPREAD, STRENGTH, Style
from ....thunder_core.errors import attempt, BadRequest
from ....thunder_core.manner import Change, DECIMALS, EVERYWHERE, Manner
from ...heads import head_state
from ...host import jobs
from ...host.prop import (
    BoolProperty,
    Collection,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

_AXES = {axis.name: axis for axis in AXES}
FINE = {  # axes below More Sliders, with their tooltips
    "frown": "Brows drawn together and down, or below 0 raised and apart",
    "tension": "Lips and corners of the mouth pressed tight. Below 0 hardly changes anything",
    "width": "How far the corners of the mouth go out on sounds like ee and s",
    "rounding": "How far the lips come forward and together on sounds like oo, w and sh",
    "asymmetry": "Which side of the mouth moves more: above 0 the character's left, below 0 the "
    "right",
}


# as files store a choice, and keys hold it
CHOICE_NUMBERS = {mood.name: mood.number for mood in CHOICES.values()}

listeners: list = []  # functions that get a changed ThunderDirection at once


def _on_slider_moved(self: ThunderDirection, context: bpy.types.Context) -> None:
    for listener in listeners:
        listener(self)


def _slider(name: str):
    axis = _AXES[name]
    return FloatProperty(
        name=axis.label,
        default=axis.usual,
        min=axis.least,
        max=axis.most,
        step=5,
        precision=2,
        update=_on_slider_moved,
        description=f"{FINE.get(name, axis.description)}. {axis.usual:g} is usual",
    )


def _share(name: str, default: float, description: str):
    """A slider from 0 to 1 that does not sample the shown take again when it is moved."""
    return FloatProperty(
        name=name,
        default=default,
        min=0.0,
        max=1.0,
        step=5,
        precision=2,
        subtype="FACTOR",
        options=set(),
        description=description,
    )


def _on_manner_changed(self: ThunderMannerChange, context: bpy.types.Context) -> None:
    """Have the shown take follow a row that was ticked."""
    path = self.path_from_id().rpartition(".manner")[0]
    _on_slider_moved(cast(ThunderDirection, self.id_data.path_resolve(path)), context)


class ThunderMannerChange(bpy.types.PropertyGroup):
    """One row of a character's manner (`thunder_core.manner.Change`)."""

    what: str = StringProperty(description="What changes")
    where: str = StringProperty(default=EVERYWHERE, description="On which sounds")
    offset: float = FloatProperty(description="What is added, mm or the value of a channel")
    size: float = FloatProperty(default=1.0, description="How many times as far it goes")
    mean: float = FloatProperty(description="What both come to on average")
    lines: int = IntProperty(description="Number of lines that show it")
    is_used: bool = BoolProperty(
        name="Use",
        default=True,
        update=_on_manner_changed,
        description="Whether takes follow this part of the manner",
    )


class ThunderDirection(bpy.types.PropertyGroup):
    """The direction of a character: a value for each of AXES, a mood, a manner, and the variation
    of takes around them."""

    energy: float = _slider("energy")
    jaw: float = _slider("jaw")
    articulation: float = _slider("articulation")
    smile: float = _slider("smile")
    brows: float = _slider("brows")
    head: float = _slider("head")
    eyes: float = _slider("eyes")
    width: float = _slider("width")
    rounding: float = _slider("rounding")
    asymmetry: float = _slider("asymmetry")
    tension: float = _slider("tension")
    frown: float = _slider("frown")
    mood: str = EnumProperty(
        name="Mood",
        update=_on_slider_moved,
        description="Mood of the performance",
        items=[
            (mood.name, mood.label, mood.description, CHOICE_NUMBERS[mood.name])
            for mood in CHOICES.values()
        ],
    )
    strength: float = FloatProperty(
        name="Strength",
        default=STRENGTH,
        min=0.0,
        max=1.0,
        step=5,
        precision=2,
        subtype="FACTOR",
        update=_on_slider_moved,
        description="Strength of the mood",
    )
    manner: Collection[ThunderMannerChange] = CollectionProperty(type=ThunderMannerChange)
    manner_lines: int = IntProperty(description="Number of lines that the manner was learned from")
    manner_strength: float = FloatProperty(
        name="Manner",
        default=1.0,
        min=0.0,
        max=1.0,
        step=5,
        precision=2,
        subtype="FACTOR",
        update=_on_slider_moved,
        description="How far takes follow this character's manner, as your corrections showed it",
    )
    spread: float = _share(
        "Variety",
        SPREAD,
        "How far takes go from this direction, each its own way. At 0 all are played as directed",
    )
    look_at: str = EnumProperty(
        name="Look At",
        description="What the eyes look at",
        options=set(),
        items=[
            ("NONE", "No Target", "The eyes go their own way"),
            ("CAMERA", "Look at the Camera", "The eyes look at the scene's active camera"),
            (
                "OBJECT",
                "Look at an Object",
                "The eyes look at an object, or into the eyes of another head",
            ),
        ],
    )
    look_object: bpy.types.Object | None = PointerProperty(
        name="Target",
        type=bpy.types.Object,
        description="What the eyes look at: an object, or another head",
    )
    looks_away: float = _share(
        "Looks Away",
        0.3,
        "Share of the time that the eyes may leave the target, when the take's own gaze shifts",
    )
    head_follows: float = _share(
        "Head Follows",
        0.33,
        "Share of the way to a target more than 15° to a side that the head turns, with the take's "
        "own movement on top",
    )


def of(owner: bpy.types.Object) -> ThunderDirection | None:
    """The direction of the head that an object represents, None if nothing is stored for the head
    yet."""
    state = head_state.of(owner)
    return None if state is None else state.direction


def ensure(owner: bpy.types.Object) -> ThunderDirection:
    """The same, created if there is none."""
    return head_state.ensure(owner).direction


def _make(name: str) -> None:
    owner = bpy.data.objects.get(name)
    if owner is not None and of(owner) is None:
        ensure(owner)
        jobs.redraw()


_make_soon = jobs.Task(lambda: None, any_time=True)  # drawing must not change data


def prepare(owner: bpy.types.Object) -> None:
    """Create a direction for the head that an object represents, shortly after."""
    _make_soon.step = partial(_make, owner.name)
    _make_soon.start(0.0)


def value(direction: ThunderDirection) -> Direction:
    """The current values of the sliders; a mood that is not on this machine is none."""
    return Direction(
        Style(**{axis.name: getattr(direction, axis.name) for axis in AXES}),
        direction.mood or NEUTRAL,
        direction.strength,
    )


def manner_of(direction: ThunderDirection) -> Manner | None:
    """The manner of a character, None if it has none. Raises BadRequest if a script, or a file from
    elsewhere, gave it one that cannot be."""
    if not len(direction.manner):
        return None
    names = tuple(vars(Change("")))
    stored = ({name: getattr(row, name) for name in names} for row in direction.manner)
    rows = [  # Blender's numbers are shorter than Python's
        {name: round(v, DECIMALS) if isinstance(v, float) else v for name, v in row.items()}
        for row in stored
    ]
    data = {"lines": direction.manner_lines, "changes": rows}
    manner, wrong = attempt(Manner.from_data, data, "The manner of this character")
    if manner is None:
        raise BadRequest(f"{wrong}, or remove the manner")
    return manner


def set_manner(direction: ThunderDirection, manner: Manner | None) -> None:
    """Give a character a manner, instead of the one that it has; None: take that away."""
    direction.manner.clear()
    direction.manner_lines = 0 if manner is None else manner.lines
    for change in () if manner is None else manner.changes:
        row = direction.manner.add()
        for name, value in vars(change).items():
            setattr(row, name, value)


def set_direction(direction: ThunderDirection, wanted: Direction) -> None:
    """Move the sliders to a direction. Variety stays."""
    for name, number in wanted.style.values().items():
        if abs(getattr(direction, name) - number) > 1e-6:
            setattr(direction, name, number)
    if direction.mood != wanted.mood:
        direction.mood = wanted.mood
    if wanted.mood != NEUTRAL:
        direction.strength = wanted.strength
