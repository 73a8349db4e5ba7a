# SPDX-License-Identifier: GPL-3.0-or-later
"""Every parser, fed with damaged and made-up input: a valid result or a ThunderError, in bounded
time and memory, nothing else.

The ordinary run is short and always the same. `make fuzz MINUTES=30` (fuzz.py beside this file)
goes on with new input each time; what it finds becomes an @example here.
"""

import contextlib
import copy
import io
import json
import os
import pickle
import pickletools
import queue
import struct
import time
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, HealthCheck, settings, strategies as st
from made_zip import made_zip, packed
from memory import held_at_most
from rows_sounds import pcm, RATE, voice, wav
from safetensors.torch import save

from thunder_core import spoken, subtitles
from thunder_core.animation import motion_file
from thunder_core.client import Client
from thunder_core.engine import worker
from thunder_core.engine.alignment import Match
from thunder_core.engine.speech import audio, transcript
from thunder_core.engine.speech.encoder import Units
from thunder_core.errors import KINDS, ThunderError
from thunder_core.face.head import Head, load_head
from thunder_core.face.mapping import JointRule, Mapping, Rule, Target
from thunder_core.face.unpickle import unpickle
from thunder_core.findings import LipSyncScore
from thunder_core.progress import result
from thunder_core.spoken import PHONES
from thunder_core.types import MOST_FRAMES, Motion, SampledTake, Speech

MEGABYTE = 2**20
SECONDS = 10  # of processor time that one input may cost
# inputs for each parser, set by fuzz.py; 0: the ordinary run
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", 0))
ordinary = settings(
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    max_examples=EXAMPLES or 25,
    suppress_health_check=list(HealthCheck),
)


@contextlib.contextmanager
def bounded(megabytes=64, may_be_any=False):
    """Nothing but ThunderErrors comes out; each is one sentence that says what to do; memory and
    time stay within bounds.

    may_be_any: the base class too, which says what nobody could foresee, in the engine's words.
    """
    began = time.process_time()
    with held_at_most(megabytes * MEGABYTE):
        try:
            yield
        except ThunderError as error:
            assert type(error) in KINDS.values() and (
                may_be_any or type(error) is not ThunderError
            ), repr(error)[:600]
            said = str(error)
            assert said.strip() if may_be_any else ": " in said, said[:600]
            assert len(said) < 600, said[:600]
    spent = time.process_time() - began
    assert spent < SECONDS, f"{spent:.0f} s"


# ---- damage

TELLING = sorted(
    {n + d for n in (0, 2**7, 2**8, 2**15, 2**16, 2**31, 2**32, 2**63) for d in (-1, 0, 1)}
    | {300, 4096}
)
_NUMBERS = st.builds(
    lambda n, size, order: (n % 2 ** (8 * size)).to_bytes(size, order),
    st.sampled_from(TELLING), st.sampled_from((1, 2, 4, 8)), st.sampled_from(("little", "big")),
)  # fmt: skip


@st.composite
def damaged(draw, content: bytes, places=(), words=(), most=6):
    """`content` with bytes changed, inserted, removed, repeated or cut off, more often near
    `places`; `words` fit its format."""
    data = bytearray(content)
    pieces = st.one_of(
        _NUMBERS, st.binary(min_size=1, max_size=8), *([st.sampled_from(words)] if words else [])
    )
    for _ in range(draw(st.integers(1, most))):
        at = draw(st.integers(0, len(data)))
        if places and draw(st.integers(0, 3)):
            at = min(draw(st.sampled_from(places)) + draw(st.integers(0, 24)), len(data))
        what = draw(
            st.sampled_from(("overwrite", "overwrite", "insert", "remove", "flip", "repeat", "cut"))
        )
        if what == "cut":
            del data[at:]
        elif what == "flip" and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif what == "remove":
            del data[at : at + draw(st.integers(1, 40))]
        elif what == "repeat":
            data[at:at] = data[at : at + draw(st.integers(1, 200))]
        else:
            piece = draw(pieces)
            data[at : at + (len(piece) if what == "overwrite" else 0)] = piece
    return bytes(data)


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 70_000), st.floats(),
    st.sampled_from((10**400, -(10**400), 2**63, 1e308, -0.0, 5e-324)),
    st.text(max_size=8), st.sampled_from(("\ud800", "\0", "x" * 5000, "../../x", "/", "")),
    st.sampled_from(([], {}, [[]], [None], {"": None}, [[[[1]]]], {"a": {"b": [1]}})),
)  # fmt: skip


