# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the pickle of a FLAME model as plain data, without running anything in the file."""

import io
import pickle
import re
from pathlib import Path

import numpy as np

from ..arrays import MOST_BYTES
from ..errors import BadHead

_NUMBER = re.compile(r"[<>=|]?([biuf])([1248])")


class _Refused(Exception):
    """Carries the sentence for BadHead out of the unpickler."""


def unpickle(path: str | Path) -> dict:
    """The top dictionary of a FLAME .pkl: names to numpy arrays, numbers and strings.

    numpy arrays, scipy sparse matrices (returned dense) and chumpy arrays are understood without
    the unpickling code of numpy, scipy or chumpy, which a file could make run anything. Raises
    BadHead if the file is no such pickle, is damaged, or names anything else, such as a function to
    call.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _Refused(f"is larger than {MOST_BYTES >> 20} MB")
        # From memory: a file reserves the size that is asked for before it looks how much it has.
        data = _FlameUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
        return {
            _text(key): _plain(value)
            for key, value in data.items()
            if isinstance(key, (str, bytes))
        }
    except _Refused as reason:
        raise BadHead(
            f"{path.name} {reason}, and nothing in it was run: choose the .pkl file of a FLAME "
            f"download"
        ) from None
    except OSError as problem:
        raise BadHead(
            f"{path.name} cannot be opened ({problem.strerror}): choose a file you may read"
        ) from None
    except Exception as problem:  # a damaged pickle can fail in any way while it is parsed
        raise BadHead(
            f"{path.name} is damaged or not a FLAME model ({type(problem).__name__}), and nothing "
            f"in it was run: download the file again"
        ) from None


class _Placeholder:
    """What the pickle builds in place of an object: stores arguments and state, and does nothing
    with them."""

    def __init__(self, *args):
        self.args, self.state = args, None

    def __setstate__(self, state):
        self.state = state


class _Array(_Placeholder):
    """An array of numpy."""


class _Dtype(_Placeholder):
    """The kind of an array's numbers."""


class _Scalar(_Placeholder):
    """A single number of numpy."""


class _Chumpy(_Placeholder):
    """An array that wraps another."""


class _ByColumn(_Placeholder):
    """A sparse matrix, compressed by column."""


class _ByRow(_Placeholder):
    """A sparse matrix, compressed by row."""


def _rebuild(kind, *_):
    """numpy's _reconstruct and copyreg's _reconstructor: both begin with the class."""
    if kind not in _ALLOWED.values() or not isinstance(kind, type):
        raise _Refused("rebuilds an object that is not an array")
    return kind()


def _from_buffer(raw, dtype, shape, order="C"):
    """How numpy writes arrays from pickle protocol 5 on."""
    held = _Array()
    held.state = (1, shape, dtype, order == "F", raw)
    return held


# (package, name): what stands for everything that a FLAME pickle may name. numpy and scipy have
# moved their modules about.
_ALLOWED = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("numpy", "scalar"): _Scalar,
    ("numpy", "_reconstruct"): _rebuild,
    ("numpy", "_frombuffer"): _from_buffer,
    ("copy_reg", "_reconstructor"): _rebuild,
    ("copyreg", "_reconstructor"): _rebuild,
    ("chumpy", "Ch"): _Chumpy,
    ("scipy", "csc_matrix"): _ByColumn,
    ("scipy", "csr_matrix"): _ByRow,
    ("scipy", "csc_array"): _ByColumn,
    ("scipy", "csr_array"): _ByRow,
    # how Python 3 writes bytes, and those of an empty array, for Python 2
    ("_codecs", "encode"): lambda text, *_: text.encode("latin1"),
    ("__builtin__", "bytes"): lambda: b"",
    ("builtins", "bytes"): lambda: b"",
    # chumpy's own, which is ignored
    ("__builtin__", "object"): _Placeholder,
    ("__builtin__", "set"): _Placeholder,
    ("builtins", "object"): _Placeholder,
    ("builtins", "set"): _Placeholder,
}


class _FlameUnpickler(pickle._Unpickler):
    """Python's unpickler in pure Python, with a placeholder for every global; the one in C reserves
    memory for whatever memo index a file names."""

    def find_class(self, module, name):
        """The placeholder for a global that the pickle names."""
        holder = _ALLOWED.get((str(module).split(".")[0], name))
        if holder is None:
            raise _Refused(
                f"asks for {str(module)[:60]}.{str(name)[:60]}, which a head never needs"
            )
        return holder

    def load_bytearray8(self):
        # Python's implementation allocates the claimed size before it reads.
        self.append(bytearray(self.read(int.from_bytes(self.read(8), "little"))))

    dispatch = pickle._Unpickler.dispatch | {pickle.BYTEARRAY8[0]: load_bytearray8}


def _plain(value):
    """A held value as numpy array, number or string; a list of numbers and strings; None for
    anything else."""
    if isinstance(value, _Chumpy):
        return _plain(value.state.get("x"))
    if isinstance(value, _Array):
        _, shape, dtype, by_column, raw = value.state
        return np.frombuffer(_bytes(raw), _dtype(dtype)).reshape(
            shape, order="F" if by_column else "C"
        )
    if isinstance(value, (_ByColumn, _ByRow)):
        return _dense(value)
    if isinstance(value, (list, tuple)):
        return [_single(item) for item in value]
    return _single(value)


def _single(value):
    """A held number or string; None for anything else."""
    if isinstance(value, _Scalar):
        return np.frombuffer(_bytes(value.args[1]), _dtype(value.args[0]))[0]
    return _text(value) if isinstance(value, (str, bytes, int, float, bool)) else None


def _text(value):
    """Bytes as text; anything else as it is."""
    return value.decode("latin1") if isinstance(value, bytes) else value


def _bytes(raw):
    """The contents of an array, which Python 2 wrote as text."""
    return raw.encode("latin1") if isinstance(raw, str) else raw


def _dtype(held):
    """The numpy dtype of a placeholder: numbers and truth values only."""
    name = _text(held.args[0])
    match = _NUMBER.fullmatch(name)
    if not match:
        raise _Refused(f"holds an array of kind {name[:20]!r} where numbers belong")
    order = _text(held.state[1]) if held.state else "="
    return np.dtype((order if order in ("<", ">") else "=") + match[1] + match[2])


def _dense(held):
    """A compressed sparse matrix as a dense array, without scipy."""
    shape = held.state.get("_shape", held.state.get("shape"))
    data, indices, start = (_plain(held.state[name]) for name in ("data", "indices", "indptr"))
    rows, columns = shape if isinstance(held, _ByRow) else shape[::-1]
    if rows * columns * data.itemsize > MOST_BYTES:
        raise _Refused(f"claims more than {MOST_BYTES >> 20} MB of arrays")
    dense = np.zeros((rows, columns), data.dtype)
    np.add.at(dense, (np.repeat(np.arange(rows), np.diff(start.astype(np.int64))), indices), data)
    return dense if isinstance(held, _ByRow) else dense.T
