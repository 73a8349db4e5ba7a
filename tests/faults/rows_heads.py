# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the table of faults: heads (FLAME pickles, npz archives) and mappings in JSON."""

import io
import json
import pickle
import struct
import zlib
from functools import lru_cache

import numpy as np
import scipy.sparse
from harness import Case, Fault, maker
from made_zip import made_zip, npy, Runs

# ---- FLAME files


@lru_cache(maxsize=1)
def _flame():
    from made_flame import made_flame

    from thunder_core.face.head import HEAD_FILE

    with np.load(HEAD_FILE) as asset:
        return made_flame({name: asset[name] for name in asset.files}).data


@maker
def flame(folder, change=None, form: str = "pkl", **values):
    """Makes a FLAME file, with some of its arrays replaced and others changed by `change(data)`."""
    data = dict(_flame()) | values
    data = (change(data) if change else None) or data
    path = folder / f"flame.{form}"
    if form == "npz":
        np.savez(path, **{name: value for name, value in data.items() if value is not None})
    else:
        # Protocol 4: FLAME files have 2, which writes these arrays ten times as slowly;
        # test_skinning.py reads that.
        path.write_bytes(
            pickle.dumps({name: value for name, value in data.items() if value is not None}, 4)
        )
    return path


@maker
def raw(folder, content, name="head.pkl"):
    path = folder / name
    path.write_bytes(content() if callable(content) else content)
    return path


def load(case: Case):
    from thunder_core.face.head import load_head

    return load_head(case.given)


def _set(name, index, value):
    def change(data):
        array = np.array(data[name])
        if not np.can_cast(np.min_scalar_type(value), array.dtype):
            array = array.astype(np.float64 if isinstance(value, float) else np.int64)
        array[index] = value
        data[name] = array

    return change


def _hostile(module: str, name: str, argument: str) -> bytes:
    return f"c{module}\n{name}\n(V{argument}\ntR.".encode()


def _sparse_bomb() -> bytes:
    """A pickle of a kilobyte with a sparse matrix that would be 16 GB if it were written out."""
    matrix = scipy.sparse.csc_matrix((1, 1))
    matrix._shape = (2**16, 2**15)
    matrix.indptr = np.zeros(2**15 + 1, np.int32)
    return pickle.dumps({f"m{i}": matrix for i in range(40)}, 2)


def _bomb(megabytes: int = 3000) -> bytes:
    """An npz of one array of zeros, deflated to a thousandth: its blocks repeat one that was
    compressed."""
    packer, start = zlib.compressobj(9, zlib.DEFLATED, -15), npy((megabytes * 2**17,))
    first = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b"\0" * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)
    content = first + block * megabytes + packer.flush()
    return made_zip([(b"v_template.npy", 8, content, len(start) + megabytes * 2**20, 0)])


def _claims(shape) -> bytes:
    """An npz whose array claims a shape that its bytes do not hold."""
    array = npy(shape, bytes(64))
    return made_zip([(b"v_template.npy", 0, array, len(array), zlib.crc32(array))])


def _npz(**arrays) -> bytes:
    memory = io.BytesIO()
    np.savez(memory, **arrays)
    return memory.getvalue()


_CANARY = "touch canary-of-the-faults"

