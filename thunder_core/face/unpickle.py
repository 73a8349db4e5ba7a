# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the arrays in the pickle of a FLAME model, without running anything in the file."""

import errno
import io
import operator
import pickle
import re
from pathlib import Path

import numpy as np

from ..arrays import MOST_BYTES
from ..errors import BadHead
from ..files import read_bytes

_NUMBER = re.compile(r"[<>=|]?([biuf])([1248])")
_MOST_INSTRUCTIONS = 100_000  # a FLAME file has some hundreds; each can make an object
_MOST_ARGUMENTS = 4  # that are read of a call; one long tuple may be those of many calls


class _Refused(Exception):
    """Carries the sentence for BadHead out of the unpickler."""


def unpickle(path: str | Path) -> dict:
    """The arrays of the top dictionary of a FLAME .pkl by their names; None for what is none.

    numpy arrays, scipy sparse matrices (returned dense) and chumpy arrays are understood without
    the unpickling code of numpy, scipy or chumpy, which a file could make run anything. Raises
    BadHead if the file is no such pickle, is damaged, or names anything else, such as a function to
    call. Time and memory are bounded by the size of the file and MOST_BYTES.
    """
    path = Path(path)
    try:
        # From memory: a file reserves the size that is asked for before it looks how much it has.
        content = io.BytesIO(read_bytes(path, MOST_BYTES))
        data = _FlameUnpickler(content, encoding="latin1").load()
        contents = _Contents()
        return {_text(key): contents.array(value) for key, value in data.items()}
    except _Refused as reason:
        raise BadHead(
            f"{path.name} {reason}, and nothing in it was run: choose the .pkl file of a FLAME "
            f"download"
        ) from None
    except OSError as problem:
        if problem.errno == errno.EFBIG:
            raise BadHead(
                f"{path.name} {str(problem.strerror).removeprefix('it ')}, and nothing in it was "
                f"run: choose the .pkl file of a FLAME download"
            ) from None
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


class _Chumpy(_Placeholder):
    """An array that wraps another."""


class _ByColumn(_Placeholder):
    """A sparse matrix, compressed by column."""


class _ByRow(_Placeholder):
    """A sparse matrix, compressed by row."""


class _Named(dict):
    """A dictionary by texts. Other keys are ignored: to hash a nested one, or many that collide,
    can take for ever."""

    def __setitem__(self, key, value):
        if isinstance(key, (str, bytes)):
            super().__setitem__(key, value)


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
    ("numpy", "scalar"): _Placeholder,
    ("numpy", "_reconstruct"): _rebuild,
    ("numpy", "_frombuffer"): _from_buffer,
    ("copy_reg", "_reconstructor"): _rebuild,
    ("copyreg", "_reconstructor"): _rebuild,
    ("chumpy", "Ch"): _Chumpy,
    ("scipy", "csc_matrix"): _ByColumn,
    ("scipy", "csr_matrix"): _ByRow,
    ("scipy", "csc_array"): _ByColumn,
    ("scipy", "csr_array"): _ByRow,
    # how Python 3 writes bytes, and those of an empty array, for Python 2. The text stands for
    # them, as in a file of Python 2, so that one that is encoded often exists once
    ("_codecs", "encode"): lambda text, *_: text,
    ("__builtin__", "bytes"): lambda: b"",
    ("builtins", "bytes"): lambda: b"",
    # chumpy's own, which is ignored
    ("__builtin__", "object"): _Placeholder,
    ("__builtin__", "set"): _Placeholder,
    ("builtins", "object"): _Placeholder,
    ("builtins", "set"): _Placeholder,
}


class _Instructions(dict):
    """What each instruction of a pickle does, for so many instructions."""

    left = _MOST_INSTRUCTIONS

    def __getitem__(self, code):
        self.left -= 1
        if self.left < 0:
            raise _Refused(f"has more than {_MOST_INSTRUCTIONS:,} parts")
        return super().__getitem__(code)


