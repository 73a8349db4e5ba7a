# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights files: anything but a whole, real, finite network of the right shape is refused when it
is loaded."""

import copy
import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_whisper import encoder_sizes
from memory import held_at_most
from safetensors.torch import save_file

from research.train.card import write_sums
from research.train.weight_writing import in_bytes, save_weights
from thunder_core import weight_files
from thunder_core.engine.engine import Engine
from thunder_core.engine.loaded import _identify
from thunder_core.engine.speech.encoder import LOUDNESS
from thunder_core.errors import BadWeights
from thunder_core.files import hash_of
from thunder_core.networks.denoiser import DenoiserConfig, DenoiserNetwork
from thunder_core.networks.speech import SpeechEncoderNetwork
from thunder_core.networks.weights import load_weights
from thunder_core.request import Request
from thunder_core.shipped import fingerprint_of
from thunder_core.spoken import PHONES
from thunder_core.types import RATE, Speech
from thunder_core.weight_files import ENDINGS, identify, SHIPPED, SUMS

FILES = {
    name: (load_weights(SHIPPED / name)[0], json.loads((SHIPPED / f"{name}.json").read_text()))
    for name in ("encoder", "units", "speaker", "m2s", "vocoder", "denoiser")
}


def write(folder, name, tensors=None, config=None):
    """A weights file of one network with some tensors or settings changed."""
    own, card = FILES[name]
    save_file(own | (tensors or {}), folder / f"{name}.safetensors")
    card = copy.deepcopy(card)
    card["config"].update(config or {})
    (folder / f"{name}.json").write_text(json.dumps(card))
    return folder


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
    monkeypatch.setattr(weight_files, "SHIPPED", tmp_path.resolve())
    with pytest.raises(BadWeights, match=": reinstall the extension$"):
        Engine.load(tmp_path, device="cpu")


@pytest.mark.parametrize("name", ["m2s", "vocoder"])
def test_networks_that_name_units_are_refused_beside_others_of_the_same_size(tmp_path, name):
    shutil.copytree(SHIPPED, tmp_path, dirs_exist_ok=True)
    write(tmp_path, name, config={"of_units": hash_of(tmp_path / "units.safetensors")})
    assert Engine.load(tmp_path, device="cpu").identity.origin == "own"
    write(tmp_path, "m2s" if name == "vocoder" else "vocoder", config={"of_units": ""})
    write(tmp_path, "units", {"centroids": FILES["units"][0]["centroids"].flip(0)})
    with pytest.raises(
        BadWeights,
        match=f"“{tmp_path}”, {name} and units were not trained together: take all files from one "
        f"training, or choose another weights folder",
    ):
        Engine.load(tmp_path, device="cpu")


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """A complete folder of a training whose encoder has another width, and so other features, than
    the shipped one: numbers at random."""
    folder, width = tmp_path_factory.mktemp("weights") / "earlier", 96
    shutil.copytree(SHIPPED, folder, ignore=shutil.ignore_patterns("*.onnx"))
    torch.manual_seed(0)
    encoder = SpeechEncoderNetwork(encoder_sizes(width))
    features = width + len(PHONES) + LOUDNESS
    made = (
        encoder,
        DenoiserNetwork(replace(DenoiserConfig(**FILES["denoiser"][1]["config"]), audio=features)),
    )
    for model, name in zip(made, ("encoder", "denoiser")):
        save_weights(folder / name, model.state_dict(), model.settings(), {})
    for name in ("m2s", "vocoder"):  # which did not say of which units they are
        write(folder, name, config={"of_units": ""})
    centroids = torch.randn(200, width)
    save_weights(folder / "units", {"centroids": centroids}, {"count": 200, "width": width}, {})
    return folder


def test_a_whole_folder_of_an_earlier_training_goes_on_working(earlier):
    loaded = Engine.load(earlier, device="cpu")
    assert loaded.identity.origin == "own" and not loaded.thunder.encoder_matches
    samples = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    (take,) = loaded.generate(Speech(samples), Request(1, 5, steps=2))
    assert take.provenance["weights"] == loaded.weights != identify(SHIPPED).fingerprint
    assert np.isfinite(take.motion.jaw).all() and np.isfinite(take.motion.expression).all()


def test_an_encoder_of_a_version_that_heard_other_mels_is_refused(tmp_path):
    shutil.copytree(SHIPPED, tmp_path, dirs_exist_ok=True)
    write(tmp_path, "encoder", config={"body": {}})
    with pytest.raises(BadWeights, match="encoder.safetensors in .* does not fit this version"):
        Engine.load(tmp_path, device="cpu")


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("encoder", "encoder and units"),
        ("units", "encoder and units"),
        ("denoiser", "encoder and denoiser"),
    ],
)
def test_a_shipped_network_among_those_of_an_earlier_training_is_refused(
    tmp_path, earlier, name, pair
):
    shutil.copytree(earlier, tmp_path, dirs_exist_ok=True)
    write(tmp_path, name)
    with pytest.raises(
        BadWeights,
        match=f"^In the weights in “{tmp_path}”, {pair} were not trained together: take all files "
        f"from one training, or choose another weights folder$",
    ):
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


def test_large_matrices_in_bytes_come_back_as_floats_near_what_they_were(tmp_path):
    rows = torch.logspace(-3, 1, 300)[:, None] * torch.randn(300, 200)
    rows[7], small = 0, torch.randn(20, 20)
    kept = in_bytes({"a.weight": rows, "b": small})
    assert kept["a.weight"].dtype == torch.int8
    save_weights(tmp_path / "w", kept, {}, {})
    tensors, _ = load_weights(tmp_path / "w")
    assert set(tensors) == {"a.weight", "b"} and torch.equal(tensors["b"], small)
    off = (tensors["a.weight"] - rows).abs().amax(1)
    assert (off <= 0.005 * rows.abs().amax(1)).all()
    save_file({"a.weight": kept["a.weight"]}, tmp_path / "w.safetensors")
    with pytest.raises(BadWeights, match="is damaged"):
        load_weights(tmp_path / "w")


# ---- which weights these are


def test_the_list_of_sums_is_current_and_other_weights_are_told_from_the_shipped_ones(
    tmp_path, capsys
):
    """After new weights: python -m research train card."""
    comment, *rows = (SHIPPED / SUMS).read_text().splitlines()
    assert comment == f"# fingerprint {fingerprint_of(SHIPPED)}"
    assert len(rows) == len([path for path in SHIPPED.iterdir() if path.suffix in ENDINGS])
    assert identify(SHIPPED).origin == "shipped" and identify(SHIPPED).sentence == ""
    write(tmp_path, "units", {"centroids": FILES["units"][0]["centroids"].flip(0)})
    assert identify(tmp_path).origin == "own"
    assert identify(tmp_path).sentence == "These are not the shipped weights"
    _identify(tmp_path)
    said = capsys.readouterr()  # the worker's answers alone go to its output
    # not once: engines of the tests above, which could not be loaded, may still be read in parallel
    assert said.out == "" and set(said.err.splitlines()) == {"These are not the shipped weights"}


def test_a_changed_file_or_graph_in_the_shipped_folder_is_said_by_name(tmp_path, monkeypatch):
    shipped, copied = tmp_path / "shipped", tmp_path / "copied"
    for folder in (shipped, copied):
        folder.mkdir()
        for name in ("units.json", "units.safetensors", "speaker.json", "m2s.onnx"):
            shutil.copy(SHIPPED / name, folder)
    write_sums(shipped)
    monkeypatch.setattr(weight_files, "SHIPPED", shipped)
    # the same files in another folder are the same weights
    assert identify(shipped).origin == identify(copied).origin == "shipped"
    graph = (shipped / "m2s.onnx").read_bytes()
    (shipped / "m2s.onnx").write_bytes(graph + b"more")
    assert identify(shipped).fingerprint == identify(copied).fingerprint
    assert "were changed (m2s.onnx): install it again" in identify(shipped).sentence
    (shipped / "m2s.onnx").write_bytes(graph)
    write(shipped, "units", {"centroids": FILES["units"][0]["centroids"].flip(0)})
    shutil.copy(SHIPPED / "units.json", shipped)
    changed = identify(shipped)
    assert changed.origin == "changed"
    assert "were changed (units.safetensors): install it again" in changed.sentence
    assert changed.fingerprint != identify(copied).fingerprint


def test_a_huge_file_that_holds_nothing_is_refused_in_no_memory(tmp_path):
    """Its header claims 16 GB, of which the disk has none."""
    write(tmp_path, "vocoder")
    header = json.dumps(
        {"x": {"dtype": "F32", "shape": [2**32], "data_offsets": [0, 2**34]}}
    ).encode()
    with open(tmp_path / "vocoder.safetensors", "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        os.truncate(file.fileno(), 8 + len(header) + 2**34)
    said = "The weights file vocoder.safetensors in .* is larger than 512 MB: choose another"
    for read in (
        lambda: weight_files.read_weights(tmp_path / "vocoder"),
        lambda: identify(tmp_path),
    ):
        with held_at_most(2**22), pytest.raises(BadWeights, match=said):
            read()
    with held_at_most(2**22), pytest.raises(OSError, match="larger than 512 MB"):
        fingerprint_of(tmp_path)
