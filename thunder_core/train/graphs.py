# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the graphs of networks that ONNX Runtime computes (`engine.graph`), without their weights. Needs the package onnx."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn, Tensor
from torch.onnx import symbolic_helper

from ..engine.cards import GRAPH
from ..engine.diffusion.denoiser import Denoiser, load_denoiser
from ..engine.graph import TRANSPOSED
from ..engine.speech.encoder import COMPUTED, SpeechEncoder
from ..engine.speech.mel import BINS
from ..files import write_file

_OPERATORS = 17  # version of ONNX's operators
_FRAMES, _TAKES = 40, 2  # of the inputs that a network is traced with; it takes any number
Axes = dict[str, dict[int, str]]


@dataclass(frozen=True)
class _Traced:
    """What a network is traced with: inputs by name, names of its outputs, and which axes of both have any length."""

    inputs: dict[str, Tensor]
    outputs: list[str]
    axes: Axes


def _denoiser(network: Denoiser) -> _Traced:
    known = network.config
    inputs = {
        "x": torch.randn(_TAKES, _FRAMES, known.motion), "step": torch.tensor([500]), "audio": torch.randn(1, _FRAMES, known.audio),
        "silent": torch.zeros(1, dtype=torch.bool),
    }  # fmt: skip
    axes: Axes = {"x": {0: "takes", 1: "frames"}, "audio": {1: "frames"}, "estimate": {0: "takes", 1: "frames"}}
    if known.style:
        inputs |= {"style": torch.randn(_TAKES, _FRAMES, known.style), "free": torch.zeros(1, dtype=torch.bool)}
        axes["style"] = {0: "styles", 1: "frames or one"}
    return _Traced(inputs, ["estimate"], axes)


def _encoder(network: SpeechEncoder) -> _Traced:
    inner = [f"layer{number}" for number in range(network.config.layers - 1)]
    axes: Axes = {"mel": {1: "rows"}, "hidden": {1: "frames"}, "phones": {1: "frames"}} | {name: {1: "more frames"} for name in inner}
    return _Traced({"mel": torch.randn(1, 2 * _FRAMES, BINS)}, ["hidden", "phones", *inner], axes)


def _load_encoder(folder: Path, name: str) -> SpeechEncoder | None:
    network = SpeechEncoder.load(folder, name)
    return None if network.config.body else network  # networks of the waveform run in torch


NETWORKS: dict[str, tuple[Callable[[Path, str], nn.Module | None], Callable]] = {
    "denoiser": (load_denoiser, _denoiser),
    "distilled": (load_denoiser, _denoiser),
    "encoder": (_load_encoder, _encoder),
    "encoder-t": (_load_encoder, _encoder),
}


def write_graphs(folder: Path) -> list[Path]:
    """Write the graph of every network of a folder of weights that has one; returns the files."""
    written = []
    for name, (load, traced) in NETWORKS.items():
        network = load(folder, name) if (folder / f"{name}.json").exists() else None
        if network is not None:
            written.append((folder / name).with_suffix(GRAPH))
            write_file(written[-1], graph_of(network, traced(network)))
    return written


def _reshape(graph, x, shape: list[int]):
    """x in another shape, 0 for axes that stay as they are."""
    return graph.op("Reshape", x, graph.op("Constant", value_t=torch.tensor(shape)))


@symbolic_helper.parse_args("v", "i", "is")
def _unflatten(graph, x, axis: int, sizes: list[int]):
    """The last axis of x as several: torch would compute all lengths again at every call."""
    assert axis == -1
    return _reshape(graph, x, [0] * (symbolic_helper._get_tensor_rank(x) - 1) + sizes)


@symbolic_helper.parse_args("v", "i", "i")
def _flatten(graph, x, first: int, last: int):
    """The last axes of x as one."""
    rank = symbolic_helper._get_tensor_rank(x)
    assert last in (-1, rank - 1)
    return _reshape(graph, x, [0] * (first % rank) + [-1])


def _transpose_weights(graph, stored: Collection[str]) -> None:
    """Have matrices that linear layers multiply with handed over transposed, instead of transposing them at every call."""
    matrices = {tensor.name: tensor for tensor in graph.initializer if tensor.name in stored and len(tensor.dims) == 2}
    transposes = {node.output[0]: node for node in graph.node if node.op_type == "Transpose" and node.input[0] in matrices}
    for name in {node.input[0] for node in transposes.values()}:  # nothing else reads them, or the graph would not be whole any more
        matrices[name].dims[:] = matrices[name].dims[::-1]
        matrices[name].name += TRANSPOSED
    for node in transposes.values():
        graph.node.remove(node)
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name in transposes:
                node.input[place] = transposes[name].input[0] + TRANSPOSED


def graph_of(network: nn.Module, traced: _Traced) -> bytes:
    """The graph of a network, whose weights are named as in its state_dict and left out."""
    import onnx

    network = copy.deepcopy(network)
    stored = {name: value for name, value in network.state_dict().items() if not name.startswith(COMPUTED)}
    with torch.no_grad():
        for value in stored.values():  # those that are equal by chance would become one
            value.copy_(torch.rand_like(value) + 0.5)
    for name, symbolic in (("aten::unflatten", _unflatten), ("aten::flatten", _flatten)):
        torch.onnx.register_custom_op_symbolic(name, symbolic, _OPERATORS)
    made = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, tuple(traced.inputs.values()), made, input_names=list(traced.inputs), output_names=traced.outputs,
            dynamic_axes=traced.axes, opset_version=_OPERATORS, do_constant_folding=False, dynamo=False,
        )  # fmt: skip
    model = onnx.load_from_string(made.getvalue())
    _transpose_weights(model.graph, stored)
    for tensor in model.graph.initializer:
        if tensor.name.removesuffix(TRANSPOSED) in stored:
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="weights")
    del model.metadata_props[:]
    model.doc_string = ""
    for node in model.graph.node:
        node.ClearField("doc_string")
    return model.SerializeToString()
