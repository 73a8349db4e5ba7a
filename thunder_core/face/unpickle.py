# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the pickle of a FLAME model as plain data: numbers come out, nothing in the file is ever run."""

from __future__ import annotations

import math
import pickle
import re
from pathlib import Path

import numpy as np

from ..errors import BadHead

LARGEST = 2**28  # most elements of one array; FLAME's largest has 6 million
_NUMBER = re.compile(r"[<>=|]?([biuf])([1248])")


class _Refused(Exception):
    """Carries the sentence for BadHead out of the unpickler."""


def unpickle(path: str | Path) -> dict:
    """The top dictionary of a FLAME .pkl: names to numpy arrays, numbers and strings.

    numpy arrays, scipy sparse matrices (returned dense) and chumpy arrays are understood without numpy's,
    scipy's or chumpy's own unpickling code. Raises BadHead if the file is no such pickle, is damaged, or names
    anything else, such as a function to call.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            data = _FlameUnpickler(file).load()
        if not isinstance(data, dict):
            raise _Refused("holds no dictionary of arrays, so it is not a FLAME model")
        return {_text(key): _plain(value) for key, value in data.items() if isinstance(key, (str, bytes))}
    except _Refused as reason:
        raise BadHead(f"{path.name} {reason}, and nothing in it was run: choose the .pkl of a FLAME download") from None
    except OSError as problem:
        raise BadHead(f"{path.name} cannot be opened ({problem.strerror}): choose a file you may read") from None
    except Exception as problem:  # a damaged pickle can fail in any way while it is parsed
        raise BadHead(
            f"{path.name} is damaged or not a pickle ({type(problem).__name__}), and nothing in it was run: "
            "get the file again"
        ) from None


class _FlameUnpickler(pickle._Unpickler):
    """Python's own pure-Python unpickler, with every global replaced by a holder of data.

    The pure-Python one because the C one reserves memory for whatever memo index a file names. The holders are
    made anew for every file, so a pickle that writes on them changes nothing for the next.
    """

    def __init__(self, file):
        super().__init__(file, encoding="latin1")
        self._allowed = _holders()

    def find_class(self, module, name):
        # numpy and scipy have moved these modules about: judge by package and name
        package = str(module).split(".")[0]
        holder = self._allowed.get((package, name))
        if holder is None:
            raise _Refused(f"asks for {module}.{name}, which a head never needs")
        return holder

    def get_extension(self, code):
        raise _Refused("uses pickle extension codes, which a head never needs")

    def persistent_load(self, pid):
        raise _Refused("refers to objects outside the file")


class _Held:
    """Base of all stand-ins: keeps what the pickle says, does nothing with it."""

    def __init__(self, *args):
        self.args, self.state = args, None

    def __setstate__(self, state):
        self.state = state


class _Array(_Held):
    pass


class _Dtype(_Held):
    pass


class _Scalar(_Held):
    pass


class _Sparse(_Held):
    pass


class _Chumpy(_Held):
    pass


def _holders():
    """(package, name) → stand-in for everything a FLAME pickle may name; fresh subclasses on every call."""
    array, dtype, scalar, sparse, chumpy, other = (
        type(base.__name__, (base,), {}) for base in (_Array, _Dtype, _Scalar, _Sparse, _Chumpy, _Held)
    )

    def reconstruct(kind, *_):  # numpy's _reconstruct and copyreg's _reconstructor both begin with the class
        if not (isinstance(kind, type) and issubclass(kind, _Held)):
            raise _Refused("rebuilds an object that is not an array")
        return kind()

    def frombuffer(raw, dtype, shape, order="C"):  # what numpy writes from pickle protocol 5 on
        held = array()
        held.state = (1, shape, dtype, order == "F", raw)
        return held

    def encode(text, encoding="latin1", *_):
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise _Refused("uses a text encoding no head uses")
        return text.encode("latin1")

    table = {
        ("numpy", "ndarray"): array,
        ("numpy", "dtype"): dtype,
        ("numpy", "scalar"): scalar,
        ("numpy", "_reconstruct"): reconstruct,
        ("numpy", "_frombuffer"): frombuffer,
        ("_codecs", "encode"): encode,
        ("chumpy", "Ch"): chumpy,
    }
    for name in ("csc_matrix", "csr_matrix", "csc_array", "csr_array"):
        table["scipy", name] = type(name, (sparse,), {"format": name[:3]})
    for module in ("copy_reg", "copyreg"):
        table[module, "_reconstructor"] = reconstruct
    for module in ("__builtin__", "builtins"):
        # chumpy's bookkeeping; what is in it is of no interest
        table[module, "object"] = table[module, "set"] = other
    return table


def _text(value):
    return value.decode("latin1") if isinstance(value, bytes) else value


def _plain(value):
    """A held value as numpy array, number or string; None for what is neither."""
    for _ in range(4):  # a chumpy array may wrap another
        if not isinstance(value, _Chumpy):
            break
        value = value.state.get("x") if isinstance(value.state, dict) else None
    if isinstance(value, _Array):
        return _array(value)
    if isinstance(value, _Sparse):
        return _dense(value)
    if isinstance(value, _Scalar):
        dtype, raw = value.args
        return np.frombuffer(_bytes(raw), _dtype(dtype))[0]
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value] if all(not isinstance(i, (list, tuple)) for i in value) else None
    return _text(value) if isinstance(value, (str, bytes, int, float, bool)) else None


def _bytes(raw):
    if isinstance(raw, str):
        raw = raw.encode("latin1")
    if not isinstance(raw, (bytes, bytearray)):
        raise _Refused("holds arrays of objects where numbers belong")
    return bytes(raw)


def _dtype(held):
    if not isinstance(held, _Dtype) or not held.args:
        raise _Refused("holds an array of an unknown kind")
    name = _text(held.args[0])
    match = _NUMBER.fullmatch(name) if isinstance(name, str) else None
    if not match:
        raise _Refused(f"holds an array of kind {str(name)[:20]!r} where numbers belong")
    state = held.state or (3, "=")
    order = _text(state[1])
    return np.dtype((order if order in ("<", ">") else "=") + match[1] + match[2])


def _shape(shape):
    sound = isinstance(shape, tuple) and all(isinstance(n, int) and n >= 0 for n in shape)
    if not sound or math.prod(shape) > LARGEST:
        raise _Refused("holds an array of impossible size")
    return shape


def _array(held):
    if not isinstance(held.state, tuple) or len(held.state) != 5:
        raise _Refused("holds an array without contents")
    _, shape, dtype, by_column, raw = held.state
    shape, dtype, raw = _shape(shape), _dtype(dtype), _bytes(raw)
    if len(raw) != math.prod(shape) * dtype.itemsize:
        raise _Refused("holds an array whose length and shape disagree")
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if by_column else "C")


def _dense(held):
    """A compressed sparse matrix as a dense array, without scipy."""
    state = held.state if isinstance(held.state, dict) else {}
    shape = _shape(state.get("_shape", state.get("shape")))
    data, indices, start = (np.asarray(_plain(state.get(name))) for name in ("data", "indices", "indptr"))
    rows, columns = shape if held.format == "csr" else shape[::-1]
    sound = len(shape) == 2 and data.shape == indices.shape and data.ndim == 1 and start.shape == (rows + 1,)
    sound = sound and indices.dtype.kind in "iu" and start.dtype.kind in "iu"
    sound = sound and (start[0], start[-1]) == (0, len(data))
    if not sound or (np.diff(start) < 0).any() or (len(data) and not 0 <= indices.min() <= indices.max() < columns):
        raise _Refused("holds a damaged sparse matrix")
    dense = np.zeros((rows, columns), data.dtype)
    np.add.at(dense, (np.repeat(np.arange(rows), np.diff(start)), indices), data)
    return dense if held.format == "csr" else dense.T