@st.composite
def changed(draw, value, most=3):
    """A JSON value with some of its parts replaced by odd ones, removed, repeated or renamed."""
    value = json.loads(json.dumps(value))
    for _ in range(draw(st.integers(1, most))):
        holder, key, inner = None, None, value
        while isinstance(inner, (dict, list)) and inner and (holder is None or draw(st.booleans())):
            holder = inner
            key = draw(
                st.sampled_from(sorted(inner))
                if isinstance(inner, dict)
                else st.integers(0, len(inner) - 1)
            )
            inner = holder[key]
        if holder is None:
            return copy.deepcopy(draw(ODD))
        what = draw(st.sampled_from(("replace", "replace", "remove", "repeat")))
        if what == "replace":
            holder[key] = copy.deepcopy(draw(ODD))
        elif what == "remove":
            del holder[key]
        elif isinstance(holder, list):
            holder.insert(0, copy.deepcopy(inner))
        else:
            holder[draw(st.text(max_size=4))] = copy.deepcopy(inner)
    return value


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def saved(folder, name, content) -> Path:
    path = Path(folder) / name
    path.write_bytes(content)
    return path


# ---- heads


def small_flame() -> dict:
    """A FLAME model of eight vertices."""
    joints = [
        [0, -0.17, -0.03],
        [0, -0.1, -0.03],
        [0, -0.02, 0],
        [0.032, 0, 0.06],
        [-0.032, 0, 0.06],
    ]
    return {
        "f": np.array([[0, 1, 2], [3, 4, 5], [5, 6, 7]], np.uint32),
        "v_template": np.array([*joints, [0, 0, 0.1], [0, 0.1, 0], [0.1, 0, 0]]),  # noqa: E501
        "J_regressor": np.eye(5, 8), "weights": np.full((8, 5), 0.2), "bs_type": "lrotmin",
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32),
        "posedirs": np.zeros((8, 3, 36)), "shapedirs": np.zeros((8, 3, 302)),
    }  # fmt: skip


def check_head(head):
    """What everything that takes a head relies on."""
    assert isinstance(head, Head) and head.f.dtype == np.int32 and len(head.f)
    count = len(head.v_template)
    assert head.f.min() >= 0 and head.f.max() < count and head.polygons.max() < count
    assert all(
        np.isfinite(part).all()
        for part in (head.v_template, head.shapedirs, head.posedirs, head.weights, head.J_regressor)
    )


def pickled(data, protocol):
    """A pickle and the places of its instructions."""
    content = pickle.dumps(data, protocol)
    return content, [at for _, _, at in pickletools.genops(content)]


PICKLES = [pickled(small_flame(), protocol) for protocol in (2, 4)]
PICKLE_WORDS = (
    b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"ccopy_reg\n_reconstructor\n", b"c_codecs\nencode\n",
    b"c__builtin__\nset\n", b"cscipy.sparse\ncsc_matrix\n",  # noqa: E501
    b"cchumpy\nCh\n", b"cnumpy.core.multiarray\n_reconstruct\n",
    b"cnumpy.core.multiarray\nscalar\n", b"c__builtin__\nbytes\n", b"(", b")", b"]", b"}",
    # noqa: E501
    b"N", b"0", b"1", b"2", b"t", b"\x85", b"\x86", b"\x87", b"R", b"b", b"s", b"u", b"a", b"e",
    b"q\0", b"h\0", b"\x8f", b"\x90", b"\x91", b"\x81",  # noqa: E501
    b"\x92", b"d", b"l", b"o", b".", b"\x94", b"K\x02", b"U\x01b", b"U\x02f8", b"X\1\0\0\0x",
    b"\x8a\x01\x7f", b"\x96" + b"\xff" * 8,
    b"\x8e" + b"\xff" * 7 + b"\0", b"\x95\x10" + b"\0" * 7, b"I01\n", b"F1e9\n",
)  # fmt: skip


