# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks computed by ONNX Runtime are those of torch, for any number of takes and frames; hostile graphs are refused in a sentence."""

import contextlib
import shutil

import numpy as np
import pytest
import torch

from thunder_core.engine.cards import SHIPPED
from thunder_core.engine.diffusion.denoiser import load_denoiser
from thunder_core.engine.engine import Engine
from thunder_core.engine.graph import Graph, graph_of
from thunder_core.engine.graph_file import BadGraph, weights_of
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import SpeechEncoder
from thunder_core.engine.systems.thunder import Thunder
from thunder_core.errors import BadWeights
from thunder_core.face.head import load_head
from thunder_core.request import QUALITIES, Request
from thunder_core.shipped import SAMPLE
from thunder_core.train.graphs import NETWORKS, write_graphs

onnx = pytest.importorskip("onnx")
helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("takes, frames", [(1, 1), (3, 57), (2, 500)])
@pytest.mark.parametrize("name", ["denoiser", "distilled"])
def test_the_denoisers_estimates_are_those_of_torch_whatever_takes_are_beside_them(name, takes, frames):
    network, graph = load_denoiser(SHIPPED, name), Graph(SHIPPED / name)
    torch.manual_seed(0)
    x, audio = torch.randn(takes, frames, network.config.motion), torch.randn(1, frames, network.config.audio)
    drawn, step, hide = torch.randn(takes, frames, network.config.style), torch.tensor([700]), torch.ones(1, dtype=torch.bool)
    for style in (drawn, drawn[:, :1], None):
        for silent in (None, hide):
            network.graph = None
            expected = network.estimate(x, step, audio, silent, style)
            network.graph = graph
            estimate = network.estimate(x, step, audio, silent, style)
            assert torch.allclose(estimate, expected, atol=3e-4)
            assert torch.equal(estimate[:1], network.estimate(x[:1], step, audio, silent, style if style is None else style[:1]))


@pytest.mark.parametrize("frames", [1, 37, 400])
def test_the_encoder_and_its_inner_layers_are_those_of_torch_on_any_number_of_threads(frames):
    network, graphs = SpeechEncoder.load(SHIPPED), [Graph(SHIPPED / "encoder", threads) for threads in (1, 2)]
    mel = torch.randn(1, 2 * frames, 80)
    expected = network(mel)
    results = [graph(mel=mel.numpy()) for graph in graphs]
    assert len(expected) == len(results[0]) == 6 and all(map(np.array_equal, *results))
    assert all(np.allclose(made, true, atol=2e-4) for made, true in zip(results[0], expected))


def test_the_graphs_of_the_shipped_weights_are_up_to_date(tmp_path):
    for path in SHIPPED.iterdir():
        if path.suffix in (".json", ".safetensors"):
            shutil.copy(path, tmp_path)
    names = {path.name for path in write_graphs(tmp_path)}
    assert names == {path.name for path in SHIPPED.glob("*.onnx")} and {name.split(".")[0] for name in names} <= NETWORKS.keys()
    for name in names:
        nodes = [onnx.load_from_string((folder / name).read_bytes()).graph.node for folder in (tmp_path, SHIPPED)]
        assert [node.op_type for node in nodes[0]] == [node.op_type for node in nodes[1]], f"{name}: run the stage graphs"


def test_weights_without_a_graph_and_graphics_cards_go_without():
    assert graph_of(SHIPPED / "m2s_mouth", "cpu") is None and graph_of(SHIPPED / "encoder", "cuda:0") is None
    assert isinstance(graph_of(SHIPPED / "encoder", "cpu"), Graph)


def test_the_first_sound_opens_the_graphs_and_a_damaged_one_is_said_then(tmp_path):
    for path in SHIPPED.iterdir():
        shutil.copy(path, tmp_path)
    thunder = Thunder(tmp_path, "cpu", load_head())
    networks = thunder.encoder, thunder.distilled, thunder.denoiser
    assert all(network.graph is None for network in networks)
    (tmp_path / "denoiser.onnx").write_bytes(b"no graph")
    for _ in range(2):
        with pytest.raises(BadWeights, match="denoiser.onnx"):
            thunder.analyse(torch.zeros(8000), 12)
    shutil.copy(SHIPPED / "denoiser.onnx", tmp_path)
    assert thunder.analyse(torch.zeros(8000), 12).frames == 12 and all(isinstance(network.graph, Graph) for network in networks)


