# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what a graph file in ONNX's format holds, before ONNX Runtime is given it: only known operators, and no data but small constants.

The format is protocol buffers: fields of a number and a kind, one after the other. Numbers of fields are those of onnx.proto3.
"""

from __future__ import annotations

from collections.abc import Iterator

OPERATORS = frozenset(
    (
        "Abs Add And AveragePool Cast Clip Concat Constant ConstantOfShape Conv Cos Div Equal Erf Exp Expand Gather Gelu Gemm Greater "
        "GreaterOrEqual InstanceNormalization LSTM LayerNormalization Less LessOrEqual Log MatMul MaxPool Min Mod Mul Neg Not Or Pad "
        "Pow Range ReduceL2 ReduceMax ReduceMean ReduceSum Relu Reshape Shape Sigmoid Sin Slice Softmax Split Sqrt Squeeze Sub Tile "
        "Transpose Unsqueeze Where"
    ).split()
)
_GRAPH, _FUNCTIONS = 7, 25  # fields of a model
_NODE, _INITIALIZER, _SPARSE = 1, 5, 15  # of a graph
_OPERATOR, _ATTRIBUTE, _DOMAIN = 4, 5, 7  # of a node
_SUBGRAPH, _SUBGRAPHS = 6, 11  # of an attribute
_DIMENSION, _NAME, _PLACE = 1, 8, 14  # of a tensor
_ELSEWHERE = 1  # value of _PLACE: the data are not in the file
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5  # kinds of fields


class BadGraph(ValueError):
    """A fault of a graph file, as the end of a sentence that begins with its name."""


def weights_of(content: bytes) -> dict[str, tuple[int, ...]]:
    """Name → shape of each weight that a graph is to be given. Raises BadGraph."""
    result: dict[str, tuple[int, ...]] = {}
    try:
        for number, value in _fields(memoryview(content)):
            if number == _FUNCTIONS:
                raise BadGraph("defines operators of its own")
            if number == _GRAPH:
                for part, inner in _fields(_bytes(value)):
                    if part == _NODE:
                        _check_node(_bytes(inner))
                    elif part == _INITIALIZER:
                        result |= _weight(_bytes(inner))
                    elif part == _SPARSE:
                        raise BadGraph("holds sparse data")
    except (IndexError, UnicodeDecodeError) as error:
        raise BadGraph("is damaged") from error
    return result


def _check_node(node: memoryview) -> None:
    for number, value in _fields(node):
        if number == _OPERATOR and (name := str(_bytes(value), "utf-8")) not in OPERATORS:
            raise BadGraph(f"has an operator that no network here has ({name[:40]})")
        if number == _DOMAIN and len(_bytes(value)):
            raise BadGraph("has operators that are not ONNX's own")
        if number == _ATTRIBUTE and any(inner in (_SUBGRAPH, _SUBGRAPHS) for inner, _ in _fields(_bytes(value))):
            raise BadGraph("has loops or branches")


def _weight(tensor: memoryview) -> dict[str, tuple[int, ...]]:
    """Name and shape of a tensor whose data are not in the file; nothing of another."""
    name, shape, elsewhere = "", [], False
    for number, value in _fields(tensor):
        if number == _NAME:
            name = str(_bytes(value), "utf-8")
        elif number == _DIMENSION:
            shape += [value] if isinstance(value, int) else _numbers(value)
        elif number == _PLACE:
            elsewhere = value == _ELSEWHERE
    return {name: tuple(shape)} if elsewhere else {}


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of each field of a message. Raises BadGraph, IndexError."""
    at = 0
    while at < len(message):
        key, at = _number(message, at)
        kind, value = key & 7, 0  # type: int, int | memoryview
        if kind == _VARINT:
            value, at = _number(message, at)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            at += 8 if kind == _EIGHT_BYTES else 4
        elif kind == _BYTES:
            length, at = _number(message, at)
            value, at = message[at : at + length], at + length
        else:
            raise BadGraph("is damaged")
        if at > len(message):
            raise BadGraph("is cut off")
        yield key >> 3, value


def _number(message: memoryview, at: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        value, at = value | (byte & 127) << shift, at + 1
        if byte < 128:
            return value, at
    raise BadGraph("is damaged")


def _numbers(packed: memoryview) -> list[int]:
    result, at = [], 0
    while at < len(packed):
        value, at = _number(packed, at)
        result.append(value)
    return result


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise BadGraph("is damaged")
    return value