@ordinary
@given(content=st.one_of(
    st.sampled_from(PICKLES).flatmap(lambda made: damaged(made[0], made[1], PICKLE_WORDS)),
    st.lists(st.sampled_from(PICKLE_WORDS), max_size=40).map(lambda words: b"\x80\x04"
    + b"".join(words) + b"."),
))  # fmt: skip
@example(content=b"\x80\x05\x96" + struct.pack("<Q", 2**33) + b"abc.")  # reserved 8 GB
def test_flame_pickles(folder, content):
    path = saved(folder, "head.pkl", content)
    with bounded():
        check_head(load_head(path))
    with bounded():
        assert isinstance(unpickle(path), dict)


def _npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, **small_flame())
    return file.getvalue()


NPZ = _npz()
NPZ_PLACES = sorted(
    at
    for mark in (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"\x93NUMPY", b"'shape'")
    for at in range(len(NPZ))
    if NPZ.startswith(mark, at)
)
HEADERS = st.builds(
    lambda descr, order,
    shape: f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}",
    st.sampled_from(("'<f8'", "'<f4'", "'|O'", "'<U9'", "'<U100000000'", "'|S0'", "'|V8'",
    "[('a', '<f8')]", "'f8,f8'", "'<M8[s]'", "1", "'<c16'")),  # noqa: E501
    st.sampled_from(("False", "True", "1", "None")),
    st.one_of(st.tuples(st.sampled_from(TELLING), st.integers(-1, 9)).map(str),
              st.sampled_from(("()", "(8, 3)", "[8, 3]", "8", "(True, 3)", "(1,) * 9",
              "(1,1,1,1,1,1,1,1,1)", "(" * 90 + ")" * 90))),
)  # fmt: skip


@st.composite
def lying_npz(draw):
    """A zip of arrays whose headers, sizes and checksums do not agree with what there is."""
    members = []
    for name in draw(
        st.lists(
            st.sampled_from((b"v_template.npy", b"f.npy", b"weights.npy", b"x", b"\xff.npy", b"")),
            max_size=4,
        )
    ):
        header = draw(HEADERS).encode()
        content = (
            b"\x93NUMPY\1\0"
            + struct.pack("<H", len(header))
            + header
            + bytes(draw(st.sampled_from((0, 8, 192, 5000))))
        )
        method = draw(st.sampled_from((0, 8, 8, 12, 14)))
        raw = packed(content + bytes(draw(st.sampled_from((0, 2**22))))) if method == 8 else content
        size = draw(st.sampled_from((len(content), len(content), 2**31, 0)))
        members.append((name, method, raw, size, zlib.crc32(content)))
    entries = (
        draw(st.none() | st.lists(st.integers(0, len(members) - 1), max_size=5))
        if members
        else None
    )
    return made_zip(members, entries)


@ordinary
@given(
    content=st.one_of(damaged(NPZ, NPZ_PLACES, (b"PK\5\6", b"PK\6\7", b"<f8", b"|O")), lying_npz())
)
def test_npz_files(folder, content):
    path = saved(folder, "head.npz", content)
    with bounded():
        check_head(load_head(path))


def _array(shape, kind, seed):
    return np.random.default_rng(seed).integers(-3, 9, shape).astype(kind)


def _with_one(name, number):
    """An array of the model, one of whose numbers is another."""
    array = np.asarray(small_flame()[name])
    if array.dtype.kind != "U":
        array = array.astype(np.float64)
        array.ravel()[-1] = number
    return array


KINDS_OF_ARRAY = ("f8", "f4", "f2", "i4", "u4", "u8", "i8", "?", "U2", "S2", "c8")


@ordinary
@given(name=st.sampled_from(sorted(small_flame())), value=st.one_of(
    st.builds(_array, st.lists(st.integers(0, 8), max_size=4).map(tuple),
    st.sampled_from(KINDS_OF_ARRAY), st.integers(0, 9)),
    st.builds(_with_one, st.sampled_from(sorted(small_flame())),
    st.sampled_from((np.nan, np.inf, 1e300, -1, 0.5, 2.0**31, 2.0**32, 2.0**64))),  # noqa: E501
))  # fmt: skip
@example(name="v_template", value=np.zeros((8, 2)))
@example(name="f", value=np.array([[0, 1, 2**32]]))  # was vertex 0
def test_arrays_of_a_flame_file(folder, name, value):
    path = Path(folder) / "arrays.npz"
    np.savez(path, **small_flame() | {name: value})
    with bounded():
        check_head(load_head(path))


