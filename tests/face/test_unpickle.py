# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME files give us arrays and nothing else: hostile and damaged ones are refused, nothing in them
runs, and none takes the memory or the time that it claims."""

import builtins
import os
import pickle
import pickletools
import struct
import sys
import time
import types
import zlib

import numpy as np
import pytest
import scipy.sparse
from made_zip import made_zip, npy, packed, Runs
from memory import held_at_most

from thunder_core.arrays import read_npz
from thunder_core.errors import BadHead
from thunder_core.face.head import load_head
from thunder_core.face.unpickle import unpickle


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """A file to write pickles to, which would make another one beside it."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "evil.pkl"
    assert not (tmp_path / "canary").exists(), "code in the pickle was run"


TOUCH = "open('canary', 'w').close()"
CALLS = [
    Runs(os.system, "touch canary"),
    Runs(builtins.eval, TOUCH),
    Runs(builtins.exec, TOUCH),
    Runs(builtins.compile, TOUCH, "x", "exec"),
    Runs(np.load, "canary"),
    Runs(np.memmap, "canary", "uint8", "w+", 0, (4,)),
    Runs(np.fromfile, "canary"),
    Runs(np.testing.assert_equal, 1, 2),
]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.function.__name__)
def test_calls_are_refused_in_every_protocol(canary, protocol, call):
    refused(
        canary,
        pickle.dumps({"v_template": call}, protocol),
        "asks for .*never needs.*nothing in it was run",
    )


@pytest.mark.parametrize(
    "content, says",
    [
        *(
            (f"c{name}\n(V{TOUCH}\ntR.".encode(), "asks for")
            for name in (
                "numpy.testing._private.utils\nrunstring",
                "numpy.f2py\ncompile",
                "numpy.distutils.exec_command\nexec_command",
                "numpy\nos.system",
                "scipy._lib._util\n_lazywhere",
                "scipy.sparse\nload_npz",
                "chumpy.utils\ntimer",
                "builtins\ngetattr",
            )
        ),
        (b"ccopy_reg\n_reconstructor\n(cos\nsystem\nc__builtin__\nobject\nNtR.", "os.system"),
        (b"cnumpy.core.multiarray\n_reconstruct\n(Vposix.system\ntR.", "not an array"),
        (b"c_codecs\nencode\n(Vaa\nVrot13\ntR.", "not a FLAME model"),
        (pickle.dumps({"v_template": np.array([CALLS[0], 1], dtype=object)}, 2), "asks for"),
        (pickle.dumps({"v_template": np.array([None, {}], dtype=object)}, 2), "numbers belong"),
        (pickle.dumps({"v_template": np.zeros(2, [("a", "f8")])}, 2), "numbers belong"),
    ],
)
def test_nothing_is_rebuilt_but_arrays_of_numbers(canary, content, says):
    refused(canary, content, says)


@pytest.mark.parametrize(
    ("stand_in", "state"),
    [
        (b"ndarray", b"(N}U\x0c__setstate__Nsto\x86b"),  # how arrays take their state
        (b"_frombuffer", b"N}U\x0c__defaults__(NtsU\0Ns\x86b"),
    ],
)
def test_writing_on_the_stand_ins_changes_nothing_for_the_next_file(tmp_path, stand_in, state):
    path = tmp_path / "evil.pkl"
    refused(path, b"\x80\x02cnumpy\n" + stand_in + b"\n" + state + b".", ".")
    path.write_bytes(pickle.dumps({"a": np.arange(3.0)}, 2))
    assert np.array_equal(unpickle(path)["a"], np.arange(3.0))


