# SPDX-License-Identifier: GPL-3.0-or-later
"""Every system performs behind the engine's one interface, of its seed, and refuses with a sentence
what it does not do."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from thunder_core.direction import AXES, Brief, Direction, MOODS, Style
from thunder_core.engine.engine import apply_picture, Engine
from thunder_core.engine.network import SHIPPED
from thunder_core.errors import BadRequest, BadWeights
from thunder_core.networks.denoiser import Denoiser
from thunder_core.networks.systems import network_class
from thunder_core.networks.weights import save_weights
from thunder_core.request import Request, SYSTEMS
from thunder_core.types import Keep, pack, Speech

SMALL = dict(width=16, layers=1, heads=2, feedforward=16)
OTHERS = [name for name in SYSTEMS if name != "thunder"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """The shipped weights with small untrained networks of the systems beside them."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("weights")
    for path in SHIPPED.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    engine = Engine.load(folder, device="cpu")
    config, known = engine.thunder.denoiser.config, Denoiser.load(SHIPPED)
    for name in OTHERS:
        if not SYSTEMS[name].trained:
            continue
        torch.manual_seed(0)
        kind = network_class(name)
        more = {"speakers": 9} if name in ("flameformer", "flameselftalk") else {}
        network = kind(kind.Config(motion=config.motion, audio=config.audio, **SMALL, **more))
        for what in ("audio_mean", "audio_std", "motion_mean", "motion_std"):
            getattr(network, what).copy_(getattr(known, what))
        save_weights(folder / "systems" / name, network.state_dict(), network.settings(), {})
    return engine


def a_voice(seconds=1.2):
    """A hum with syllables."""
    t = np.arange(int(seconds * 16000)) / 16000
    return Speech(
        (0.2 * np.sin(2 * np.pi * 130 * t) * (np.sin(2 * np.pi * 3 * t) > 0)).astype(np.float32)
    )


@pytest.mark.parametrize("name", OTHERS)
def test_a_system_performs_and_its_seed_makes_its_take_again(engine, name):
    def takes_by_seed(count):
        takes = engine.generate(a_voice(), Request(count, 5, steps=2, system=name))
        return {take.seed: take for take in takes}

    three, again = takes_by_seed(3), takes_by_seed(2)[6]
    assert three.keys() == {5, 6, 7}
    for take in three.values():
        assert take.provenance["engine"] == name
        assert bool(take.provenance.get("system_weights")) is SYSTEMS[name].trained
    one, other = three[6], three[7]
    assert one.motion.frames == 30 and np.allclose(pack(one.motion), pack(again.motion), atol=1e-4)
    assert (
        np.isfinite(pack(one.motion)).all()
        and one.motion.expression.min() >= 0
        and one.motion.jaw[:, 0].min() >= 0
    )
    assert np.abs(pack(one.motion) - pack(other.motion)).max() > 1e-4


def one_take(engine, system, **wish):
    return engine.generate(a_voice(), Request(1, 1, steps=2, system=system, **wish))[0]