@pytest.mark.parametrize("quality", QUALITIES)
def test_weights_without_graphs_give_the_same_takes_by_torch(tmp_path, quality):
    for path in SHIPPED.iterdir():
        if path.suffix != ".onnx":
            shutil.copy(path, tmp_path)
    engines, speech = [Engine.load(folder, "cpu") for folder in (SHIPPED, tmp_path)], read_sound(SAMPLE)
    pairs = zip(*(engine.generate(speech, Request(2, 1, quality=quality)) for engine in engines))
    for one, other in pairs:
        lips = [engines[0].scorer.lips(take.motion) for take in (one, other)]
        assert one.seed == other.seed and (lips[0] - lips[1]).norm(dim=-1).max() < 1e-5, "a hundredth of a millimetre"
        assert abs(one.score.total - other.score.total) < 0.2
    assert engines[0].thunder.distilled.graph is not None and engines[1].thunder.distilled.graph is None


def model_of(*nodes, **more):
    graph = helper.make_graph(
        list(nodes), "g", [helper.make_tensor_value_info("x", FLOAT, [1])], [helper.make_tensor_value_info("y", FLOAT, [1])],
        more.pop("initializer", []),
    )  # fmt: skip
    return helper.make_model(graph, **more)


def branch():
    inner = helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "inner", [], [helper.make_tensor_value_info("y", FLOAT, [1])])
    return helper.make_node("Abs", ["x"], ["y"], body=inner)


def function():
    return helper.make_function("own", "Twice", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])], [helper.make_opsetid("", 17)])


HOSTILE = {
    "an operator of its own": (model_of(helper.make_node("Twice", ["x"], ["y"])), "an operator that no network here has"),
    "another domain's": (model_of(helper.make_node("Abs", ["x"], ["y"], domain="com.microsoft")), "not ONNX's own"),
    "a branch": (model_of(branch()), "loops or branches"),
    "a function": (model_of(helper.make_node("Abs", ["x"], ["y"]), functions=[function()]), "operators of its own"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_graph_that_could_do_more_than_compute_is_refused(what):
    model, reason = HOSTILE[what]
    with pytest.raises(BadGraph, match=reason):
        weights_of(model.SerializeToString())


@pytest.fixture
def folder(tmp_path):
    for ending in ("json", "safetensors", "onnx"):
        shutil.copy(SHIPPED / f"distilled.{ending}", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "content, reason", [(b"", "is no graph"), (b"PK\3\4 no graph", "damaged|cut off"), (b"\0" * (2**21 + 1), "larger than 2 MB")]
)
def test_a_file_that_is_no_graph_is_refused_in_a_sentence(folder, content, reason):
    (folder / "distilled.onnx").write_bytes(content)
    with pytest.raises(BadWeights, match=rf"distilled.onnx.*({reason})"):
        Graph(folder / "distilled")


def test_a_graph_that_is_cut_off_or_has_changed_bytes_is_refused_or_opens(folder):
    whole, rng = (folder / "distilled.onnx").read_bytes(), np.random.default_rng(0)
    for _ in range(12):
        (folder / "distilled.onnx").write_bytes(whole[: rng.integers(len(whole))])
        with pytest.raises(BadWeights, match="distilled.onnx"):
            Graph(folder / "distilled")
        changed = bytearray(whole)
        changed[rng.integers(len(whole))] = rng.integers(256)
        (folder / "distilled.onnx").write_bytes(changed)
        with contextlib.suppress(BadWeights):
            Graph(folder / "distilled")


def test_a_graph_of_other_sizes_and_files_elsewhere_are_refused(folder):
    shutil.copy(SHIPPED / "encoder.onnx", folder / "distilled.onnx")
    with pytest.raises(BadWeights, match="distilled.onnx.*does not fit the weights beside it"):
        Graph(folder / "distilled")
    model = onnx.load_from_string((SHIPPED / "distilled.onnx").read_bytes())
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = "/etc/passwd"
    (folder / "distilled.onnx").write_bytes(model.SerializeToString())
    shutil.copy(SHIPPED / "distilled.safetensors", folder)
    x, audio = np.ones((1, 4, 53)), np.ones((1, 4, 234))
    inputs = {"x": x, "step": [500], "audio": audio, "silent": [False], "style": np.zeros((1, 1, 23)), "free": [True]}
    assert np.array_equal(*(Graph(place / "distilled")(**inputs)[0] for place in (folder, SHIPPED)))  # what it says of files is not read
