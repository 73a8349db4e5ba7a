# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the table of faults: files of weights, each loaded alone as the engine loads it."""

import json
import re
import shutil
import struct
from importlib import import_module

from harness import Case, Fault, maker, ROOT

import thunder_core.networks.running  # noqa: F401 — imports torch first, so that no row is charged with its memory

NETWORKS = ("encoder", "units", "speaker", "m2s", "vocoder", "denoiser")


def load(case: Case):
    """Load the network of the files in the case's folder as torch computes it."""
    if case.given == "units":
        return import_module("thunder_core.engine.speech.encoder").Units.load(case.folder)
    return (
        import_module("thunder_core.networks.running")
        .KINDS[case.given]
        .load(case.folder, case.given)
    )


def open_vocoder(case: Case):
    """Load the vocoder of the files in the case's folder as ONNX Runtime computes it."""
    shutil.copy(ROOT / "weights" / "vocoder.onnx", case.folder)
    try:
        import_module("thunder_core.engine.m2s").Vocoder.load(case.folder).network.open()
    finally:
        (case.folder / "vocoder.onnx").unlink()


@maker
def changed(folder, name: str, change):
    """Makes the files of a network, their content changed by `change(tensors, config)`."""

    from safetensors.torch import load_file, save_file

    tensors = load_file(ROOT / "weights" / f"{name}.safetensors")
    card = json.loads((ROOT / "weights" / f"{name}.json").read_text())
    tensors = change(tensors, card["config"]) or tensors
    save_file(tensors, folder / f"{name}.safetensors")
    (folder / f"{name}.json").write_text(json.dumps(card))
    return name


@maker
def written(folder, name: str, weights=lambda data: data, card=lambda text: text):
    """Makes the files of a network, their bytes changed; None writes no file."""
    for suffix, change, content in (
        ("safetensors", weights, (ROOT / "weights" / f"{name}.safetensors").read_bytes()),
        ("json", card, (ROOT / "weights" / f"{name}.json").read_bytes()),
    ):
        content = change(content)
        if content is not None:
            (folder / f"{name}.{suffix}").write_bytes(content)
    return name


def load_graph(case: Case):
    """Open the graph of the files in the case's folder."""
    return import_module("thunder_core.engine.network").Graph(case.folder / case.given)


@maker
def graph(folder, change):
    """Makes the files of the distilled model, the bytes of its graph changed."""
    for suffix in ("json", "safetensors", "onnx"):
        content = (ROOT / "weights" / f"distilled.{suffix}").read_bytes()
        (folder / f"distilled.{suffix}").write_bytes(
            change(content) if suffix == "onnx" else content
        )
    return "distilled"


def _unknown_operator(content):
    import onnx

    model = onnx.load_from_string(content)
    next(node for node in model.graph.node if node.op_type == "Add").op_type = "Shell"
    return model.SerializeToString()


def _enormous(content):
    """The graph with a constant of four terabytes before its first node."""
    import onnx

    model, helper = onnx.load_from_string(content), onnx.helper
    size = helper.make_tensor("size", onnx.TensorProto.INT64, [1], [2**40])
    more = [
        helper.make_node("ConstantOfShape", ["size"], ["bomb"]),
        helper.make_node("Add", ["bomb", "x"], ["more"]),
    ]
    model.graph.initializer.append(size)
    nodes = [*more, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, None)
    )
    return model.SerializeToString()


def _encoders(content):
    return (ROOT / "weights" / "encoder.onnx").read_bytes()


def _largest(tensors):
    return max(
        (key for key in tensors if tensors[key].is_floating_point()),
        key=lambda key: tensors[key].numel(),
    )


def _nan(tensors, config):
    tensors[_largest(tensors)].view(-1)[3] = float("nan")


def _infinite(tensors, config):
    tensors[_largest(tensors)].view(-1)[-1] = float("inf")


def _whole(tensors, config):
    key = _largest(tensors)
    tensors[key] = tensors[key].round().int()


def _misshapen(tensors, config):
    key = _largest(tensors)
    tensors[key] = tensors[key][:-1].contiguous()


def _lacking(tensors, config):
    del tensors[_largest(tensors)]


def _more(tensors, config):
    tensors["unknown"] = tensors[_largest(tensors)].clone()


