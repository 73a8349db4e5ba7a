# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files that claim gigabytes are refused before the memory is taken, and those that claim
hours before the time is."""

import pickle
import struct
import zlib

import numpy as np
import pytest
import scipy.sparse
from made_zip import made_zip, npy, packed
from memory import held_at_most

from thunder_core.arrays import read_npz
from thunder_core.errors import BadHead
from thunder_core.face.head import load_head
from thunder_core.face.unpickle import unpickle

MEGABYTE = 2**20


def refused(path, content, says, most_bytes=40 * MEGABYTE):
    """That the file is refused with a sentence, and how many bytes were in use at most
    meanwhile."""
    path.write_bytes(content)
    with held_at_most(len(content) + most_bytes), pytest.raises(BadHead, match=says) as caught:
        load_head(path)
    assert path.name in str(caught.value) and ": " in str(caught.value)


def zeros(megabytes):
    """(method, packed bytes, size, checksum) of an .npy with so many megabytes of zeros."""
    content = npy((megabytes * MEGABYTE // 8,), bytes(megabytes * MEGABYTE))
    return 8, packed(content), len(content), zlib.crc32(content)


def test_four_megabytes_of_npz_that_claim_five_gigabytes_are_refused(tmp_path):
    member = zeros(16)
    content = made_zip([(b"v_template_%d.npy" % i, *member) for i in range(320)])
    assert len(content) < 30 * MEGABYTE
    refused(tmp_path / "bomb.npz", content, "claims 5,120 MB of arrays")


def test_arrays_that_share_their_bytes_are_refused(tmp_path):
    content = made_zip([(b"a.npy", *zeros(8)), (b"b.npy", *zeros(1))])
    end, at = content.index(b"PK\x01\x02"), content.rindex(b"PK\x01\x02")
    # the second entry lies where the first does
    shared = content[: at + 42] + struct.pack("<I", 0) + content[at + 46 :]
    assert end < at
    refused(tmp_path / "shared.npz", shared, "share the same bytes")
    refused(tmp_path / "twice.npz", made_zip([(b"a.npy", *zeros(1))], [0, 0]), "twice")


def test_a_member_that_unpacks_to_more_than_it_says_costs_no_more_than_it_says(tmp_path):
    sound = npy((4,), np.arange(4.0).tobytes())
    raw = packed(sound + bytes(64 * MEGABYTE))
    path = tmp_path / "lies.npz"
    path.write_bytes(made_zip([(b"a.npy", 8, raw, len(sound), zlib.crc32(sound))]))
    with held_at_most(8 * MEGABYTE):
        assert np.array_equal(read_npz(path)["a"], np.arange(4.0))


@pytest.mark.parametrize(
    ("name", "says", "members"),
    [
        (
            "header",
            "length and shape disagree",
            lambda: [(b"a.npy", 0, npy((2**20,)), len(npy((2**20,))), zlib.crc32(npy((2**20,))))],
        ),
        (
            "dimensions",
            "not an array of numbers",
            lambda: [(b"a.npy", 0, npy((2**90,)), len(npy((2**90,))), zlib.crc32(npy((2**90,))))],
        ),
        (
            "denser",
            "claims more for “a” than it holds",
            lambda: [(b"a.npy", 8, packed(npy((9,))), 2**31, 0)],
        ),
        ("packing", "a way that numpy does not use", lambda: [(b"a.npy", 14, b"x" * 20, 20, 0)]),
        ("empty", "lacks v_template", lambda: []),
    ],
)
def test_an_npz_that_lies_is_refused(tmp_path, name, says, members):
    refused(tmp_path / f"{name}.npz", made_zip(members()), says, 4 * MEGABYTE)


def test_a_directory_of_a_million_members_is_refused_unread(tmp_path):
    content = made_zip([(b"a.npy", *zeros(1))], [0] * 200_000)
    refused(tmp_path / "many.npz", content, "more than 1000 arrays", 2 * MEGABYTE)


# ---- pickles


def test_a_kilobyte_of_pickle_with_sparse_matrices_is_refused(tmp_path):
    matrices = {}
    for i in range(6):
        matrix = scipy.sparse.csc_matrix((1, 1))
        matrix._shape = (2**23, 1)  # 64 MB each, when every zero is written out
        matrices[f"m{i}"] = matrix
    content = pickle.dumps(matrices, 2)
    assert len(content) < 3000
    refused(tmp_path / "bomb.pkl", content, "claims more than 256 MB of arrays", 320 * MEGABYTE)
    one = scipy.sparse.csc_matrix((1, 1))
    one._shape = (2**26, 1)
    refused(
        tmp_path / "one.pkl",
        pickle.dumps({"m": one}, 2),
        "claims more than 256 MB of arrays",
        MEGABYTE,
    )


def test_one_long_text_behind_a_thousand_arrays_is_counted_each_time(tmp_path):
    text = "x" * MEGABYTE
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01J"
        + struct.pack("<i", len(text))
        + b"\x85cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R\x89h\x00tb"
    )
    named = b"".join(b"U\x04%04d" % i + array for i in range(1000))
    content = (
        b"\x80\x02X" + struct.pack("<I", len(text)) + text.encode() + b"q\x000}(" + named + b"u."
    )
    refused(tmp_path / "arrays.pkl", content, "claims more than 256 MB of arrays", 400 * MEGABYTE)
    encoded = b"c_codecs\nencode\nh\x00U\x06latin1\x86R"
    content = (
        b"\x80\x02X"
        + struct.pack("<I", len(text))
        + text.encode()
        + b"q\x000]("
        + 1000 * encoded
        + b"e."
    )
    refused(tmp_path / "texts.pkl", content, "claims more than 256 MB of arrays", 400 * MEGABYTE)


def test_bytes_that_are_not_there_are_not_reserved(tmp_path):
    for content in (
        b"\x80\x05\x96" + struct.pack("<Q", 2**30) + b"abc.",
        b"\x80\x04\x8e" + struct.pack("<Q", 2**31) + b"abc.",
    ):
        refused(tmp_path / "claims.pkl", content, "nothing in it was run", MEGABYTE)


def test_a_million_empty_lists_are_refused(tmp_path):
    refused(
        tmp_path / "lists.pkl",
        b"\x80\x02" + b"]" * 1_000_000 + b".",
        "more parts than a FLAME model",
    )


def test_a_key_that_takes_for_ever_to_hash_is_refused(tmp_path):
    # a pair of pairs of pairs …: 2 to the 60 of them
    doubled = b"\x80\x02}N" + b"2\x86" * 60 + b"Ns."
    refused(tmp_path / "pairs.pkl", doubled, "neither text nor number")
    refused(
        tmp_path / "pairs.pkl", doubled.replace(b"Ns.", b"N\x94(h\x00Nu."), "nothing in it was run"
    )
    refused(
        tmp_path / "deep.pkl", b"\x80\x02}N" + b"\x85" * 90_000 + b"Ns.", "neither text nor number"
    )
    refused(
        tmp_path / "set.pkl",
        b"\x80\x04\x8f(N" + b"2\x86" * 60 + b"\x90.",
        "neither text nor number",
    )


def test_lists_in_lists_are_not_unfolded(tmp_path):
    path = tmp_path / "laughs.pkl"
    level = []
    for _ in range(30):
        level = [level] * 1000
    path.write_bytes(pickle.dumps({"a": level, "b": ["neck", 1, 2.0, b"x"]}, 2))
    assert unpickle(path) == {"a": [None] * 1000, "b": ["neck", 1, 2.0, "x"]}


def test_a_shape_of_enormous_numbers_is_refused_at_once(tmp_path):
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01("
        + 500 * (b"\x8b\x00\x10\x00\x00" + b"\x7f" * 4096)
        + b"tcnumpy\ndtype\nU\x02f8K\x00K\x01\x87RNU\x00tb"
    )
    refused(tmp_path / "shape.pkl", b"\x80\x02}U\x01a" + array + b"s.", "impossible size")
