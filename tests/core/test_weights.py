# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights files: anything but a whole, real, finite network of the right shape is refused when it
is loaded."""

import copy
import itertools
import json
import os
import shutil
import sys

import pytest
import torch
from memory import held_at_most
from safetensors.torch import load_file, save_file

from thunder_core.engine import network, worker
from thunder_core.engine.engine import Engine
from thunder_core.engine.network import ENDINGS, identify, SHIPPED, SUMS, write_sums
from thunder_core.engine.speech.encoder import Units
from thunder_core.errors import BadWeights
from thunder_core.networks.denoiser import Denoiser
from thunder_core.networks.encoder import SpeakerEncoder, SpeechEncoder
from thunder_core.networks.judge import Judge
from thunder_core.networks.m2s import MeshToSpeech
from thunder_core.networks.vocoder import Vocoder
from thunder_core.networks.weights import load_weights, save_weights

LOADERS = {
    "encoder": SpeechEncoder.load, "units": Units.load, "speaker": SpeakerEncoder.load,
    "m2s": MeshToSpeech.load, "judge": Judge.load,
    "vocoder": Vocoder.load,
    "denoiser": Denoiser.load,
}  # fmt: skip
FILES = {
    name: (
        load_file(SHIPPED / f"{name}.safetensors"),
        json.loads((SHIPPED / f"{name}.json").read_text()),
    )
    for name in LOADERS
}


SPREADS = {"denoiser": ["motion_std"], "encoder": ["mel_std"], "m2s": ["scale"]}


def write(folder, name, tensors=None, config=None):
    """A weights file of one network with some tensors or settings changed."""
    own, card = FILES[name]
    save_file(own | (tensors or {}), folder / f"{name}.safetensors")
    card = copy.deepcopy(card)
    card["config"].update(config or {})
    (folder / f"{name}.json").write_text(json.dumps(card))
    return folder


def refused(folder, name, says):
    with pytest.raises(BadWeights, match=says) as caught:
        LOADERS[name](folder)
    assert f"The weights file {name}." in str(caught.value)
    assert str(caught.value).endswith(": choose another weights folder") and str(folder) in str(
        caught.value
    )


def largest(name):
    """Name of the largest tensor of a file, and the tensor."""
    return max(FILES[name][0].items(), key=lambda item: item[1].numel())


@pytest.mark.parametrize("name", LOADERS)
def test_every_network_refuses_whole_numbers_other_precision_and_other_shapes(tmp_path, name):
    key, tensor = largest(name)
    refused(
        write(tmp_path, name, {key: tensor.round().to(torch.int32)}),
        name,
        "int32.* where fractions belong",
    )
    refused(write(tmp_path, name, {key: tensor.half()}), name, "does not fit")
    refused(write(tmp_path, name, {key: tensor[:-1].clone()}), name, "does not fit")
    refused(write(tmp_path, name, {key: tensor * 1e9}), name, "far beyond")
    for spread, sign in itertools.product(SPREADS.get(name, ()), (0, -1)):
        changed = sign * FILES[name][0][spread]
        refused(write(tmp_path, name, {spread: changed}), name, "spread that is not positive")


@pytest.mark.parametrize(
    ("name", "config", "says"),
    [
        ("denoiser", {"width": "128"}, "wrong kind of “width”"),
        ("denoiser", {"width": 128.0}, "wrong kind of “width”"),
        ("denoiser", {"heads": True}, "wrong kind of “heads”"),
        ("denoiser", {"heads": 5}, "128 for 5 heads"),
        ("denoiser", {"heads": 0}, "128 for 0 heads"),
        ("denoiser", {"layers": -1}, "negative “layers”"),
        ("denoiser", {"layers": 10**9}, r"denoiser\.json .*has a “layers” that makes no sense"),
        ("denoiser", {"dropout": float("nan")}, "has a “dropout” that makes no sense"),
        ("denoiser", {"colour": 1}, r"denoiser\.json .*unknown “colour”"),
        ("denoiser", {"width": [1]}, "wrong kind of “width”"),
        ("denoiser", {"motion": 10**40}, "has a “motion” that makes no sense"),
        ("denoiser", {"width": 60_000}, "larger network than the file"),
        ("units", {"count": 65_000, "width": 65_000}, "does not fit"),
        ("units", {"count": None}, "wrong kind of “count”"),
        ("m2s", {"inputs": 65_000}, "larger network than the file|does not fit"),
        ("m2s", {"space": ["mouth"]}, "wrong kind of “space”"),
        ("judge", {"dilations": [1, 2, "4", 1]}, "wrong kind of “dilations”"),
        ("judge", {"dilations": [1, 2, -4, 1]}, "wrong kind of “dilations”"),
        ("judge", {"dilations": 3}, "wrong kind of “dilations”"),
        ("vocoder", {"kernel": 65_536}, "larger network than the file|does not fit"),
        ("encoder", {"body": {"model_type": "bert"}}, "does not fit"),
        (
            "encoder",
            {"body": {"model_type": "wav2vec2", "hidden_size": 192, "num_hidden_layers": 5000}},
            "“num_hidden_layers”",
        ),
        (
            "encoder",
            {"body": {"model_type": "wav2vec2", "hidden_size": 65_000}},
            "larger network than the file",
        ),
        ("encoder", {"body": {"a": {"b": {"c": {"d": {"e": 1}}}}}}, "makes no sense"),
    ],
)
def test_a_configuration_that_cannot_be_meant_is_refused_before_it_costs_memory(
    tmp_path, name, config, says
):
    refused(write(tmp_path, name, config=config), name, says)


def test_damaged_and_huge_cards_are_refused_before_they_cost_anything(tmp_path, monkeypatch):
    write(tmp_path, "units")
    with open(tmp_path / "units.json", "wb") as file:
        file.truncate(2**31)
    with held_at_most(2**22):
        refused(tmp_path, "units", r"units\.json.*larger than 1 MB")
    write(tmp_path, "judge")
    (tmp_path / "judge.json").write_text("{")
    monkeypatch.setitem(sys.modules, "thunder_core.engine.engine", None)  # not imported
    with pytest.raises(BadWeights, match="judge.json"):
        worker.Worker(None, None, None, str(tmp_path), "cpu").load_engine(lambda *_: None)


@pytest.mark.parametrize(("content", "says"), [(None, "is missing"), (b"PK", "is damaged")])
def test_a_head_that_cannot_be_used_is_named_as_a_file_of_the_weights(
    tmp_path, monkeypatch, content, says
):
    if content is not None:
        (tmp_path / "head.npz").write_bytes(content)
    with pytest.raises(
        BadWeights,
        match=f"^The weights file head.npz in “[^”]+” {says}.*: choose another weights folder$",
    ):
        Engine.load(tmp_path, device="cpu")
    monkeypatch.setattr(network, "SHIPPED", tmp_path.resolve())
    with pytest.raises(BadWeights, match=": reinstall the extension$"):
        Engine.load(tmp_path, device="cpu")


def test_networks_of_two_trainings_are_not_put_together(tmp_path):
    for path in SHIPPED.iterdir():
        shutil.copy(path, tmp_path / path.name)
    save_weights(
        tmp_path / "units",
        {"centroids": FILES["units"][0]["centroids"][:100]},
        {"count": 100, "width": 192},
        {},
    )
    with pytest.raises(BadWeights, match="m2s and units were not trained together"):
        Engine.load(tmp_path, device="cpu")


def test_what_is_saved_comes_back_and_a_failed_save_changes_nothing(tmp_path):
    save_weights(tmp_path / "w", {"a": torch.arange(3.0)}, {"n": 3}, {"what": "three"})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    tensors, config = load_weights(tmp_path / "w")
    assert tensors["a"].tolist() == [0, 1, 2] and config == {"n": 3}
    with pytest.raises(TypeError):
        save_weights(tmp_path / "w", {"a": torch.arange(4.0)}, {"n": 4}, {"what": object()})
    assert before["w.json"] == (tmp_path / "w.json").read_bytes() and set(before) == {
        path.name for path in tmp_path.iterdir()
    }


# ---- which weights these are


def test_the_list_of_sums_is_current_and_weights_that_differ_from_it_are_said_by_name(tmp_path):
    """After new weights: python -m thunder_core.train card."""
    rows = (SHIPPED / SUMS).read_text().splitlines()
    assert len(rows) == len([path for path in SHIPPED.iterdir() if path.suffix in ENDINGS])
    assert identify(SHIPPED).origin == "shipped" and identify(SHIPPED).sentence == ""
    write(tmp_path, "units", {"centroids": FILES["units"][0]["centroids"].flip(0)})
    write(tmp_path, "speaker")
    write_sums(tmp_path)
    assert identify(tmp_path).origin == "own" and identify(tmp_path).unlike == ()
    write(tmp_path, "units")
    (tmp_path / "speaker.json").unlink()
    assert identify(tmp_path).origin == "changed" and identify(tmp_path).unlike == (
        "speaker.json",
        "units.safetensors",
    )
    assert identify(tmp_path).sentence == (
        f"The weights in “{tmp_path}” differ from the SHA256SUMS beside them (speaker.json, "
        f"units.safetensors): copy them again, "
        "or list them anew"
    )
    for damage in (b"", b"\xff\xfe", b"one\n", b"x" * 2**21):
        (tmp_path / SUMS).write_bytes(damage)
        assert identify(tmp_path).origin == "own"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes among files")
@pytest.mark.parametrize("name", ["units.json", "units.safetensors", "head.npz", "more.json", SUMS])
@pytest.mark.parametrize(
    "make, says",
    [
        (lambda path: os.mkfifo(path), "is a pipe or a device"),
        (os.mkdir, "is a folder"),
        (lambda path: os.symlink("/dev/zero", path), "is a pipe or a device"),
    ],
)
def test_a_pipe_or_folder_among_the_weights_is_refused_before_it_is_opened(
    tmp_path, monkeypatch, name, make, says
):
    write(tmp_path, "units")
    (tmp_path / name).unlink(missing_ok=True)
    make(tmp_path / name)
    monkeypatch.setitem(sys.modules, "thunder_core.engine.engine", None)  # not imported
    for load in (
        lambda: worker.Worker(None, None, None, str(tmp_path), "cpu").load_engine(lambda *_: None),
        lambda: Engine.load(tmp_path, device="cpu"),
    ):
        with pytest.raises(BadWeights, match=f"{name}” {says}.*choose another weights folder"):
            load()


def test_a_changed_file_in_the_shipped_folder_is_said_by_name(tmp_path, monkeypatch):
    shipped, copied = tmp_path / "shipped", tmp_path / "copied"
    for folder in (shipped, copied):
        folder.mkdir()
        for name in ("units.json", "units.safetensors", "speaker.json"):
            shutil.copy(SHIPPED / name, folder)
    write_sums(shipped)
    monkeypatch.setattr(network, "SHIPPED", shipped)
    # the same files in another folder are the same weights
    assert identify(shipped).origin == identify(copied).origin == "shipped"
    write(shipped, "units", {"centroids": FILES["units"][0]["centroids"].flip(0)})
    shutil.copy(SHIPPED / "units.json", shipped)
    changed = identify(shipped)
    assert changed.origin == "changed" and changed.different == ("units.safetensors",)
    assert "were changed (units.safetensors): install it again" in changed.sentence
    assert changed.fingerprint != identify(copied).fingerprint
    (shipped / SUMS).write_text("no list\n")
    assert identify(shipped).origin == "changed"
