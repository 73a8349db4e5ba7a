# SPDX-License-Identifier: GPL-3.0-or-later
"""The real engine samples the rest of a take around what is kept of it, and hears where a text
closes the lips."""

import numpy as np
import pytest
from running_engine import connection, SAMPLE, scene, speak, stop_engine  # noqa: F401
from speaking import keys_of, tracks, values_of
from thunder.scene.heads import head
from thunder.scene.takes import keep

SAID = (
    "My brother moves both big blue boxes from the front room. Who can forgive such a foolish "
    "thief, and put up with his thunder?"
)


@pytest.fixture
def take(blender, scene):
    """A sampled take of the sample, shown: (scene, rig, its entry)."""
    speak(scene)
    scene.thunder.count = 1
    assert blender.ops.thunder.generate() == {"FINISHED"}
    return scene, head.find(scene), scene.thunder.takes[0]


@pytest.mark.slow
def test_the_rest_is_resampled_and_flows_into_what_is_kept(blender, take):
    scene, rig, entry = take
    frames = np.arange(entry.first, entry.last + 1)
    action = entry.action.name
    was, before = values_of(rig, entry, frames), keys_of(rig, entry)
    scene.thunder_keep.count, scene.thunder_keep.head = 2, True
    keep.add_range(scene, 70, 120)
    assert blender.ops.thunder.resample_rest() == {"FINISHED"}
    assert [each.kind for each in scene.thunder.takes].count("RESAMPLED") == 2
    inside = (frames >= 70) & (frames <= 120)
    moving = np.ptp(was, axis=0) > 1e-3
    for made in scene.thunder.takes:
        if made.kind != "RESAMPLED":
            continue
        assert (
            made.seed in (1001, 1002)
            and 0 <= made.score <= 100
            and dict(made.action["thunder"])["kept"]
        )
        now = values_of(rig, made, frames)
        assert (now[inside] == was[inside]).all()
        keys = keys_of(rig, made)
        for place in tracks(rig, '"neck"'):
            assert (keys[place]["co"] == before[place]["co"]).all()
        assert np.abs(now - was)[~inside].max() > 0.05  # another performance
        # No step in place or in speed where kept and new meet: no more than the take itself has at
        # its fastest.
        bend, own = np.abs(np.diff(now, 2, axis=0)), np.abs(np.diff(was, 2, axis=0)).max(axis=0)
        for border in (70, 120):
            at = border - entry.first
            near = bend[at - 2 : at + 2][:, moving].max(axis=0)
            free = np.abs(np.diff(now[~inside], 2, axis=0))[:, moving].max(axis=0)
            assert (near <= np.maximum(own[moving], free) + 0.02).all()
    assert all(
        (a["co"] == b["co"]).all()
        for a, b in zip(
            before,
            keys_of(rig, next(each for each in scene.thunder.takes if each.action.name == action)),
        )
    )
    assert scene.thunder_keep.seed == 1003


@pytest.mark.slow
def test_the_engine_says_when_each_word_is_said_and_doubts_another_line(blender, connection):
    client = connection.client()
    client.start()
    answer = client.request("spoken", sound=SAMPLE, text=SAID).wait(timeout=300)
    assert answer["matches"] and [word for word, *_ in answer["words"]] == [
        word.strip(".,?") for word in SAID.split()
    ]
    assert all(0.3 < start < end < 8.0 and sure > 0.4 for _, start, end, sure in answer["words"])
    assert [phone for phone, *_ in answer["sounds"]][:2] == ["M", "AY"]
    assert not client.request(
        "spoken", sound=SAMPLE, text="Photographs of the other evening showed nothing at all"
    ).wait(timeout=300)["matches"]
    assert client.request("spoken", sound=SAMPLE, text="").wait(timeout=300)["words"] == []