def _cut(data):
    return data[: len(data) // 2]


def _header(size):
    return lambda data: struct.pack("<Q", size) + data[8:]


def _configured(**values):
    def change(text):
        card = json.loads(text)
        card["config"].update(values)
        return json.dumps(card).encode()

    return change


def _named(file, says=""):
    """The pattern of a sentence that names the damaged file and its folder, and what to do about a
    folder of one's own."""
    return (
        rf"^The weights file {re.escape(file)}[a-z]* in “/[^”]+” .*{says}.*: choose another "
        rf"weights folder$"
    )


def _rows():
    for name in NETWORKS:
        yield Fault(
            "weights",
            f"{name}: a number that is not one",
            changed(name, _nan),
            load,
            "BadWeights",
            name,
        )
    for name in ("units", "vocoder"):  # the smallest, for what every network's files go through
        for what, make in (
            ("an infinite number", changed(name, _infinite)),
            ("whole numbers", changed(name, _whole)),
            ("another shape", changed(name, _misshapen)),
            ("a tensor that is missing", changed(name, _lacking)),
            ("a tensor nobody knows", changed(name, _more)),
            ("half of the file", written(name, weights=_cut)),
        ):
            yield Fault(
                "weights",
                f"{name}: {what}",
                make,
                load,
                "BadWeights",
                _named(f"{name}.safetensors"),
            )
        yield Fault(
            "weights",
            f"{name}: no card",
            written(name, card=lambda text: None),
            load,
            "BadWeights",
            _named(f"{name}.json"),
        )
    yield Fault(
        "weights",
        "units: no file",
        written("units", weights=lambda data: None),
        load,
        "BadWeights",
        _named("units.safetensors", "is missing"),
    )
    yield Fault(
        "weights",
        "units: no bytes",
        written("units", weights=lambda data: b""),
        load,
        "BadWeights",
        "units",
    )
    yield Fault(
        "weights",
        "units: a header of 2⁶³ bytes",
        written("units", weights=_header(2**63)),
        load,
        "BadWeights",
        "units",
    )
    yield Fault(
        "weights",
        "units: a pickle in its place",
        written("units", weights=lambda data: b"\x80\x04cos\nsystem\n(S'exit 3'\ntR."),
        load,
        "BadWeights",
        "units",
    )
    for what, card in (
        ("is not JSON", lambda text: b"{"),
        ("is a list", lambda text: b"[]"),
        ("has no configuration", lambda text: b"{}"),
        ("is not UTF-8", lambda text: b"\xff\xfe{"),
        ("is nested 100000 times", lambda text: b"[" * 100000),
        ("has a configuration that is a number", lambda text: b'{"config": 5}'),
        ("has an entry nobody knows", _configured(unknown=1)),
        ("has a width of text", _configured(width="wide")),
        ("has a negative width", _configured(width=-4)),
        ("has a width of a terabyte", _configured(width=2**40)),
    ):
        yield Fault(
            "weights",
            f"vocoder: a card that {what}",
            written("vocoder", card=card),
            load,
            "BadWeights",
            _named("vocoder."),
        )

    for what, make in (
        ("a number that is not one", changed("vocoder", _nan)),
        ("an infinite number", changed("vocoder", _infinite)),
        ("whole numbers", changed("vocoder", _whole)),
        ("another shape", changed("vocoder", _misshapen)),
        ("a tensor that is missing", changed("vocoder", _lacking)),
        ("half of the file", written("vocoder", weights=_cut)),
        ("no card", written("vocoder", card=lambda text: None)),
        ("a card that is a list", written("vocoder", card=lambda text: b"[]")),
        ("a card that has a width of text", written("vocoder", card=_configured(width="wide"))),
    ):
        yield Fault(
            "weights",
            f"vocoder by its graph: {what}",
            make,
            open_vocoder,
            "BadWeights",
            _named("vocoder.", ""),
        )

    for what, change, says in (
        ("that is empty", lambda data: b"", "is empty"),
        ("that is cut off", _cut, "is no graph"),
        ("of 3 MB", lambda data: data + bytes(3 << 20), "is larger than 2 MB"),
        ("that is a pickle", lambda data: b"\x80\x04cos\nsystem\n(S'exit 3'\ntR.", "is no graph"),
        ("of another network", _encoders, "is no graph"),
        ("with an operator nobody knows", _unknown_operator, "is no graph"),
        ("that asks for four terabytes", _enormous, "is no graph"),
    ):
        yield Fault(
            "weights",
            f"distilled: a graph {what}",
            graph(change),
            load_graph,
            "BadWeights",
            _named("distilled.onnx", says),
        )


ROWS = list(_rows())
