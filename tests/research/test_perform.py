# SPDX-License-Identifier: GPL-3.0-or-later
"""Every system of the paper performs a voice, of its seed, into files that Blender imports, and
refuses with a sentence what it does not do."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from research.__main__ import main
from research.paper import TEACHER
from research.perform import Condition, perform_voice
from research.systems import SYSTEMS
from research.systems.regressors import Regressor
from research.train.weight_writing import save_weights
from thunder_core.animation import motion_file
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import write_sound
from thunder_core.errors import BadRequest
from thunder_core.networks.denoiser import DenoiserNetwork
from thunder_core.progress import result
from thunder_core.types import pack, Speech
from thunder_core.weight_files import SHIPPED

SMALL = dict(width=16, layers=1, heads=2, feedforward=16)
NOTHING = Condition()


@pytest.fixture(scope="module")
def engine():
    torch.set_num_threads(1)
    return Engine.load(device="cpu")


@pytest.fixture(scope="module")
def networks(engine, tmp_path_factory):
    """A folder with a small untrained network of every system, as training leaves them."""
    folder = tmp_path_factory.mktemp("paper")
    for name in SYSTEMS:
        leave(engine, folder / name, name)
    return folder


def leave(engine, folder, name, **config):
    """Leave an untrained network of a system in a folder, as training does."""
    torch.manual_seed(0)
    known, sizes = DenoiserNetwork.load(SHIPPED), engine.thunder.denoiser.config
    more = {"speakers": 9} if issubclass(SYSTEMS[name], Regressor) else {}
    given = dict(motion=sizes.motion, audio=sizes.audio) | SMALL | more | config
    network = SYSTEMS[name](SYSTEMS[name].Config(**given))
    for what in ("audio_mean", "audio_std", "motion_mean", "motion_std"):
        value = getattr(network, what)
        value.copy_(getattr(known, what)[: len(value)])
    save_weights(folder / "network", network.state_dict(), network.settings(), {})


def a_voice(seconds=1.2):
    """A hum with syllables."""
    t = np.arange(int(seconds * 16000)) / 16000
    return Speech(
        (0.2 * np.sin(2 * np.pi * 130 * t) * (np.sin(2 * np.pi * 3 * t) > 0)).astype(np.float32)
    )


@pytest.fixture
def perform(engine, networks):
    """Motions by a system, by seed."""

    def run(name, seeds=(5,), condition=NOTHING, folder=networks):
        place = TEACHER if name == TEACHER else str(folder / name)
        takes = perform_voice(engine, place, a_voice(), seeds, condition, steps=2)
        assert all(0 <= score <= 100 for *_, score in takes)
        return {seed: pack(motion) for seed, motion, _ in takes}

    return run


@pytest.fixture
def face(tmp_path):
    """A picture: a grey disc with darker eyes on black."""
    y, x = np.mgrid[-1 : 1 : 64 * 1j, -1 : 1 : 64 * 1j]
    eyes = (np.abs(x) - 0.3) ** 2 + (y + 0.2) ** 2 < 0.02
    grey = np.where(x**2 + y**2 > 0.8, 0, np.where(eyes, 50, 180)).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "face.png")
    return tmp_path / "face.png"


def moving(engine, folder, frames):
    """A motion file of so many frames."""
    values = np.random.default_rng(0).random((frames, engine.head.channels)).astype(np.float32)
    still = np.zeros((frames, 3), np.float32)
    np.savez(
        folder / "moving.npz", expression=values, jaw=still, head=still, eyes=still, fps=25.0,
        channels=engine.thunder.channel_names,
    )  # fmt: skip
    return folder / "moving.npz"


@pytest.mark.parametrize("name", [*SYSTEMS, TEACHER])
def test_a_system_performs_and_its_seed_makes_its_take_again(engine, perform, name):
    three, again = perform(name, (5, 6, 7)), perform(name, (5, 6))
    assert three.keys() == {5, 6, 7} and len(three[6]) == 30
    assert np.allclose(three[6], again[6], atol=1e-4) and np.isfinite(three[6]).all()
    assert (
        three[6][:, : engine.head.channels].min() >= 0 and np.abs(three[6] - three[7]).max() > 1e-4
    )


def test_what_a_system_is_told_changes_what_it_performs(perform, tmp_path, face, engine):
    for name, condition in (
        ("media2face", Condition(mood="sad")),
        ("media2face", Condition(picture=face)),
        ("diffposetalk", Condition(reference=moving(engine, tmp_path, 60))),
        (TEACHER, Condition(mood="sad")),
    ):
        assert np.abs(perform(name, condition=condition)[5] - perform(name)[5]).max() > 1e-4, (
            name,
            condition,
        )


@pytest.mark.parametrize(
    "name, condition, sentence",
    [
        ("faceformer", NOTHING, "faceformer” is no folder of a system"),
        ("nowhere/flameformer", NOTHING, "flameformer” is no folder of a system"),
        ("flameformer", Condition(mood="sad"), "flameformer takes no mood: leave --mood out"),
        ("thunder", Condition(reference="x.npz"), "thunder takes no reference"),
        ("diffposetalk", Condition(picture="x.png"), "diffposetalk takes no picture"),
        ("media2face", Condition(mood="wam"), "no mood “wam”: choose one of warm"),
        ("media2face", Condition(picture="blank.png"), "shows nothing, it has one colour"),
        ("media2face", Condition(picture="none.png"), "cannot be read"),
        ("diffposetalk", Condition(reference="moving.npz"), "shorter than a second"),
    ],
)
def test_what_a_system_does_not_take_is_refused(
    perform, engine, tmp_path, name, condition, sentence
):
    Image.new("L", (64, 64), 128).save(tmp_path / "blank.png")
    moving(engine, tmp_path, 4)
    paths = {
        each: tmp_path / value
        for each in ("reference", "picture")
        if (value := getattr(condition, each)) is not None
    }
    with pytest.raises(BadRequest, match=sentence):
        perform(name, condition=replace(condition, **paths))


def test_the_command_writes_files_that_blender_imports(engine, networks, tmp_path, capsys):
    write_sound(tmp_path / "line.wav", a_voice())
    words = ["perform", networks / "flameformer", "--audio", tmp_path / "line.wav", "--takes", "2"]
    main([*map(str, words), "--out", str(tmp_path)])
    assert capsys.readouterr().out.count("lip-sync") == 2
    names = engine.thunder.channel_names
    for seed in (1, 2):
        motion, _ = result(
            motion_file.read_recording(str(tmp_path / f"take_{seed}.npz"), tuple(names))
        )
        assert motion.frames == 30 and np.ptp(motion.expression) > 0
    with pytest.raises(SystemExit, match="is no folder of a system"):
        main(["perform", "none", "--out", str(tmp_path)])
