# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the pickle of a FLAME model as plain data, without running anything in the file."""

import io
import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..arrays import MOST_BYTES
from ..errors import BadHead

# most pickle instructions; a FLAME file has some thousands, and each can create an object of 200
# bytes
_MOST_STEPS = 100_000
_KEYS = (str, bytes, int, float, type(None))  # types allowed as dictionary keys and set members
_NUMBER = re.compile(r"[<>=|]?([biuf])([1248])")


class _Refused(Exception):
    """Carries the sentence for BadHead out of the unpickler."""


def unpickle(path: str | Path) -> dict:
    """The top dictionary of a FLAME .pkl: names to numpy arrays, numbers and strings.

    numpy arrays, scipy sparse matrices (returned dense) and chumpy arrays are understood without
    the unpickling code of numpy, scipy or chumpy. Raises BadHead if the file is no such pickle, is
    damaged, names anything else, such as a function to call, or claims more than MOST_BYTES of
    arrays and texts in all.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _Refused(f"is larger than {MOST_BYTES >> 20} MB")
        budget = _Budget()
        # From memory: a file reserves the size that is asked for before it looks how much it has.
        data = _FlameUnpickler(io.BytesIO(path.read_bytes()), budget).load()
        if not isinstance(data, dict):
            raise _Refused("has no dictionary of arrays, so it is not a FLAME model")
        return {
            _text(key, budget): _plain(value, budget)
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
            f"{path.name} is damaged or not a pickle ({type(problem).__name__}), and nothing in "
            f"it was run: download the file again"
        ) from None


class _Budget:
    """Remaining bytes that one file may allocate: every object is charged before it is created.

    A pickle may repeat one long text a thousand times, so its size is no bound.
    """

    def __init__(self):
        self.left = MOST_BYTES

    def charge(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise _Refused(f"claims more than {MOST_BYTES >> 20} MB of arrays")


# Where the stack holds the keys of a dictionary or the members of a set before an instruction makes
# it.
_HASHED = {
    pickle.SETITEM[0]: slice(-2, -1),
    pickle.SETITEMS[0]: slice(None, None, 2),
    pickle.DICT[0]: slice(None, None, 2),
    pickle.ADDITEMS[0]: slice(None),
    pickle.FROZENSET[0]: slice(None),
}


def _limit_steps(step, hashed=slice(0)):
    """An instruction of the unpickler that first counts itself and checks what it will hash (a part
    of the stack)."""

    def run_step(self):
        self.steps += 1
        if self.steps > _MOST_STEPS:
            raise _Refused("has more parts than a FLAME model")
        # A tuple of tuples of tuples takes for ever to hash, or ends the process for lack of stack.
        if not all(isinstance(key, _KEYS) for key in self.stack[hashed]):
            raise _Refused("keys a dictionary or set by something that is neither text nor number")
        step(self)

    return run_step


class _FlameUnpickler(pickle._Unpickler):
    """Python's unpickler in pure Python, with every global replaced by a placeholder that only
    stores data.

    Not the one in C, which reserves memory for whatever memo index a file names. The placeholders
    are made again for every file, so a pickle that writes on them changes nothing for the next.
    """

    dispatch = {
        code: _limit_steps(step, _HASHED.get(code, slice(0)))
        for code, step in pickle._Unpickler.dispatch.items()
    }

    def __init__(self, file: io.BytesIO, budget: _Budget):
        super().__init__(file, encoding="latin1")
        self.steps = 0
        self._allowed = _holders(budget)

    def find_class(self, module, name):
        """The placeholder for a global that the pickle names."""
        # numpy and scipy have moved these modules about: judge by package and name
        package = str(module).split(".")[0]
        holder = self._allowed.get((package, name))
        if holder is None:
            raise _Refused(
                f"asks for {str(module)[:60]}.{str(name)[:60]}, which a head never needs"
            )
        return holder

    def load_bytearray8(self):
        # Python's implementation allocates the claimed size before it reads.
        self.append(bytearray(self.read(int.from_bytes(self.read(8), "little"))))

    dispatch[pickle.BYTEARRAY8[0]] = _limit_steps(load_bytearray8)

    def get_extension(self, code):
        raise _Refused("uses pickle extension codes, which a head never needs")

    def persistent_load(self, pid):
        raise _Refused("refers to objects outside the file")


class _Placeholder:
    """Base of all placeholders: stores the arguments and state in the pickle, and does nothing with
    them.

    kind: what it stands for: array, dtype, scalar, chumpy (an array that wraps another), csc or csr
    (a sparse matrix), or other.
    """

    kind = "other"

    def __init__(self, *args):
        self.args, self.state = args, None

    def __setstate__(self, state):
        self.state = state


def _kind(value) -> str:
    """What a value of the pickle stands for; "" if it is no placeholder."""
    return value.kind if isinstance(value, _Placeholder) else ""


def _holders(budget):
    """(package, name) → placeholder for everything a FLAME pickle may name; fresh subclasses on
    every call."""
    array, dtype, scalar, chumpy, csc, csr, other = (
        type(kind, (_Placeholder,), {"kind": kind})
        for kind in ("array", "dtype", "scalar", "chumpy", "csc", "csr", "other")
    )

    # numpy's _reconstruct and copyreg's _reconstructor both begin with the class
    def reconstruct(kind, *_):
        if not (isinstance(kind, type) and issubclass(kind, _Placeholder)):
            raise _Refused("rebuilds an object that is not an array")
        return kind()

    def frombuffer(raw, dtype, shape, order="C"):  # used by numpy from pickle protocol 5 on
        held = array()
        held.state = (1, shape, dtype, order == "F", raw)
        return held

    def encode(text, encoding="latin1", *_):
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise _Refused("uses a text encoding no head uses")
        budget.charge(len(text))
        return text.encode("latin1")

    def no_bytes(*args):  # how Python 3 writes the contents of an empty array for Python 2
        if args:
            raise _Refused("makes bytes in a way no head needs")
        return b""

    table: dict[tuple[str, str], Callable] = {
        ("numpy", "ndarray"): array,
        ("numpy", "dtype"): dtype,
        ("numpy", "scalar"): scalar,
        ("numpy", "_reconstruct"): reconstruct,
        ("numpy", "_frombuffer"): frombuffer,
        ("_codecs", "encode"): encode,
        ("__builtin__", "bytes"): no_bytes,
        ("builtins", "bytes"): no_bytes,
        ("copy_reg", "_reconstructor"): reconstruct,
        ("copyreg", "_reconstructor"): reconstruct,
        ("chumpy", "Ch"): chumpy,
        ("scipy", "csc_matrix"): csc,
        ("scipy", "csr_matrix"): csr,
        ("scipy", "csc_array"): csc,
        ("scipy", "csr_array"): csr,
    }
    # chumpy's, which is ignored
    bookkeeping = [
        (module, name) for module in ("__builtin__", "builtins") for name in ("object", "set")
    ]
    return table | dict.fromkeys(bookkeeping, other)


def _text(value, budget):
    """Bytes as text; anything else as it is."""
    if isinstance(value, bytes):
        budget.charge(len(value))
        return value.decode("latin1")
    return value


def _plain(value, budget):
    """A held value as numpy array, number or string; a list of numbers and strings; None for
    anything else."""
    for _ in range(4):  # a chumpy array may wrap another
        if _kind(value) != "chumpy":
            break
        value = value.state.get("x") if isinstance(value.state, dict) else None
    if _kind(value) == "array":
        return _array(value, budget)
    if _kind(value) in ("csc", "csr"):
        return _dense(value, budget)
    if isinstance(value, (list, tuple)):
        budget.charge(64 * len(value))
        return [_single(item, budget) for item in value]
    return _single(value, budget)


def _single(value, budget):
    """A held number or string; None for anything else."""
    if _kind(value) == "scalar":
        if len(value.args) != 2:
            raise _Refused("holds a number without a value")
        dtype, raw = _dtype(value.args[0], budget), _bytes(value.args[1], budget)
        if len(raw) != dtype.itemsize:
            raise _Refused("holds a number of the wrong size")
        return np.frombuffer(raw, dtype)[0]
    return _text(value, budget) if isinstance(value, (str, bytes, int, float, bool)) else None


def _bytes(raw, budget):
    if not isinstance(raw, (str, bytes, bytearray)):
        raise _Refused("holds arrays of objects where numbers belong")
    budget.charge(len(raw))
    return raw.encode("latin1") if isinstance(raw, str) else bytes(raw)


def _dtype(held, budget):
    """The numpy dtype of a placeholder: numbers and truth values only."""
    if _kind(held) != "dtype" or not held.args:
        raise _Refused("holds an array of an unknown kind")
    name = _text(held.args[0], budget)
    match = _NUMBER.fullmatch(name) if isinstance(name, str) else None
    if not match:
        raise _Refused(f"holds an array of kind {str(name)[:20]!r} where numbers belong")
    state = held.state or (3, "=")
    order = _text(state[1], budget)
    return np.dtype((order if order in ("<", ">") else "=") + match[1] + match[2])


def _shape(shape):
    """A shape whose size is possible."""
    sound = (
        isinstance(shape, tuple)
        and len(shape) <= 8
        and all(isinstance(n, int) and 0 <= n <= MOST_BYTES for n in shape)
    )
    if not sound or math.prod(shape) > MOST_BYTES:
        raise _Refused("holds an array of impossible size")
    return shape


def _array(held, budget):
    """The numpy array of a placeholder."""
    if not isinstance(held.state, tuple) or len(held.state) != 5:
        raise _Refused("holds an array without contents")
    _, shape, dtype, by_column, raw = held.state
    shape, dtype, raw = _shape(shape), _dtype(dtype, budget), _bytes(raw, budget)
    if len(raw) != math.prod(shape) * dtype.itemsize:
        raise _Refused("holds an array whose length and shape disagree")
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if by_column else "C")


def _dense(held, budget):
    """A compressed sparse matrix as a dense array, without scipy."""
    state = held.state if isinstance(held.state, dict) else {}
    shape = _shape(state.get("_shape", state.get("shape")))
    data, indices, start = (
        _plain(state.get(name), budget) for name in ("data", "indices", "indptr")
    )
    if len(shape) != 2 or not all(
        isinstance(part, np.ndarray) and part.ndim == 1 for part in (data, indices, start)
    ):
        raise _Refused("holds a damaged sparse matrix")
    rows, columns = shape if held.kind == "csr" else shape[::-1]
    sound = (
        data.shape == indices.shape
        and start.shape == (rows + 1,)
        and indices.dtype.kind in "iu"
        and start.dtype.kind in "iu"
    )
    # compared, not subtracted: differences of unsigned numbers are never negative
    sound = (
        sound and (start[0], start[-1]) == (0, len(data)) and bool((start[1:] >= start[:-1]).all())
    )
    if not sound or (len(data) and not 0 <= indices.min() <= indices.max() < columns):
        raise _Refused("holds a damaged sparse matrix")
    budget.charge(rows * columns * data.dtype.itemsize + 16 * (rows + len(data)))
    dense = np.zeros((rows, columns), data.dtype)
    np.add.at(
        dense,
        (np.repeat(np.arange(rows), np.diff(start.astype(np.int64))), indices.astype(np.int64)),
        data,
    )
    return dense if held.kind == "csr" else dense.T