# ---- JSON

PLAN = Mapping("Hero", (Rule("jawOpen", Target("KEY", "jawOpen"), 0.5), Rule("tongueOut",
    Target("BONE", "", "Rig", "lip", "location", 2), -0.1)),  # noqa: E501
               (JointRule("neck", "Head", "Rig", 0.5),), "arkit", "-Y", "Z")  # fmt: skip
JSON_WORDS = (
    b"{",
    b"[",
    b'"',
    b"NaN",
    b"1e999",
    b"\\ud800",
    b"9" * 400,
    b"-",
    b"null",
    b"true",
    b",",
)


@ordinary
@given(text=st.one_of(
    changed(json.loads(PLAN.to_json())).map(json.dumps),
    damaged(PLAN.to_json().encode(), (), JSON_WORDS).map(lambda raw: raw.decode("utf-8",
    "replace")),  # noqa: E501
))  # fmt: skip
@example(text=PLAN.to_json().replace("0.5", "1" + "0" * 400))
def test_mappings_and_presets(text):
    assert Mapping.from_json(PLAN.to_json()) == PLAN
    with bounded():
        plan = Mapping.from_json(text)
        assert Mapping.from_json(plan.to_json()) == plan
        plan.to_json().encode("utf-8")
        assert all(np.isfinite(np.float32(rule.weight)) for rule in plan.rules) and isinstance(
            plan.used, frozenset
        )


UNITS_FILE = save({"centroids": torch.zeros(4, 3)})
UNITS_CARD = {"config": {"count": 4, "width": 3}, "card": {"what": "units"}}


TENSORS = st.builds(
    lambda kind, name, shape: save({name: torch.zeros(shape, dtype=getattr(torch, kind))}),
    st.sampled_from(("float16", "bfloat16", "float64", "int8", "int64", "bool", "uint8")),
    st.sampled_from(("centroids", "other", "")), st.lists(st.integers(0, 5), max_size=3),
)  # fmt: skip
UNITS_WORDS = (b'"F32"', b'"I64"', b'"BF16"', b"[4,3]", b"[0,48]", b"}", b"\0\0\xc0\x7f")
UNITS_CARDS = st.one_of(
    changed(UNITS_CARD).map(json.dumps),
    damaged(json.dumps(UNITS_CARD).encode(), (), JSON_WORDS).map(lambda raw: raw.decode("latin1")),
)


@ordinary
@given(made=st.one_of(
    st.tuples(TENSORS | damaged(UNITS_FILE, (0, 8, 20, 40, 60), UNITS_WORDS),
              st.just(json.dumps(UNITS_CARD))),
    st.tuples(st.just(UNITS_FILE), UNITS_CARDS),
))  # fmt: skip
@example(made=(save({"centroids": torch.full((4, 3), torch.nan)}), json.dumps(UNITS_CARD)))
@example(made=(UNITS_FILE, "[" * 100_000))
def test_weights_and_their_cards(folder, made):
    saved(folder, "units.safetensors", made[0])
    (Path(folder) / "units.json").write_text(made[1], encoding="latin1", errors="replace")
    with bounded():
        units = Units.load(Path(folder))
        assert (
            units.centroids.shape == (4, 3)
            and units.centroids.dtype == np.float32
            and np.isfinite(units.centroids).all()
        )


# ---- the line between Blender and the engine


class Engine:
    """Stands where the engine is and answers at once, so that what is tried is how requests are
    read."""

    def info(self):
        return {
            "engine": "thunder",
            "channels": ["jawOpen"],
            "weights": "w",
            "device": "cpu",
            "versions": {},
        }

    def begin(self, speech, request, progress, noticed):
        flat = np.zeros(speech.frames, np.float32)
        take = SampledTake(
            Motion(flat[:, None], np.zeros((speech.frames, 3), np.float32)),
            request.seed,
            LipSyncScore(50.0, flat),
            flat,
            flat,
            {},
        )
        return SimpleNamespace(about={"audio": "0" * 16}, run=lambda arrived: [arrived(take)])

    def score(self, speech, motion, direction=None, seed=0, tolerance="realistic", text=""):
        return LipSyncScore(50.0, np.zeros(motion.frames, np.float32))

    def align(self, speech, motion, recorded=None):
        return Match(0.0, 1.0), "mouth" if recorded is None else "sound"

    def spoken(self, speech, text):
        return [], [], True

    def listen(self, motion, voice=None):
        return Speech(np.zeros(8000, np.float32))


