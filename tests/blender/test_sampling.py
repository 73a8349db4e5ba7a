# SPDX-License-Identifier: GPL-3.0-or-later
"""How takes are sampled reaches the engine from every button and from the command line; a seed made
again goes by its own take."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from performances import noise, performance, reopen, show_take
from thunder.scene.heads import head
from thunder.scene.host import jobs
from thunder.scene.takes import seeds, take_record
from thunder.scene.takes.direction import sliders
from thunder.scene.takes.direction.live import why_not
from thunder.scene.takes.generation import How, perform
from thunder.scene.voice import fingerprint, strip
from thunder.thunder_core.direction import (
    AS_HEARD,
    CLOSED,
    Direction,
    DirectionRequest,
    HELD,
    Mark,
    STRENGTH,
    Style,
)
from thunder.thunder_core.direction_presets import Preset, SHIPPED
from thunder.thunder_core.protocol import NOTES, SILENT, UNCLEAR
from thunder.thunder_core.request import Request, seed_of_voice
from thunder.thunder_core.types import FPS

pytestmark = pytest.mark.one_blender

SECONDS = 2.0
CHOSEN = {"quality": "final", "guidance": 1.5}


@pytest.fixture
def scene(voiced, client):
    """A scene with a voice, settings that are nobody's defaults, and an engine that every button
    asks."""
    voiced.thunder.count = 2
    for name, value in CHOSEN.items():
        setattr(voiced.thunder, name, value.upper() if name == "quality" else value)
    return voiced


def enter(blender, scene, **about):
    """List a take of the scene's voice that says of itself what is given, and show it."""
    made, voice = performance(seconds=SECONDS), strip.find(blender.context)
    made.provenance.clear()
    made.provenance.update(about)
    entry = show_take((scene, head.find(scene)), made, voice.clock.start, voice.name)
    fingerprint.remember(entry.action, voice.state)
    return entry


def of_take(entry, scene):
    """How a take says that it was sampled."""
    return take_record.request_of(take_record.load(entry.action).provenance, scene.thunder)


def asked(client):
    """What the engine was told of sampling, of each request."""
    return [
        {name: args[name] for name in ("steps", *CHOSEN) if name in args}
        for verb, args in client.asked
        if verb == "generate"
    ]


def test_every_button_and_a_bake_sample_as_the_settings_say(blender, scene, client, voice, baked):
    assert blender.ops.thunder.generate() == {"FINISHED"}
    for entry in scene.thunder.takes:
        about = entry.action["thunder"].to_dict()
        assert {name: about[name] for name in CHOSEN} == CHOSEN
    enter(blender, scene, steps=11, guidance=1.0)
    scene.thunder_keep.upper_face = True
    assert blender.ops.thunder.resample_rest() == {"FINISHED"}
    assert asked(client) == [CHOSEN, CHOSEN]
    if strip.has_audio():
        scene.thunder.source = "STRIP"
        for number in range(2):
            strip.add(scene, voice, f"line {number}", 1 + 60 * number)
        assert blender.ops.thunder.generate_all() == {"FINISHED"}
        assert asked(client) == [CHOSEN] * 4
    report = baked("--quality", "final", "--guidance", 1.5)
    assert asked(client)[-1] == CHOSEN == {name: report[name] for name in CHOSEN}


def test_a_character_has_a_seed_of_its_own_for_all_recordings_until_one_is_set(
    blender, scene, client, tmp_path
):
    settings, own, line = scene.thunder, seed_of_voice("line"), scene.thunder.sound_file
    assert settings.first_seed == own and not settings.keep_seed
    settings.keep_seed = True
    assert settings.first_seed == settings.seed == own
    settings.first_seed = 7
    assert settings.keep_seed and settings.first_seed == 7
    blender.ops.thunder.generate()
    assert {entry.seed for entry in settings.takes} == {7, 8}
    # a seed that was chosen is not kept as the character's
    settings.keep_seed, settings.sound_file = False, ""
    assert settings.first_seed == seed_of_voice("")
    settings.takes.clear()
    settings.sound_file = line
    blender.ops.thunder.generate()
    settings.sound_file = noise(tmp_path / "another.wav", 1.0)
    assert settings.first_seed == own
    blender.ops.thunder.generate()
    assert {(entry.voice, entry.seed) for entry in settings.takes} == {
        (name, own + n) for name in ("line", "another") for n in (0, 1)
    }
    settings.seed = 5  # as an earlier version sets it
    assert settings.keep_seed and settings.first_seed == 5