class _FlameUnpickler(pickle._Unpickler):
    """Python's unpickler in pure Python, with a placeholder for every global; the one in C reserves
    memory for whatever memo index a file names."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.dispatch = _Instructions(self.dispatch)

    def find_class(self, module, name):
        """The placeholder for a global that the pickle names."""
        holder = _ALLOWED.get((module[:60].split(".")[0], name))
        if holder is None:
            raise _Refused(f"asks for {module[:60]}.{name[:60]}, which a head never needs")
        return holder

    def load_bytearray8(self):
        # Python's implementation allocates the claimed size before it reads.
        self.append(bytearray(self.read(int.from_bytes(self.read(8), "little"))))

    def load_reduce(self):
        arguments, call = self.stack.pop(), self.stack.pop()
        self.append(call(*arguments[:_MOST_ARGUMENTS]))

    def load_newobj_ex(self):
        self.stack.pop()  # arguments by name
        self.load_reduce()

    def load_put(self):
        # Python's takes any number, and many that collide in a dictionary take for ever.
        place = int(self.readline()[:-1])
        if not 0 <= place <= _MOST_INSTRUCTIONS:
            raise _Refused("numbers its parts as no FLAME file does")
        self.memo[place] = self.stack[-1]

    def load_build(self):
        # Python's sets attributes of whatever is there, also of the functions above.
        state = self.stack.pop()
        if not isinstance(self.stack[-1], _Placeholder):
            raise _Refused("changes what is not an array")
        self.stack[-1].__setstate__(state)

    def load_empty_dictionary(self):
        self.append(_Named())

    def load_dict(self):
        items = self.pop_mark()
        self.append(_Named())
        for key, value in zip(items[::2], items[1::2]):
            self.stack[-1][key] = value

    def load_set(self):
        # No set is needed: what is in one is not even hashed.
        self.append(_Placeholder())

    def load_frozenset(self):
        self.pop_mark()
        self.append(_Placeholder())

    dispatch = pickle._Unpickler.dispatch | {
        pickle.BYTEARRAY8[0]: load_bytearray8,
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_reduce,
        pickle.NEWOBJ_EX[0]: load_newobj_ex,
        pickle.PUT[0]: load_put,
        pickle.BUILD[0]: load_build,
        pickle.EMPTY_DICT[0]: load_empty_dictionary,
        pickle.DICT[0]: load_dict,
        pickle.EMPTY_SET[0]: load_set,
        pickle.FROZENSET[0]: load_frozenset,
        pickle.ADDITEMS[0]: pickle._Unpickler.load_pop_mark,
    }


class _Contents:
    """Makes arrays of held values: of each once, and MOST_BYTES in total, since many names, arrays
    and matrices of a small file may share their parts."""

    def __init__(self):
        self._left = MOST_BYTES
        self._made: dict[int, object] = {}  # by the id of the held value, which outlives this

    def array(self, value):
        """A held array or sparse matrix as a numpy array; None for anything else."""
        if id(value) not in self._made:
            self._made[id(value)] = self._make(value)
        return self._made[id(value)]

    def _make(self, value):
        if isinstance(value, _Chumpy):
            return self.array(value.state.get("x"))
        if isinstance(value, _Array):
            _, shape, dtype, by_column, raw = value.state
            return np.frombuffer(self._bytes(raw), _dtype(dtype)).reshape(
                shape, order="F" if by_column else "C"
            )
        return self._dense(value) if isinstance(value, (_ByColumn, _ByRow)) else None

    def _bytes(self, raw):
        """The contents of an array, which Python 2 wrote as text."""
        if not isinstance(raw, str):
            return raw
        self._reserve(len(raw))
        return raw.encode("latin1")

    def _dense(self, held):
        """A compressed sparse matrix as a dense array, without scipy."""
        shape = held.state.get("_shape", held.state.get("shape"))
        data, indices, start = (
            self.array(held.state[name]) for name in ("data", "indices", "indptr")
        )
        rows, columns = map(operator.index, shape if isinstance(held, _ByRow) else shape[::-1])
        start = start.astype(np.int64)
        # before any of them is used as a size
        if not (
            max(rows, columns) <= MOST_BYTES
            and start.shape == (rows + 1,)
            and (np.diff(start, prepend=0, append=len(data)) >= 0).all()
            and len(data) == len(indices)
        ):
            raise ValueError("the parts of a matrix do not fit each other")
        self._reserve(rows * columns * data.itemsize + 16 * (len(data) + len(start)))
        dense = np.zeros((rows, columns), data.dtype)
        places = np.repeat(np.arange(rows), np.diff(start))
        np.add.at(dense, (places, indices), data)
        return dense if isinstance(held, _ByRow) else dense.T

    def _reserve(self, size):
        """Count bytes that are about to be made. Raises _Refused."""
        self._left -= size
        if self._left < 0:
            raise _Refused(f"claims more than {MOST_BYTES >> 20} MB of arrays")


def _text(value):
    """Bytes as text; anything else as it is."""
    return value.decode("latin1") if isinstance(value, bytes) else value


def _dtype(held):
    """The numpy dtype of a placeholder: numbers and truth values only."""
    name = _text(held.args[0])
    match = _NUMBER.fullmatch(name)
    if not match:
        raise _Refused(f"holds an array of kind {name[:20]!r} where numbers belong")
    order = _text(held.state[1]) if held.state else "="
    return np.dtype((order if order in ("<", ">") else "=") + match[1] + match[2])