def answers(line, folder):
    """What a worker answers to a line of bytes, read in this process, and what it writes to its
    log."""
    replies = io.BytesIO()
    one = worker.Worker(io.BytesIO(), replies, str(folder), str(folder), "cpu")
    one.engine = Engine()
    one._handle_line(line)
    with contextlib.redirect_stderr(io.StringIO()) as log, contextlib.suppress(queue.Empty):
        while True:
            request = one.waiting.get_nowait()
            if request is not None:
                one._answer(request)
    return [json.loads(line) for line in replies.getvalue().splitlines()], log.getvalue()


@pytest.fixture(scope="module")
def files(folder):
    """A folder with a sound and arrays that requests may name."""
    tone = 0.3 * np.sin(np.arange(16000) * 0.05)
    audio.write_sound(Path(folder) / "voice.wav", Speech(tone.astype(np.float32)))
    for name, shape in (
        ("expression", (25, 1)),
        ("jaw", (25, 3)),
        ("keep", (25, 10)),
        ("empty", (0, 3)),
        ("flat", (25,)),
    ):
        np.save(Path(folder) / f"{name}.npy", np.zeros(shape, np.float32))
    (Path(folder) / "text.npy").write_bytes(b"no array")
    np.save(Path(folder) / "names.npy", np.array(["a", "b"]))
    return folder


REQUESTS = (
    ("hello", {}), ("release", {}), ("cancel", {"request": 1}),
    ("generate", {"sound": "voice.wav", "takes": 1, "seed": 1, "steps": 2, "guidance": 1.0,
                  "keep_motion": "keep.npy", "keep_mask": "keep.npy"}),
    ("score", {"sound": "voice.wav", "expression": "expression.npy", "jaw": "jaw.npy"}),
    ("align", {"sound": "voice.wav", "expression": "expression.npy", "jaw": "jaw.npy",
    "recorded": "voice.wav"}),
    ("spoken", {"sound": "voice.wav", "text": "mama"}),
    ("listen", {"expression": "expression.npy", "jaw": "jaw.npy", "voice": "voice.wav",
    "out": "out.wav"}),
)  # fmt: skip
NAMES = (
    "voice.wav",
    "expression.npy",
    "jaw.npy",
    "keep.npy",
    "empty.npy",
    "flat.npy",
    "text.npy",
    "names.npy",
    "none.npy",
    "none.wav",
)


@st.composite
def requests(draw):
    """A request whose paths are not made whole."""
    verb, args = draw(st.sampled_from(REQUESTS))
    args = dict(args)
    for name in (
        draw(st.lists(st.sampled_from(sorted(args)), max_size=2, unique=True)) if args else ()
    ):
        args[name] = draw(
            ODD
            if name in ("out", "text", "takes", "seed", "steps")
            else st.one_of(ODD, st.sampled_from(NAMES), st.sampled_from(NAMES))
        )
    request = {"id": 5, "verb": verb, "args": args}
    return draw(st.one_of(st.just(request), st.just(request), changed(request, 1)))


@ordinary
@given(request=st.one_of(requests(), st.sampled_from(REQUESTS).flatmap(
    lambda request: damaged(json.dumps({"id": 5, "verb": request[0], "args": {}}).encode(), (),
    JSON_WORDS))))  # fmt: skip