def test_generate_again_takes_the_next_seeds_unless_something_changed_or_the_seed_was_chosen(
    blender, scene, client
):
    settings, own = scene.thunder, seed_of_voice("line")

    for _ in range(3):
        blender.ops.thunder.generate()
    assert sorted(entry.seed for entry in settings.takes) == [*range(own, own + 6)]
    settings.quality = "DRAFT"
    blender.ops.thunder.generate()
    assert sorted(entry.seed for entry in settings.takes)[:4] == [own, own, own + 1, own + 1]
    sliders.ensure(head.find(scene).owner).energy = 1.5
    blender.ops.thunder.generate()
    assert [entry.seed for entry in settings.takes].count(own) == 3, (
        "another direction, the same people"
    )
    settings.first_seed = own
    blender.ops.thunder.generate()
    assert [entry.seed for entry in settings.takes].count(own) == 4
    settings.keep_seed = False
    blender.ops.thunder.generate()
    assert max(entry.seed for entry in settings.takes) >= own + 5


@pytest.mark.parametrize(
    "is_silent, sentence", [(True, "“line” is silent, so"), (False, "Nobody speaks in “line”, so")]
)
def test_a_voice_in_which_nobody_speaks_is_named_before_the_first_take(
    blender, scene, client, is_silent, sentence
):
    client.unspoken, notes = is_silent, []
    voice, rig = strip.find(blender.context), head.find(scene)
    job = jobs.Job("Generating", perform(client, scene, rig, voice, How(Request(2, 1), None)))
    while not job.note:
        assert not job.advance(0.0) and not len(scene.thunder.takes)
    assert (
        job.note.startswith(sentence)
        and "if somebody should speak, " in job.note
        and "cancel" not in job.note
    )
    while not job.advance():
        notes.append(job.note)
    assert len(set(notes)) == 1 and {entry.role for entry in scene.thunder.takes} == {"IDLE"}


def test_a_bake_warns_of_a_voice_in_which_nobody_speaks_or_that_is_hard_to_understand(
    baked, client, tmp_path, capsys
):
    client.unspoken = True
    assert (
        baked()["warnings"] == [SILENT.format("line")]
        and SILENT.format("line") in capsys.readouterr().err
    )
    assert baked("--seconds", 2, "--out", tmp_path / "idle")["warnings"] == []
    client.unspoken, client.unclear = None, True
    assert (
        baked()["warnings"] == [NOTES[UNCLEAR].format("line")]
        and "and generate again" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "about, wanted",
    [
        # of 0.3.0, when mesh-to-speech could pull
        ({"steps": 11, "guidance": 2.0, "speech_guidance": 0.5}, {"steps": 11, "guidance": 2.0}),
        ({"quality": "draft", "guidance": 1.0}, {"quality": "draft", "guidance": 1.0}),
        ({"engine": "thunder"}, CHOSEN),
        ({"engine": "thunder", "quality": "lavish"}, CHOSEN),
    ],
)
def test_a_seed_is_made_again_as_its_take_was_sampled(
    blender, scene, client, tmp_path, about, wanted
):
    enter(blender, scene, **about)
    noise(tmp_path / "line.wav", seed=2)
    assert blender.ops.thunder.resync() == {"FINISHED"}
    assert asked(client) == [wanted]


DIRECTION = Direction(Style(energy=1.3), "warm", 0.6)


def test_takes_of_a_system_that_earlier_versions_had_open_and_do_not_follow_the_sliders(
    blender, scene, client, tmp_path
):
    told = {"style_from": "gone", "picture": "face", "picture_moods": [0.125] * 11}
    about = {"steps": 5, "seed": 9, "direction": DIRECTION.vector().tolist(), "spread": 0.5}
    enter(blender, scene, **about, as_asked=True, system="media2face", **told)
    scene = reopen(blender, tmp_path)
    (entry,) = scene.thunder.takes
    read = of_take(entry, scene)
    assert read == replace(
        take_record.request_of(about | {"as_asked": True}, None),
        direction=read.direction,
        seed=read.seed,
    )
    assert take_record.load(entry.action).motion.frames == SECONDS * FPS
    assert "was made with other weights than those in use" in why_not(scene, entry)
    rig = head.find(scene)
    same = replace(read, seed=entry.seed)
    assert seeds.listed(scene, rig.mesh, entry.voice, same) == entry
    marked = replace(same.direction, marks=(Mark(CLOSED, 0.2, 0.5),))
    marked = replace(same, direction=marked)
    assert seeds.listed(scene, rig.mesh, entry.voice, marked) is None