_HEADS = [
    ("there is no file", lambda folder: folder / "none.pkl", "There is no head file"),
    ("a folder in its place", lambda folder: folder, "is a folder, not a file: choose"),
    ("no bytes", raw(b""), "is empty: choose a file that is a head"),
    ("text", raw(b"not a pickle"), "damaged or not a FLAME model"),
    (
        "a pickle cut in half",
        raw(lambda: pickle.dumps({"v_template": np.zeros(999)}, 2)[:-400]),
        "damaged",
    ),
    ("a pickle of a list", raw(pickle.dumps([1, 2])), "not a FLAME model"),
    ("100000 marks", raw(b"(" * 100_000 + b"."), "."),
    ("a memo index of 2³¹", raw(b"\x80\x02N" + b"r" + struct.pack("<I", 2**31 - 1) + b"."), "."),
    (
        "a text that claims 2⁶² bytes",
        raw(b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"abc."),
        ".",
    ),
    (
        "a call of os.system",
        raw(_hostile("os", "system", _CANARY)),
        "asks for os.system.*nothing in it was run",
    ),
    ("a call of eval", raw(_hostile("builtins", "eval", "1/0")), "asks for builtins.eval"),
    (
        "a call of a runner in numpy",
        raw(_hostile("numpy.testing._private.utils", "runstring", "1")),
        "asks for",
    ),
    (
        "a call hidden in an array of objects",
        raw(lambda: pickle.dumps({"v_template": np.array([Runs(print, "run"), 1], object)}, 2)),
        ".",
    ),
    ("an object kept elsewhere", raw(b"Pnose\n."), "nothing in it was run"),
    ("an extension code", raw(b"\x80\x02\x82\x01."), "nothing in it was run"),
    ("a sparse matrix of 16 GB in a kilobyte", raw(_sparse_bomb), "."),
    (
        "an array of text",
        flame(v_template=np.array([["a", "b", "c"]] * 9)),
        "not an array of numbers|numbers belong",
    ),
    ("an array of complex numbers", flame(v_template=np.zeros((9, 3), complex)), "."),
    ("no template", flame(v_template=None), "lacks v_template"),
    ("no faces", flame(f=None), "lacks f"),
    (
        "a template of two numbers a vertex",
        flame(lambda d: d | {"v_template": d["v_template"][:, :2]}),
        "v_template|shape",
    ),
    ("a vertex that is not a number", flame(_set("v_template", (5, 1), np.nan)), "v_template.*NaN"),
    ("a weight that is infinite", flame(_set("weights", (5, 1), np.inf)), "weights"),
    ("weights that do not sum to 1", flame(_set("weights", (5, 1), 7.0)), "weights.*sum to 1"),
    (
        "faces of vertices that do not exist",
        flame(_set("f", (0, 0), 999_999)),
        "vertices that do not exist",
    ),
    (
        "a face index beyond 32 bits",
        flame(_set("f", (0, 0), 2**32)),
        "vertices that do not exist|too large where it must name",
    ),
    ("a negative face index", flame(_set("f", (0, 0), -3)), "vertices that do not exist|whole"),
    (
        "face indices that are fractions",
        flame(lambda d: d | {"f": d["f"].astype(float) + 0.5}),
        ".",
    ),
    ("faces of two corners", flame(lambda d: d | {"f": d["f"][:, :2]}), "triangles|shape"),
    (
        "no expressions",
        flame(lambda d: d | {"shapedirs": d["shapedirs"][:, :, :300]}),
        "no expression directions",
    ),
    (
        "four joints",
        flame(lambda d: d | {"J_regressor": d["J_regressor"][:4]}),
        "J_regressor|five joints",
    ),
    (
        "joints in another order",
        flame(kintree_table=np.array([[-1, 0, 0, 0, 0], range(5)])),
        "joints.*not FLAME's",
    ),
    (
        "eyes at one place",
        flame(lambda d: d | {"J_regressor": np.repeat(d["J_regressor"][:1], 5, 0)}),
        "do not lie as FLAME's",
    ),
    (
        "a head the size of a house",
        flame(lambda d: d | {"v_template": d["v_template"] * 40}),
        "do not lie as FLAME's",
    ),
    (
        "a head upside down",
        flame(lambda d: d | {"v_template": d["v_template"] * [1, -1, -1]}),
        "do not lie as FLAME's",
    ),
    ("an npz that is no archive", raw(b"not a zip", "head.npz"), "is not read as a head"),
    (
        "an npz cut in half",
        raw(lambda: _npz(v_template=np.zeros((99, 3)))[:300], "head.npz"),
        "is not read as a head",
    ),
    (
        "an npz of objects",
        raw(lambda: _npz(v_template=np.array([{}], object)), "head.npz"),
        "is not read as a head",
    ),
    ("an npz of nothing", raw(lambda: _npz(), "head.npz"), "lacks|cannot be read"),
    ("an npz whose array claims a terabyte", raw(lambda: _claims((2**37,)), "head.npz"), "."),
    ("an npz of 3 MB that becomes 3 GB", raw(_bomb, "head.npz"), "."),
    ("a negative shape", raw(lambda: _claims((-5, 3)), "head.npz"), "."),
]