@example(request=[])
@example(request={"id": 10**400, "verb": "hello", "args": {}})
@example(request={"id": 5, "verb": "generate", "args": {"sound": "voice.wav", "guidance": 10**400}})
@example(
    request={
        "id": 5,
        "verb": "listen",
        "args": {"expression": "names.npy", "jaw": "jaw.npy", "out": "out.wav"},
    }
)
@example(request=b"[" * 100_000)
@example(request=b'{"id": 1' + b"0" * 5000 + b', "verb": "hello"}')
def test_requests_to_the_engine(files, request):
    args = request.get("args") if isinstance(request, dict) else None
    if isinstance(args, dict):
        for name, value in args.items():
            if isinstance(value, str) and value.endswith((".npy", ".wav")):
                args[name] = os.path.join(str(files), os.path.basename(value))
        for name in ("out", "folder"):  # this test writes in its own folder alone
            assume(
                not isinstance(args.get(name), str)
                or not args[name]
                or args[name].startswith(str(files))
            )
    line = request if isinstance(request, bytes) else json.dumps(request).encode()
    with bounded():
        events, log = answers(line + b"\n", files)
        for answer in events:
            assert "id" in answer and answer["event"] in ("done", "error", "progress", "take")
            if answer["event"] == "error":
                assert answer["kind"] in KINDS and len(answer["message"]) < 600, (answer, log)
        assert events or isinstance(request, bytes)  # an empty line has no answer


EVENTS = (
    {"id": None, "event": "ready", "protocol": 1}, {"id": 1, "event": "progress", "fraction": 0.5,
    "message": "Sampling"},
    {"id": 1, "event": "done", "result": {"takes": []}}, {"id": 1, "event": "error",
    "kind": "BadSound", "message": "No: choose another"},
    {"id": 1, "event": "take", "take": {"seed": 1}},
)  # fmt: skip


READY = b'{"id": null, "event": "ready", "protocol": 1}\n'


def failure(message: str) -> bytes:
    """A line with which an engine ends a request in an error."""
    event = {"id": 1, "event": "error", "kind": "BadSound", "message": message}
    return json.dumps(event).encode() + b"\n"


@ordinary
@given(lines=st.lists(st.one_of(
    st.sampled_from(EVENTS).flatmap(lambda event: changed(event,
    2)).map(lambda event: json.dumps(event).encode() + b"\n"),
    st.sampled_from(EVENTS).map(lambda event: json.dumps(event).encode() + b"\n"),
    st.sampled_from(EVENTS).flatmap(lambda event: damaged(json.dumps(event).encode(),
    most=2)).map(lambda raw: raw.replace(b"\n", b"") + b"\n"),  # noqa: E501
), max_size=5))  # fmt: skip
@example(lines=[b"[]\n"])
@example(lines=[b'{"event": "ready", "protocol": 1}\n', b'{"id": 1, "event": "done"}\n'])
@example(lines=[b'{"event": "ready", "protocol": 1}\n', b'{"id": 1, "event": "error"}\n'])
@example(lines=[b'{"id": [1], "event": "done"}\n'])
@example(lines=[b"[" * 100_000 + b"\n"])
@example(lines=[READY, failure("")])
@example(lines=[READY, failure("../x")])
@example(lines=[READY, failure("x" * 5000)])
def test_answers_of_the_engine(folder, lines):
    """Whatever an engine writes before it ends, its client gets an answer or an error and does not
    wait for ever."""
    said = saved(folder, "said", b"".join(lines))
    program = saved(folder, "engine", f'#!/bin/sh\nread asked\nexec cat "{said}"\n'.encode())
    program.chmod(0o755)
    with bounded(may_be_any=True), Client(str(program)) as client:
        assert isinstance(client.request("hello").wait(timeout=20), dict)


# ---- sounds and texts


def sound(rate=16000, channels=1, bits=16, kind=1):
    tone = pcm(voice(min(rate, 48000) / RATE / 2))
    return wav(tone, tag=kind, channels=channels, rate=rate, bits=bits)


@ordinary
@given(content=st.one_of(
    damaged(sound(), (0, 4, 12, 16, 20, 22, 24, 28, 32, 34, 36, 40),
    (b"LIST", b"fact", b"RF64", b"RIFX", b"data", b"fmt ", b"\0\0\xc0\x7f")),
    st.builds(sound, st.sampled_from((1, 3999, 4000, 8000, 44100, 192000, 768000, 768001, 2**31,
    2**32 - 1)), st.sampled_from((0, 1, 2, 3, 255, 1024, 65535)),  # noqa: E501
              st.sampled_from((0, 1, 8, 12, 16, 24, 32, 64, 65535)),
                  st.sampled_from((0, 1, 2, 3, 6, 7, 0x11, 0x31, 0x55, 0xFFFE))),
))  # fmt: skip
def test_headers_of_sounds(folder, content, monkeypatch):
    path = saved(folder, "sound.wav", content)
    with monkeypatch.context() as patched:
        # libsndfile alone: a process of ffmpeg for each would take minutes
        patched.setattr(audio.system_calls, "find_program", lambda *_: None)
        with bounded():
            speech = audio.read_sound(path)
            assert (
                speech.rate == 16000
                and np.isfinite(speech.samples).all()
                and np.abs(speech.samples).max() <= 1
            )