def test_a_request_as_heard_is_kept_with_its_takes(blender, scene, client, baked):
    sliders.ensure(head.find(scene).owner).mood = AS_HEARD
    assert blender.ops.thunder.generate() == {"FINISHED"}
    (_, request), *_ = client.asked
    assert client.arrays[request["as_heard"]] == pytest.approx([STRENGTH])
    again = of_take(scene.thunder.takes[0], scene)
    assert again.direction.as_heard == pytest.approx([STRENGTH])
    neutral = replace(again.direction, as_heard=np.zeros(1, np.float32))
    assert take_record.is_same_request(again, again)
    assert not take_record.is_same_request(replace(again, direction=neutral), again)
    said = baked("--mood", "as heard=.5")["direction"]
    assert client.arrays[client.asked[-1][1]["as_heard"]].tolist() == [0.5] and (
        said["mood"],
        said["strength"],
    ) == (AS_HEARD, 0.5)


def test_a_request_is_the_same_after_its_way_through_a_file(blender, scene, client, tmp_path):
    vectors = np.repeat(DIRECTION.vector()[None], 2, 0)
    asked = DirectionRequest(vectors, 0.3, False, vectors[:1], ((5, 0.5), (2**30, 1.0)), np.ones(2, "f4"),
    (Mark(HELD, 0.5, 1.0),), "a b")  # fmt: skip
    request = Request(1, steps=7, direction=asked, listening=True, phones="[]")
    enter(
        blender, scene, **take_record.of_made(request, {"role": "listens", "choice": {"hits": []}})
    )
    scene = reopen(blender, tmp_path)
    read = of_take(scene.thunder.takes[0], scene)
    np.testing.assert_equal(asdict(read), asdict(request))


@pytest.mark.parametrize(
    "damaged", [{"direction": [1.0, 2.0]}, {"direction": "loud"}, {"spread": None}]
)
def test_a_record_that_does_not_hold_together_is_left_out(blender, scene, damaged):
    about = {"steps": 5, "direction": DIRECTION.vector().tolist(), "spread": 0.5, "as_asked": True}
    assert take_record.request_of(about, None).direction is not None
    of_settings = Request.of(scene.thunder, takes=1)
    assert take_record.request_of(about | damaged, scene.thunder) == of_settings


def test_a_bake_is_directed_by_preset_mood_and_sliders(baked, client, tmp_path):
    (tmp_path / "hers.json").write_text(
        json.dumps({"thunder_direction": 1, "style": {"energy": 0.7, "jaw": 0.9}, "spread": 0.3})
    )
    report = baked(
        *f"--takes 2 --seed 5 --npz --style {tmp_path / 'hers.json'} --mood warm=.6 --energy 1.2".split()
    )
    ((_, request),) = client.asked
    wanted = Direction(Style(energy=1.2, jaw=0.9), "warm", 0.6)
    assert client.arrays[request["direction"]] == pytest.approx(wanted.vector()[None])
    assert request["spread"] == 0.3 and request["as_asked"] is True
    said = {
        "thunder_direction": 1,
        "name": "",
        "about": "",
        "style": {"energy": 1.2, "jaw": 0.9},
        "mood": "warm",
        "strength": 0.6,
    }
    assert report["direction"] == said | {"spread": 0.3}
    assert [take["words"] for take in report["takes"]] == ["as directed"] * 2 and report["takes"][
        0
    ]["played"] == said


@pytest.mark.parametrize("name", ["Newsreader", "newsreader"])
def test_a_bake_finds_a_preset_by_its_name_and_may_leave_the_first_take_free(baked, client, name):
    baked("--style", name, "--no-as-asked")
    ((_, request),) = client.asked
    preset = Preset.read(SHIPPED / "Newsreader.json")
    assert client.arrays[request["direction"]] == pytest.approx(preset.direction.vector()[None])
    assert request["spread"] == preset.spread and request["as_asked"] is False