# ---- mappings


def mapping(case: Case):
    from thunder_core.face.mapping import Mapping

    return Mapping.from_json(case.given)


def _plan(**changes) -> str:
    plan = {
        "thunder_mapping": 1,
        "name": "Heroine",
        "rules": [{"source": "jawOpen", "weight": 1.0, "target": {"kind": "KEY", "name": "A"}}],
        "joints": [{"joint": "jaw", "bone": "Jaw"}],
        "forward": "-Y",
        "up": "Z",
    }
    return json.dumps(plan | changes)


def _rule(**changes) -> str:
    return _plan(
        rules=[
            {"source": "jawOpen", "weight": 1.0, "target": {"kind": "KEY", "name": "A"}} | changes
        ]
    )


_HUGE = (
    '{"thunder_mapping": 1, "joints": [{"joint": "jaw", "bone": "Jaw", "scale": 1'
    + "0" * 400
    + "}]}"
)

_MAPPINGS = [
    ("no text", "", "not readable as JSON"),
    ("a name of five million letters", _plan(name="x" * 5_000_000), "4,194,304 letters"),
    ("a name that is half a letter", _plan(name="\ud800"), "no text"),
    ("text that is not JSON", "hello", "not readable as JSON"),
    ("JSON cut in half", _plan()[:60], "not readable as JSON"),
    ("100000 brackets", "[" * 100_000, "not readable as JSON"),
    ("a list", "[]", "not one of Thunder's"),
    ("an object of something else", "{}", "not one of Thunder's"),
    ("a version of the future", _plan(thunder_mapping=99), "version 99"),
    ("a version that is text", _plan(thunder_mapping="1"), "version"),
    ("a name that is a number", _plan(name=5), "no text"),
    ("rules that are text", _plan(rules="all"), "what no mapping has"),
    ("a rule that is a number", _plan(rules=[5]), "what no mapping has"),
    ("a rule without a target", _rule(target=None), "what no mapping has"),
    ("a target of an unknown kind", _rule(target={"kind": "MAGIC", "name": "A"}), "rule 1"),
    ("a target without a name", _rule(target={"kind": "KEY"}), "rule 1"),
    (
        "a bone's channel that does not exist",
        _rule(target={"kind": "BONE", "bone": "Jaw", "path": "colour"}),
        "rule 1",
    ),
    ("an index of 7", _rule(target={"kind": "KEY", "name": "A", "index": 7}), "rule 1"),
    ("no source", _rule(source=""), "rule 1"),
    ("a source that is a list", _rule(source=[]), "rule 1"),
    ("a weight that is not a number", _rule(weight=float("nan")), "rule 1"),
    ("a weight that is infinite", _rule(weight=float("inf")), "rule 1"),
    ("a weight of text", _rule(weight="much"), "what no mapping has"),
    ("a scale of 10⁴⁰⁰", _HUGE, "what no mapping has|joint 1"),
    ("a number of 5000 digits", '{"thunder_mapping": ' + "9" * 5000 + "}", "."),
    ("a joint nobody has", _plan(joints=[{"joint": "tail", "bone": "Tail"}]), "joint 1"),
    ("a joint without a bone", _plan(joints=[{"joint": "jaw"}]), "what no mapping has"),
    ("forward and up alike", _plan(forward="Z", up="-Z"), "forward and up"),
    ("a direction that does not exist", _plan(forward="W"), "forward and up"),
]


ROWS = [
    *(Fault("head files", broken, make, load, "BadHead", says) for broken, make, says in _HEADS),
    *(
        Fault("mappings", broken, lambda folder, text=text: text, mapping, "BadHead", says)
        for broken, text, says in _MAPPINGS
    ),
]