BELIEF = np.random.default_rng(0).dirichlet(np.full(len(PHONES), 0.1), 60)


@ordinary
@given(text=st.one_of(
    st.text(max_size=200), st.text(alphabet="mbpfaeou mpthn'’ßéİﬀ\u0301\n", max_size=200),
    st.sampled_from(("m" * 5000, "ph" * 400, "mb pt bt " * 50, "\ud800m", "𝔪", "Ⅿ", "")),
))  # fmt: skip
def test_texts(text):
    with bounded():
        for closure in transcript.closures(BELIEF, transcript.find_text(BELIEF, text)):
            assert (
                0 <= closure.seconds <= len(BELIEF) / 50 + 0.1
                and 0 <= closure.sure <= 1
                and set(closure.text) <= set(transcript.BILABIALS)
            )


SUBTITLES = (
    b"1\n00:00:01,500 --> 00:00:03,000\n<i>Mary</i> {\\an8}bought\n- a lamp. [slams] &amp;\n\n"
    b"2\n01:00:00,000 --> 01:00:02,250\nMaybe!\n"
)
SUBTITLE_WORDS = (
    b"<" * 2000, b"[" * 2000, b"{\\" * 2000, b"9" * 400, b" --> ", b"\n\n", b"\r", b"\xff", b"&#",
)  # fmt: skip


@ordinary
@given(content=damaged(SUBTITLES, (2, 19, 32, 60, 100), SUBTITLE_WORDS))
def test_subtitles(folder, content):
    path = saved(folder, "line.srt", content)
    with bounded():
        words, *_ = subtitles.read_text(str(path), "choose another")
        assert words and "\n" not in words


MARKS = (
    b'{"time":6,"type":"word","start":0,"end":4,"value":"Mary"}\n'
    b'{"time":6,"type":"viseme","value":"p"}\n{"time":99,"type":"viseme","value":"sil"}\n'
)
MARK_WORDS = (
    b"[" * 2000, b'{"a":' * 2000, b"9" * 400, b"-1", b"NaN", b"null", b"\n", b"\xff", b"\\ud800",
    b"characters", b"AudioOffset", b'"alignment":{"characters":[1,null]}', b"1e999",
)  # fmt: skip


@ordinary
@given(content=damaged(MARKS, (1, 8, 10, 28, 47, 60), MARK_WORDS))
def test_times_of_speech_services(folder, content):
    path = saved(folder, "line.json", content)
    with bounded():
        words, _, times = subtitles.read_text(str(path), "choose another")
        assert words and len(times.words) == len(spoken.split(words))


@st.composite
def recordings(draw):
    """A take as an .npz, some of whose arrays are other ones."""
    count = draw(st.sampled_from((1, 2, 25, 10**6)))
    values = np.zeros((count, 3), draw(st.sampled_from((np.int8, np.float16, np.float32))))
    arrays = dict.fromkeys(("expression", "jaw", "head", "eyes"), values)
    arrays |= {"fps": np.float64(25), "channels": np.array(["jawOpen", "a", "b"])}
    for name in draw(st.lists(st.sampled_from(sorted(arrays)), max_size=2)):
        number = draw(st.sampled_from((1e-6, 1e30, -7.0, np.nan, np.inf, 0.0, 1000.0, 5e-324)))
        arrays[name] = np.full(np.shape(arrays[name])[:1], number) if draw(st.booleans()) else (
            np.full(np.shape(arrays[name]), number)
        )  # fmt: skip
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


@ordinary
@given(content=st.one_of(recordings(), recordings().flatmap(damaged)))
def test_recordings_of_motion(folder, content):
    path = saved(folder, "take.npz", content)
    with bounded(256):
        motion, _ = result(motion_file.read_recording(str(path), ("jawOpen",)))
        assert motion.frames <= MOST_FRAMES and np.isfinite(motion.jaw).all()