def a_face(size=64):
    """A grey disc with darker eyes on black, [size, size]."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    return np.where(
        x**2 + y**2 > 0.8, 0, np.where((np.abs(x) - 0.3) ** 2 + (y + 0.2) ** 2 < 0.02, 0.2, 0.7)
    ).astype(np.float32)


LOUD = Brief(Direction(Style(energy=1.5)).vector()[None])
SAD = replace(Brief(Direction(mood="sad").vector()[None]), spread=0.0)


@pytest.mark.parametrize(
    "name, wish, sentence",
    [
        ("flameformer", "keep", "FlameFormer cannot keep parts of a take: choose THUNDER"),
        ("diffposetalk", dict(speech_guidance=1.0), "has no Lip-Sync Guidance"),
        ("flameselftalk", dict(guidance=2.0), "has no Voice Guidance"),
        ("flameselftalk", dict(direction=LOUD), "cannot be directed"),
        ("media2face", dict(direction=LOUD), "follows only the mood"),
        (
            "thunder",
            dict(reference=np.zeros((40, 53))),
            "takes no style from a motion: choose DiffPoseTalk",
        ),
        ("diffposetalk", dict(reference=np.zeros((4, 53))), "shorter than a second"),
        ("faceformer", {}, "no engine “faceformer”"),
        ("thunder", dict(picture=a_face()), "takes no mood from a picture: choose Media2Face"),
        ("diffposetalk", dict(picture=a_face()), "takes no mood from a picture: choose Media2Face"),
        ("media2face", dict(picture=np.full((64, 64), 0.5, np.float32)), "shows nothing"),
    ],
)
def test_what_a_system_does_not_do_and_a_picture_that_cannot_be_used_are_refused(
    engine, name, wish, sentence
):
    if wish == "keep":
        kept = one_take(engine, "thunder").motion
        wish = {"keep": Keep(kept, np.ones((kept.frames, engine.thunder.columns.count), bool))}
    with pytest.raises(BadRequest, match=sentence):
        one_take(engine, name, **wish)


@pytest.mark.parametrize(
    "name, wish",
    [
        ("media2face", dict(direction=SAD)),
        ("diffposetalk", dict(reference=np.random.default_rng(0).random((60, 53), np.float32))),
        ("teacher", dict(direction=SAD)),
    ],
)
def test_a_mood_a_reference_and_a_direction_change_what_is_performed(engine, name, wish):
    plain, told = (pack(one_take(engine, name, **more).motion) for more in ({}, wish))
    assert np.abs(told - plain).max() > 1e-4


def engine_beside(engine, folder, name, **config):
    """An engine of the same weights and an untrained network of one system."""
    for path in filter(Path.is_file, engine.folder.iterdir()):
        shutil.copy(path, folder)
    kind, known = network_class(name), engine.thunder.denoiser.config
    network = kind(kind.Config(**dict(motion=known.motion, audio=known.audio) | SMALL | config))
    save_weights(folder / "systems" / name, network.state_dict(), network.settings(), {})
    return Engine.load(folder, device="cpu")


def test_weights_of_another_encoder_are_refused(engine, tmp_path):
    loaded = engine_beside(engine, tmp_path, "flameselftalk", audio=7, speakers=2)
    with pytest.raises(BadWeights, match="another speech encoder"):
        one_take(loaded, "flameselftalk")
    with pytest.raises(BadRequest, match="have no FlameFormer: choose another engine"):
        one_take(loaded, "flameformer")


def test_weights_that_see_through_clip_ask_for_its_folder(engine, tmp_path):
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    loaded = engine_beside(engine, tmp_path, "media2face", clip=16)
    with pytest.raises(
        BadRequest, match="through a CLIP network: put its folder at .*systems.*clip"
    ):
        one_take(loaded, "media2face", picture=a_face())
    sizes = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    config = CLIPVisionConfig(projection_dim=16, image_size=32, patch_size=16, **sizes)
    CLIPVisionModelWithProjection(config).save_pretrained(tmp_path / "systems" / "clip")
    assert any(one_take(loaded, "media2face", picture=a_face()).provenance["picture"])


@pytest.mark.parametrize("name", ["flameformer", "teacher"])
def test_a_listener_of_any_system_keeps_the_lips_shut(engine, name):
    take = one_take(engine, name, listening=True)
    assert take.provenance["role"] == "listens" and np.abs(take.motion.jaw[:, 0]).max() < 0.02


def test_a_picture_changes_what_media2face_performs_and_its_moods_make_the_take_again(engine):
    usual = replace(Brief(Direction().vector()[None]), spread=0.0)
    plain = one_take(engine, "media2face", direction=usual)
    take = one_take(engine, "media2face", picture=a_face())
    moods = take.provenance["picture"]
    assert len(moods) == len(MOODS) - 1 and any(moods) and moods == [round(x, 3) for x in moods]
    again = one_take(engine, "media2face", picture=np.array(moods, np.float32))
    assert np.array_equal(pack(take.motion), pack(again.motion))
    assert again.provenance["picture"] == moods
    assert np.abs(pack(take.motion) - pack(plain.motion)).max() > 1e-4


def test_a_mood_that_is_asked_for_goes_over_the_picture_by_its_strength():
    shown = np.zeros(len(MOODS) - 1, np.float32)
    shown[[0, 3]] = 0.8, 0.2
    sad = Direction(mood="sad", strength=0.75).vector()
    vectors = np.stack([Direction(Style(energy=1.2)).vector(), sad])
    moods = apply_picture(Brief(vectors, 0.25), shown)
    assert moods.spread == 0.25 and np.array_equal(
        moods.vectors[:, : len(AXES)], vectors[:, : len(AXES)]
    )
    assert moods.vectors[0, len(AXES) :] == pytest.approx(shown)
    assert moods.vectors[1, len(AXES) :] == pytest.approx(sad[len(AXES) :] + 0.25 * shown)
    alone = apply_picture(Brief(Direction().vector()[None], 0.0), shown)
    assert alone.spread == 0 and alone.vectors[0] == pytest.approx(
        np.concatenate([np.zeros(len(AXES)), shown])
    )
