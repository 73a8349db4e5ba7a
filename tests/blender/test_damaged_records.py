# SPDX-License-Identifier: GPL-3.0-or-later
"""What the add-on stores in a .blend may be changed by anybody: panels and operators ignore it
then, or say a sentence."""

import json

import pytest
from drawing import draw
from speaking import enter
from thunder.scene.animation import display
from thunder.scene.heads import head_state, mapping_table
from thunder.scene.takes import grades, take_record, voice_fit
from thunder.scene.takes.shape import applying
from thunder.scene.voice import changes, fingerprint
from thunder.thunder_core.animation.commit import line_records
from thunder.thunder_core.direction_words import words_of_take
from thunder.thunder_core.errors import ThunderError

HUGE = "9" * 5000
VALUES = [
    "", "{", "[" * 5000, "\x01", "null", "[]", "5", f"[{HUGE}]", '{"version": 1}', 5, -1, 1.5,
    float("nan"), True,
    [], [1, 2], [0.5] * 7, {}, {"version": 1}, {"checksum": [1]}, {"findings": 5, "parts": "x"},
    *({"parts": {"size": "x"}, "findings": json.dumps([each]), "scored_keys": 1} for each in (
        {"kind": 5, "start": "x", "end": [], "size": None, "weight": 1},
        {"kind": "open", "start": float("nan"), "end": 1e999, "size": "x", "weight": 1},
        {"kind": "still", "start": 0, "end": 1, "size": 1, "weight": "x", "whole": True},
    )),
]  # fmt: skip
OF_TAKES = (
    "thunder",
    "thunder_source",
    "thunder_drift",
    "thunder_look",
    "thunder_shaped",
    "thunder_strip",
    "thunder_live",
)
OF_COMMITS = ("thunder_lines", "thunder_keys", "thunder_line_scores", "thunder_as_committed")
OPERATORS = ("commit_take", "reset_shape", "adopt_takes")


def panels(blender):
    ours = [each for each in blender.types.Panel.__subclasses__() if ".thunder." in each.__module__]
    return [
        each
        for each in ours
        if each.bl_space_type in ("VIEW_3D", "PROPERTIES")
        and getattr(each, "poll", lambda _: True)(blender.context)
    ]


def use_all(blender, scene, rig, entry, operators=False):
    """Read a take and its head in every way; each is done or ends in a sentence."""
    action = entry.action
    target = rig.targets[0].animation_data.action if rig.targets[0].animation_data else None
    uses = [
        lambda: (grades._grades.known.clear(), grades.of_take(entry),
        take_record.is_outdated(entry), grades.parts_of(entry)),
        *(lambda cls=cls: draw(cls, blender.context) for cls in panels(blender)),
        lambda: (take_record.load(action), take_record.is_edited(entry), take_record.sync_of(action),
        take_record.of_mouth(action)),
        lambda: list(take_record.read(rig, entry)),
        lambda: (changes.stale_takes(scene), changes.change(scene, entry),
        voice_fit.needs_engine(scene)),
        lambda: applying.follow(entry),
        lambda: take_record.request_of(take_record.about_of(action), scene.thunder),
        lambda: words_of_take(take_record.about_of(action)),
        lambda: [
            (line_records.lines_of(each), line_records.keys_of(each),
            line_records.score_of(each, "voice")) for each in (action, target)
        ],
        lambda: mapping_table.end_all(),
        lambda: (display.restore_animation(rig), display.show(rig, entry)),
    ]  # fmt: skip
    for use in uses:
        try:
            use()
        except ThunderError as error:
            assert "Traceback" not in str(error) and len(str(error)) < 400
    for name in OPERATORS if operators else ():
        try:
            getattr(blender.ops.thunder, name)()
        except RuntimeError as error:  # how an operator's sentence arrives here
            assert "Traceback" not in str(error), str(error)


@pytest.fixture
def entry(stage, scene, rig):
    """A shaped take with a voice, committed once: its entry."""
    entry = enter(stage, seconds=1.0, closed=(0.5,))
    fingerprint.remember(entry.action, fingerprint.State("voice", "", "0", "", 1.0, 1, 25, 24.0))
    entry.action.thunder_shape.jaw = 1.5
    return entry


def put(action, name, value):
    """Store a value where Blender can; whether it could."""
    try:
        action[name] = value
        return True
    except (TypeError, ValueError, OverflowError):
        return False


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_TAKES)
def test_a_damaged_record_of_a_take_is_ignored_or_said(blender, entry, scene, rig, name):
    for value in VALUES:
        if put(entry.action, name, value):
            use_all(blender, scene, rig, entry)
    entry.action[name] = {"version": 1, "prints": "x"}
    use_all(blender, scene, rig, entry, operators=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_COMMITS)
def test_a_damaged_record_of_a_commit_is_ignored(blender, entry, scene, rig, name):
    assert blender.ops.thunder.commit_take() == {"FINISHED"}
    action = rig.targets[0].animation_data.action
    records = [
        {"version": 1, "base": 5, "lines": each}
        for each in (5, [[]], [["a", *[10**4000] * 4]], {"a": [10**400, {}]}, {"a": [0, {"x": 5}]})
    ]
    for value in [
        *VALUES,
        *map(json.dumps, records),
        {"version": 1, "lines": {"voice": {"take": "x", "share": [1]}}},
    ]:
        if put(action, name, value):
            use_all(blender, scene, rig, entry)
    action[name] = json.dumps(records[-1])
    use_all(blender, scene, rig, entry, operators=True)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["own_state", "preview_kept", "mapping"])
def test_a_damaged_record_of_a_head_is_ignored_or_said(blender, entry, scene, rig, place):
    holder = scene.thunder if place == "preview_kept" else head_state.ensure(rig.owner)
    count = len(rig.targets)
    states = [
        {"targets": [state] * count}
        for state in ({"values": [1]}, {"action_influence": HUGE, "values": [["x"] * 3]})
    ]
    for value in [
        "",
        "{",
        "[" * 5000,
        "5",
        "[]",
        f"[{HUGE}]",
        '{"head": "x"}',
        '{"head": [1], "values": 7}',
        *map(json.dumps, states),
    ]:
        setattr(holder, place, value)
        use_all(blender, scene, rig, entry)
    setattr(holder, place, json.dumps(states[-1]))
    use_all(blender, scene, rig, entry, operators=True)


@pytest.mark.parametrize("value", ["{", "[" * 5000, 5, {"version": 1, "checksum": 5, "lines": "x"}])
def test_where_all_records_are_damaged_everything_is_ignored_or_said(
    blender, entry, scene, rig, value
):
    assert blender.ops.thunder.commit_take() == {"FINISHED"}
    for name in OF_TAKES:
        entry.action[name] = value
    for name in OF_COMMITS:
        rig.targets[0].animation_data.action[name] = value
    head_state.ensure(rig.owner).own_state = scene.thunder.preview_kept = (
        value if isinstance(value, str) else json.dumps(value)
    )
    use_all(blender, scene, rig, entry, operators=value == 5)