def test_arrays_that_claim_more_than_they_hold_are_refused(tmp_path):
    sound = pickle.dumps({"v_template": np.zeros((2, 3), np.uint8)}, 2)
    assert sound.count(b"K\x02K\x03\x86") == 1
    refused(tmp_path / "evil.pkl", sound.replace(b"K\x02K\x03\x86", b"K\xffK\x03\x86"), "damaged")
    refused(
        tmp_path / "evil.pkl",
        sound.replace(b"K\x02K\x03\x86", b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86"),
        "damaged",
    )
    matrix = scipy.sparse.csc_matrix(np.eye(3))
    matrix.indices = np.array([0, 1, 99], np.int32)
    refused(tmp_path / "evil.pkl", pickle.dumps({"J_regressor": matrix}, 2), "damaged")
    matrix = scipy.sparse.csc_matrix((1, 1))
    matrix._shape = (2**26, 1)
    claims = pickle.dumps({"m": matrix}, 2)
    refused(tmp_path / "one.pkl", claims, "claims more than 256 MB of arrays", MEGABYTE)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_all_arrays_that_a_flame_file_holds_come_out_as_plain_numbers(
    tmp_path, protocol, monkeypatch, flame_file
):
    chumpy, ch = types.ModuleType("chumpy"), types.ModuleType("chumpy.ch")

    class Ch:
        def __init__(self, x):
            self.x, self._dirty_vars = x, {"x"}

    Ch.__module__, Ch.__qualname__, ch.Ch = "chumpy.ch", "Ch", Ch
    monkeypatch.setitem(sys.modules, "chumpy", chumpy)
    monkeypatch.setitem(sys.modules, "chumpy.ch", ch)
    data = flame_file()
    held = data | {
        "J_regressor": scipy.sparse.csc_matrix(data["J_regressor"]),
        "shapedirs": Ch(np.asfortranarray(data["shapedirs"])),
        "weights": data["weights"].astype(">f8"),
        "version": np.float32(2.5),
        "names": ["neck", 1, b"x"],
    }
    path = tmp_path / "flame.pkl"
    path.write_bytes(pickle.dumps(held, protocol))
    monkeypatch.delitem(sys.modules, "chumpy.ch")
    read = unpickle(path)
    for name, value in data.items():
        assert read[name] is None if isinstance(value, str) else (read[name] == value).all(), name
    assert read["version"] is read["names"] is None
    assert load_head(path).channels == 12


def test_a_python_2_pickle_is_read(tmp_path):
    # strings of Python 2 carry the raw bytes; module names are the old ones
    sound = pickle.dumps({"weights": np.arange(4.0)}, 2)
    names = [arg for op, arg, _ in pickletools.genops(sound) if op.name == "GLOBAL"]
    assert any(name.endswith("_reconstruct") for name in names)
    raw = np.arange(2.0).tobytes()
    old = (
        b"\x80\x02}U\x07weightscnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U" + bytes([len(raw)]) + raw + b"tbs."
    )
    path = tmp_path / "old.pkl"
    path.write_bytes(old)
    assert np.array_equal(unpickle(path)["weights"], np.arange(2.0))


MEGABYTE = 2**20


def refused(path, content, says, most_bytes=40 * MEGABYTE):
    """That the file is refused with a sentence, and how many bytes were in use at most
    meanwhile."""
    path.write_bytes(content)
    with held_at_most(len(content) + most_bytes), pytest.raises(BadHead, match=says) as caught:
        load_head(path)
    assert path.name in str(caught.value) and ": " in str(caught.value)


def test_a_member_that_unpacks_to_more_than_it_says_costs_no_more_than_it_says(tmp_path):
    sound = npy((4,), np.arange(4.0).tobytes())
    raw = packed(sound + bytes(64 * MEGABYTE))
    path = tmp_path / "lies.npz"
    path.write_bytes(made_zip([(b"a.npy", 8, raw, len(sound), zlib.crc32(sound))]))
    with held_at_most(8 * MEGABYTE):
        assert np.array_equal(read_npz(path)["a"], np.arange(4.0))


# ---- what a small file can make large or slow


KEEP, PART = b"q\xfa", b"h\xfa"  # store what was made last, and name it again


def text(count):
    """A text of so many letters, as PART."""
    return b"X" + struct.pack("<I", count) + b"a" * count + KEEP


def number(value):
    return b"\x8a\x0c" + value.to_bytes(12, "little")


def bytes_of(shape):
    """An array of numbers of a byte, whose contents are PART."""
    return (
        b"cnumpy\n_reconstruct\n(cnumpy\nndarray\nK\0U\1btR(K\1" + shape + b"\x85cnumpy\ndtype\n"
        b"(U\2u1K\0K\1tR(K\3U\1|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89" + PART + b"tb"
    )  # fmt: skip


def by_names(count, entry):
    """A dictionary of so many names, each of the same entry."""
    return b"}" + b"".join(b"X\5\0\0\0%05d%ss" % (n, entry) for n in range(count))


def matrix(shape, **parts):
    """A compressed matrix, whose parts nothing has checked."""
    state = b"U\6_shape" + shape + b"\x86s"
    for name, values in (dict(data=[1.0], indices=[0], indptr=[0, 1]) | parts).items():
        value = values if isinstance(values, bytes) else pickle.dumps(np.array(values), 2)[2:-1]
        state += b"U" + bytes([len(name)]) + name.encode() + value + b"s"
    return b"cscipy.sparse\ncsr_matrix\n)\x81}" + state + b"b"


TUPLES = b"N" + b"2\x86" * 99  # of two, each of which is the tuple before it
MODULUS = 2**61 - 1  # the hash of a number is its remainder by this
BOMBS = {
    "a text encoded often": lambda: (
        text(400_000) + b"c_codecs\nencode\nq\2(" + (b"h\2" + PART + b"U\6latin1\x86R") * 15_000 + b"l"
    ),
    "arrays of one text": lambda: text(2**20) + by_names(3000, bytes_of(b"J\0\0\x10\0")),
    "one array by many names": lambda: (
        text(2**20) + bytes_of(b"J\0\0\x10\0") + KEEP + by_names(20_000, PART)
    ),
    "a long tuple as arguments": lambda: (
        b"(" + b"N" * 40_000 + b"t" + KEEP + b"cnumpy\ndtype\nq\2(" + (b"h\2" + PART + b"R") * 18_000 + b"l"
    ),
    "very many sets": lambda: b"(" + b"\x8f" * 2**22 + b"l",
    "very many marks": lambda: b"(" * 2**23,
    "a key of tuples": lambda: b"}" + TUPLES + b"Ns",
    "keys of tuples": lambda: b"(" + TUPLES + b"Nd",
    "a set of tuples": lambda: b"\x8f(" + TUPLES + b"\x90",
    "a frozen set of tuples": lambda: b"(" + TUPLES + b"\x91",
    "keys that collide": lambda: (
        b"}" + b"".join(number(n * MODULUS) + b"Ns" for n in range(30_000))
    ),
    "places that collide": lambda: (
        b"N" + b"".join(b"p%d\n" % (n * MODULUS) for n in range(50_000))
    ),
    "a row 2³³ times": lambda: by_names(1, matrix(b"K\1K\1", indptr=[0, 2**33])),
    "2³³ rows without columns": lambda: by_names(
        1, matrix(number(2**33) + b"K\0", data=np.ones(0), indices=np.zeros(0, np.int32))
    ),
    "2³³ times a text": lambda: text(2) + by_names(1, matrix(PART + number(2**33))),
    "many matrices of the same parts": lambda: (
        pickle.dumps(np.zeros(2**10, np.int32), 2)[:-1]
        + KEEP
        + by_names(
            300, matrix(b"M\xff\3J\0\0\1\0", indptr=PART, data=[], indices=np.zeros(0, int))
        )
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_part_that_is_named_often_costs_no_more_than_the_file(tmp_path, name):
    content = b"\x80\x04" + BOMBS[name]() + b"."
    began = time.process_time()
    refused(tmp_path / "bomb.pkl", content, ".", 64 * MEGABYTE)
    assert time.process_time() - began < 10
