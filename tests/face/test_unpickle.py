# SPDX-License-Identifier: GPL-3.0-or-later
"""A pickle can give us arrays and nothing else: hostile and damaged files are refused and nothing
in them runs."""

import builtins
import os
import pickle
import pickletools
import sys
import types

import numpy as np
import pytest
import scipy.sparse

from thunder_core.errors import BadHead
from thunder_core.face.head import load_head
from thunder_core.face.unpickle import unpickle


class Runs:
    """Pickles as a call of function(*args)."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


@pytest.fixture
def canary(tmp_path):
    path = tmp_path / "canary"
    yield path
    assert not path.exists(), "code in the pickle was run"


def refuse(tmp_path, content, match="."):
    path = tmp_path / "evil.pkl"
    path.write_bytes(content)
    with pytest.raises(BadHead, match=match) as caught:
        load_head(path)
    assert "evil.pkl" in str(caught.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_calls_are_refused_in_every_protocol(tmp_path, canary, protocol):
    touch = f"open({str(canary)!r}, 'w').close()"
    for call in (
        Runs(os.system, f"touch {canary}"),
        Runs(builtins.eval, touch),
        Runs(builtins.exec, touch),
        Runs(builtins.compile, touch, "x", "exec"),
        Runs(np.load, str(canary)),
        Runs(np.memmap, str(canary), "uint8", "w+", 0, (4,)),
        Runs(np.fromfile, str(canary)),
        Runs(np.testing.assert_equal, 1, 2),
    ):
        refuse(
            tmp_path,
            pickle.dumps({"v_template": call}, protocol),
            "asks for .*never needs.*nothing in it was run",
        )


def test_numpys_own_runners_are_refused(tmp_path, canary):
    touch = f"open({str(canary)!r}, 'w').close()"
    for module, name in (
        ("numpy.testing._private.utils", "runstring"),
        ("numpy.f2py", "compile"),
        ("numpy.distutils.exec_command", "exec_command"),
        ("numpy", "os.system"),
        ("scipy._lib._util", "_lazywhere"),
        ("scipy.sparse", "load_npz"),
        ("chumpy.utils", "timer"),
        ("builtins", "getattr"),
    ):
        hostile = b"c" + f"{module}\n{name}\n".encode() + b"(V" + touch.encode() + b"\ntR."
        refuse(tmp_path, hostile, "asks for")


def test_the_rebuilding_functions_rebuild_nothing_but_arrays(tmp_path, canary):
    refuse(
        tmp_path,
        b"ccopy_reg\n_reconstructor\n(cos\nsystem\nc__builtin__\nobject\nNtR.",
        "os.system",
    )
    refuse(tmp_path, b"cnumpy.core.multiarray\n_reconstruct\n(Vposix.system\ntR.", "not an array")
    refuse(tmp_path, b"c_codecs\nencode\n(Vaa\nVrot13\ntR.", "encoding")


def test_objects_hidden_in_an_object_array_are_refused(tmp_path, canary):
    array = np.array([Runs(os.system, f"touch {canary}"), 1], dtype=object)
    refuse(tmp_path, pickle.dumps({"v_template": array}, 2))
    refuse(
        tmp_path,
        pickle.dumps({"v_template": np.array([None, {}], dtype=object)}, 2),
        "numbers belong",
    )
    refuse(tmp_path, pickle.dumps({"v_template": np.zeros(2, [("a", "f8")])}, 2), "numbers belong")


def test_writing_on_the_stand_ins_changes_nothing_for_the_next_file(tmp_path):
    # BUILD on the class itself: try to replace how arrays take their state
    hostile = b"\x80\x02cnumpy\nndarray\n(N}U\x0c__setstate__Nsto\x86b."
    path = tmp_path / "evil.pkl"
    path.write_bytes(hostile)
    with pytest.raises(BadHead):
        load_head(path)
    path.write_bytes(pickle.dumps({"a": np.arange(3.0)}, 2))
    assert np.array_equal(unpickle(path)["a"], np.arange(3.0))


def test_arrays_that_claim_more_than_they_hold_are_refused(tmp_path):
    sound = pickle.dumps({"v_template": np.zeros((2, 3), np.uint8)}, 2)
    assert sound.count(b"K\x02K\x03\x86") == 1
    refuse(tmp_path, sound.replace(b"K\x02K\x03\x86", b"K\xffK\x03\x86"), "disagree")
    refuse(
        tmp_path,
        sound.replace(b"K\x02K\x03\x86", b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86"),
        "impossible size",
    )
    matrix = scipy.sparse.csc_matrix(np.eye(3))
    matrix.indices = np.array([0, 1, 99], np.int32)
    refuse(tmp_path, pickle.dumps({"J_regressor": matrix}, 2), "damaged sparse matrix")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_all_that_a_flame_file_holds_comes_out_as_plain_numbers(
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
    }
    path = tmp_path / "flame.pkl"
    path.write_bytes(pickle.dumps(held, protocol))
    monkeypatch.delitem(sys.modules, "chumpy.ch")
    read = unpickle(path)
    for name, value in data.items():
        assert np.array_equal(read[name], value), name
    assert read["version"] == 2.5
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
