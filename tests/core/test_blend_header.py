# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Blender saved a file is read from headers of all kinds, compressed or not, and a newer one
is refused with its version."""

import gzip
import sys
import types

import pytest

from thunder_core.batch import inputs
from thunder_core.batch.inputs import Header

OLD, LONG = b"BLENDER-v402RENDH" + bytes(99), b"BLENDER17-01v0501REND" + bytes(99)


@pytest.mark.parametrize(
    "data, header",
    [
        (OLD, Header((4, 2))),
        (b"BLENDER_V279" + bytes(9), Header((2, 79))),
        (LONG, Header((5, 1), True)),
    ],
)
def test_the_version_is_read(tmp_path, data, header):
    zstandard = pytest.importorskip("zstandard") if data is LONG else None
    for content in (
        data,
        gzip.compress(data),
        *([zstandard.ZstdCompressor().compress(data)] if zstandard else []),
    ):
        (tmp_path / "a.blend").write_bytes(content)
        assert inputs.read_header(str(tmp_path / "a.blend")) == header


def test_python_s_own_module_is_used_where_blender_s_is_missing(tmp_path, monkeypatch):
    """Linux distributions build Blender with their Python, which has `compression.zstd` since 3.14;
    it is played here."""
    zstandard = pytest.importorskip("zstandard")
    own = types.ModuleType("compression.zstd")
    own.ZstdFile, own.ZstdError = (
        (lambda file: zstandard.ZstdDecompressor().stream_reader(file)),
        zstandard.ZstdError,
    )
    monkeypatch.setitem(sys.modules, "zstandard", None)  # an import of it fails
    monkeypatch.setitem(sys.modules, "compression", types.ModuleType("compression"))
    (tmp_path / "a.blend").write_bytes(zstandard.ZstdCompressor().compress(LONG))
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    assert inputs.read_header(str(tmp_path / "a.blend")) is None
    monkeypatch.setitem(sys.modules, "compression.zstd", own)
    assert inputs.read_header(str(tmp_path / "a.blend")) == Header((5, 1), True)


@pytest.mark.parametrize(
    "data",
    [b"", b"BLENDER", b"BLENDER-vxyz", b"RIFF", gzip.compress(OLD)[:8], b"\x28\xb5\x2f\xfdno"],
)
def test_what_is_no_header_is_none(tmp_path, data):
    (tmp_path / "a.blend").write_bytes(data)
    assert (
        inputs.read_header(str(tmp_path / "a.blend")) is None
        and inputs.read_header(str(tmp_path / "none")) is None
    )


def test_a_newer_file_is_refused_and_only_one_that_can_be_opened_is_allowed():
    newer = Header((5, 0), True)
    assert (
        newer.refusal("a.blend", (5, 0))
        == newer.refusal("a.blend", (5, 1))
        == newer.refusal("a.blend", (4, 5), allow_newer=True)
        == ""
    )
    words = newer.refusal("a.blend", (4, 2), allow_newer=True)
    assert (
        words
        == "“a.blend” was saved by a newer Blender (5.0, this is 4.2): bake with Blender 5.0 or "
        "newer"
    )
    assert (
        Header((4, 5))
        .refusal("a.blend", (4, 2))
        .endswith("Blender 4.5 or newer, or use --allow-newer")
    )
    assert Header((4, 5)).refusal("a.blend", (4, 2), opens=False).endswith("Blender 4.5 or newer")
