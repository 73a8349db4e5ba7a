# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the graphs of networks that ONNX Runtime computes (`engine.network`), without their
weights. Needs the package onnx."""

import copy
import io
import tempfile
import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn, Tensor
from torch.onnx import symbolic_helper

from thunder_core.acoustics import BINS
from thunder_core.engine.network import TRANSPOSED
from thunder_core.files import write_file
from thunder_core.networks.denoiser import DenoiserNetwork
from thunder_core.networks.running import KINDS, SeenMouth
from thunder_core.networks.speech import SpeakerEncoderNetwork, SpeechEncoderNetwork, VocoderNetwork
from thunder_core.weight_files import GRAPH

_OPERATORS = 20  # version of ONNX's operators
_FRAMES, _TAKES = 40, 2  # of the inputs that a network is traced with; it takes any number
Axes = dict[str, dict[int, str]]


@dataclass(frozen=True)
class _Traced:
    """What a network is traced with: inputs by name, names of its outputs, and which axes of both
    have any length.

    paced: the input [B, T, …] with the length of everything that layers normalise; "": each is as
    long as it is; None: they are computed as they are.
    """

    inputs: dict[str, Tensor]
    outputs: list[str]
    axes: Axes
    paced: str | None = None


def _denoiser(network: DenoiserNetwork) -> _Traced:
    config = network.config
    inputs = {
        "x": torch.randn(_TAKES, _FRAMES, config.motion), "step": torch.tensor([500]),
        "audio": torch.randn(1, _FRAMES, config.audio),
        "silent": torch.zeros(1, dtype=torch.bool),
    }  # fmt: skip
    axes: Axes = {
        "x": {0: "takes", 1: "frames"},
        "audio": {0: "sounds", 1: "frames"},
        "estimate": {0: "takes", 1: "frames"},
    }
    if config.style:
        inputs |= {
            "style": torch.randn(_TAKES, _FRAMES, config.style),
            "free": torch.zeros(1, dtype=torch.bool),
        }
        axes["style"] = {0: "styles", 1: "frames or one"}
    if config.events:
        inputs |= {"events": torch.randn(_TAKES, _FRAMES, config.events)}
        axes["events"] = {0: "plans", 1: "frames"}
    if config.mouth:
        inputs["mouth"] = torch.randn(1, _FRAMES, config.mouth)
        axes["mouth"] = {0: "sounds", 1: "frames"}
    return _Traced(inputs, ["estimate"], axes, paced="x")


def _encoder(network: SpeechEncoderNetwork) -> _Traced:
    axes: Axes = {"mel": {1: "rows"}, "hidden": {1: "frames"}, "phones": {1: "frames"}}
    mel = {"mel": torch.randn(1, 2 * _FRAMES, BINS)}
    return _Traced(mel, ["hidden", "phones"], axes, paced="")


def _m2s(network: SeenMouth) -> _Traced:
    config = network.config
    inputs = {
        "mouths": 1e-3 * torch.randn(_TAKES, _FRAMES, config.inputs),
        "speakers": torch.randn(1, config.speaker),
    }
    axes: Axes = {name: {0: "takes", 1: "frames"} for name in ("mouths", "features")}
    axes["units"] = {0: "takes", 1: "half frames"}
    axes |= {"speakers": {0: "speakers"}, "mels": {0: "speakers", 1: "half frames"}}
    return _Traced(inputs, ["features", "units", "mels"], axes, paced="")


def _vocoder(network: VocoderNetwork) -> _Traced:
    inputs = {
        "mel": torch.randn(1, 2 * _FRAMES, BINS), "units": torch.zeros(1, _FRAMES,
        dtype=torch.int64),
        "speaker": torch.randn(1, network.config.speaker),
    }  # fmt: skip
    return _Traced(
        inputs,
        ["scores", "amplitudes"],
        {name: {1: name} for name in ("mel", "units", "scores", "amplitudes")},
    )


def _speaker(network: SpeakerEncoderNetwork) -> _Traced:
    return _Traced(
        {"mels": torch.rand(_TAKES, 160, 40)},
        ["speakers"],
        {"mels": {0: "parts"}, "speakers": {0: "parts"}},
    )


TRACED: dict[str, Callable[..., _Traced]] = {
    "denoiser": _denoiser, "distilled": _denoiser, "encoder": _encoder,
    "m2s": _m2s, "vocoder": _vocoder, "speaker": _speaker,
}  # fmt: skip


def write_graphs(folder: Path) -> list[Path]:
    """Write the graph of every network of a folder of weights; returns the files."""
    written = []
    for name, trace in TRACED.items():
        if not (folder / f"{name}.json").exists():
            continue
        network = KINDS[name].load(folder, name)
        written.append((folder / name).with_suffix(GRAPH))
        write_file(written[-1], graph_of(network, trace(network)))
    return written


def _reshape(graph, x, shape: list[int]):
    """x in another shape, 0 for axes that stay as they are."""
    return graph.op("Reshape", x, graph.op("Constant", value_t=torch.tensor(shape)))


def _unflatten(graph, x, axis, sizes):
    """An axis of x as several, with at most one axis behind it: torch would compute all lengths
    again at every call."""
    rank, axis = symbolic_helper._get_tensor_rank(x), symbolic_helper._parse_arg(axis, "i")
    if symbolic_helper._is_packed_list(sizes):
        sizes = [
            symbolic_helper._maybe_get_const(size, "i")
            for size in symbolic_helper._unpack_list(sizes)
        ]
    else:
        sizes = symbolic_helper._parse_arg(sizes, "is")
    sizes = [size if isinstance(size, int) else -1 for size in sizes]  # one may be computed
    behind = rank - 1 - axis % rank
    if not behind and -1 not in sizes:
        sizes[-1] = -1  # torch's check of shapes wants one
    assert behind + sizes.count(-1) <= 1
    return _reshape(graph, x, [0] * (axis % rank) + sizes + [-1] * behind)


@symbolic_helper.parse_args("v", "i", "i")
def _flatten(graph, x, first: int, last: int):
    """The last axes of x as one."""
    rank = symbolic_helper._get_tensor_rank(x)
    assert last in (-1, rank - 1)
    return _reshape(graph, x, [0] * (first % rank) + [-1])


def _transpose_weights(graph, stored: Collection[str]) -> None:
    """Have the matrices of linear layers passed in transposed, instead of transposing them at every
    call."""
    matrices = {
        tensor.name: tensor
        for tensor in graph.initializer
        if tensor.name in stored and len(tensor.dims) == 2
    }
    transposes = {
        node.output[0]: node
        for node in graph.node
        if node.op_type == "Transpose" and node.input[0] in matrices
    }
    # nothing else reads them, or the graph would be broken
    for name in {node.input[0] for node in transposes.values()}:
        matrices[name].dims[:] = matrices[name].dims[::-1]
        matrices[name].name += TRANSPOSED
    for node in transposes.values():
        graph.node.remove(node)
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name in transposes:
                node.input[place] = transposes[name].input[0] + TRANSPOSED


def _normalise_rows(graph, paced: str) -> None:
    """Have layers normalise [B, T, width] as instances: ONNX Runtime needs a fifth of the time for
    it.

    paced: input [B, T, …], or "".
    """
    import onnx

    def node(kind: str, inputs: list[str], output: str, **attributes):
        return onnx.helper.make_node(kind, inputs, [output], **attributes)

    def constant(name: str, values: list):
        return onnx.numpy_helper.from_array(np.array(values), name)

    graph.initializer.extend([constant("first axis", [1]), constant("second axis", [2])])

    def numbers(of: str, ending: str) -> list:
        """The ones and zeros that go with an array: as many as its second axis is long."""
        axes, made = ["first axis", "second axis"], f"frames of all{ending}"
        fills = {
            name: onnx.numpy_helper.from_array(np.array([value], np.float32))
            for name, value in (("ones", 1), ("zeros", 0))
        }
        return [
            node("Shape", [of], f"shape of all{ending}"),
            node("Slice", [f"shape of all{ending}", *axes], made),
            *(node("ConstantOfShape", [made], name + ending, value=fills[name]) for name in fills),
        ]

    nodes = numbers(paced, "") if paced else []
    for old in graph.node:
        if old.op_type != "LayerNormalization":
            nodes.append(old)
            continue
        (x, weight, bias), result = old.input, old.output[0]
        epsilon = next(each.f for each in old.attribute if each.name == "epsilon")
        ending = "" if paced else f" of {result}"
        nodes += [] if paced else numbers(x, ending)
        inputs = [x, f"ones{ending}", f"zeros{ending}"]
        nodes += [
            node("InstanceNormalization", inputs, f"{result} normal", epsilon=epsilon),
            node("Mul", [f"{result} normal", weight], f"{result} scaled"),
            node("Add", [f"{result} scaled", bias], result),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def graph_of(network: nn.Module, traced: _Traced) -> bytes:
    """The graph of a network, whose weights are named as in its state_dict and left out."""
    import onnx

    network = copy.deepcopy(network)
    stored = network.state_dict()
    with torch.no_grad():
        for value in stored.values():  # values that are equal by chance would become one
            value.copy_(torch.rand_like(value) + 0.5)
    for name, symbolic in (("aten::unflatten", _unflatten), ("aten::flatten", _flatten)):
        torch.onnx.register_custom_op_symbolic(name, symbolic, _OPERATORS)
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, tuple(traced.inputs.values()), file, input_names=list(traced.inputs),
            output_names=traced.outputs,
            dynamic_axes=traced.axes, opset_version=_OPERATORS, do_constant_folding=False,
            dynamo=False,
        )  # fmt: skip
    model = onnx.load_from_string(file.getvalue())
    _transpose_weights(model.graph, stored)
    if traced.paced is not None:
        _normalise_rows(model.graph, traced.paced)
    weights = [
        tensor
        for tensor in model.graph.initializer
        if tensor.name.removesuffix(TRANSPOSED) in stored
    ]
    model = _simplify(model, weights)
    for tensor in weights:
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="weights")
        model.graph.initializer.append(tensor)
    del model.metadata_props[:]
    model.doc_string = ""
    for node in model.graph.node:
        node.ClearField("doc_string")
        node.ClearField("name")
    return model.SerializeToString()


def _simplify(model, weights: list):
    """A model without these weights, in which whatever follows from its constants is computed once,
    not at every start."""
    import onnx
    import onnxruntime

    for tensor in weights:
        model.graph.initializer.remove(tensor)
        model.graph.input.append(
            onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        )
    options = onnxruntime.SessionOptions()
    # for any processor
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = f"{folder}/simple{GRAPH}"
        onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        simple = onnx.load(options.optimized_model_filepath)
    names = {tensor.name for tensor in weights}
    inputs = [value for value in simple.graph.input if value.name not in names]
    del simple.graph.input[:], simple.opset_import[1:]  # ONNX's operators come first
    simple.graph.input.extend(inputs)
    return simple
