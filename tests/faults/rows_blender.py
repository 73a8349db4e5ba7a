# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the table of faults that need Blender: the arguments of bake.py, .blend files and what is
in them, presets.

The whole command bake.py runs inside the process of the tests, with its exit code and what it
writes on stderr. Only rows marked slow load the engine's models.
"""

import contextlib
import gzip
import io
import json
import os
import shutil
import sys
from unittest import mock

from harness import Case, Fault, maker, ROOT, SAMPLE
from thunder.cli import bake, batch, options, script
from thunder.scene.engine import install
from thunder.scene.heads import mapping_table
from thunder.thunder_core.face import mapping
from thunder.thunder_core.named_files import NamedFiles

sys.path.insert(0, str(ROOT))

HERE = "{here}"  # in an argument: the folder of the case


def run(case: Case):
    """Run bake.py with the case's arguments; (exit code, what it said on stderr)."""
    given = [argument.replace(HERE, str(case.folder)) for argument in case.given]
    said = io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["bake.py", "--", *given]),
        contextlib.redirect_stderr(said),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.chdir(case.folder),
    ):
        code = script.exit_code(
            "bake.py",
            options.read_options,
            lambda chosen: batch.bake_all(chosen) if chosen.jobs else bake.bake(chosen),
        )
    return code, said.getvalue()


@maker
def arguments(folder, *more: str, files=None, audio=str(SAMPLE), out=HERE + "/out"):
    """Makes files {name: bytes} and the arguments of a bake."""
    for name, content in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    given = (["--audio", audio] if audio is not None else []) + (
        ["--out", out] if out is not None else []
    )
    return [*given, *more]


def _called(value: str) -> str:
    return f"of {len(value)} letters" if len(value) > 20 else value or "of nothing"


_ERROR = "bake.py: error:"
_WRONG_OPTIONS = [
    *(
        (f"{name} {_called(value)}", arguments(name, value))
        for name, values in (
            ("--takes", ("0", "257", "many", "1.5", "-1", "", "9" * 4000, "9" * 5000)),
            ("--fps", ("3e8", "0", "-24", "nan", "9" * 5000)),
            ("--energy", ("nan", "1e999")),
            ("--head", ("h" * 5000,)),
            ("--seed", ("-1", "2147483648", "x", "1e5")),
            ("--steps", ("0", "1001", "x")),
            ("--guidance", ("-0.1", "3.1", "nan", "inf", "x")),
            ("--start", ("nan", "inf", "-inf", "1e30", "x", "")),
            ("--blend", ("", " ")),
            ("--engine", ("",)),
            ("--weights", ("",)),
            ("--transcript", ("", " ", "w" * 5000)),
        )
        for value in values
    ),
    ("--audio of nothing", arguments(audio="")),
    ("--audio of 5000 letters", arguments(audio="a" * 5000)),
    ("--out of nothing", arguments(out="")),
    ("--out of a blank", arguments(out=" ")),
    ("no options", lambda folder: []),
    ("no --audio", arguments(audio=None)),
    ("no --out", arguments(out=None)),
    ("an option nobody knows", arguments("--magic")),
    ("an option of earlier versions", arguments("--system", "flameformer")),
    ("a word that belongs to no option", arguments("magic")),
    ("--takes without a number", arguments("--takes")),
    ("--out that is not UTF-8", arguments(out=HERE + "/\udcff")),
    ("--audio that is not UTF-8", arguments(audio=HERE + "/\udce9.wav")),
]

_OWN = {"out/report.json": b"mine", "out/take_01.npz": b"mine", "out/notes.txt": b"mine"}


@maker
def _blend(folder, *change, more=(), name="shot.blend", out=HERE + "/out"):
    """Makes a scene with our head, changed by functions of (bpy, folder), saved beside the output;
    bakes in it."""
    import bpy

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bpy.ops.thunder.add_head()
    for one in change:
        one(bpy, folder)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    bpy.context.preferences.filepaths.save_version = 0
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / name), copy=True)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    return ["--audio", str(SAMPLE), "--out", out, "--blend", str(folder / name), *more]


@maker
def _cut(folder, share: float):
    given = _blend()(folder)
    data = (folder / "shot.blend").read_bytes()
    (folder / "shot.blend").write_bytes(data[: int(len(data) * share)])
    return given


def _flip_header(folder):
    given = _blend()(folder)
    data = bytearray((folder / "shot.blend").read_bytes())
    data[:7] = bytes(byte ^ 0x10 for byte in data[:7])
    (folder / "shot.blend").write_bytes(data)
    return given


def _script(bpy, folder):
    text = bpy.data.texts.new("start.py")
    text.write(f"open({str(folder / 'canary')!r}, 'w').close()")
    text.use_module = True


def _driver(bpy, folder):
    driver = bpy.context.scene.thunder.head.data.shape_keys.key_blocks[1].driver_add("value").driver
    driver.expression = f"open({str(folder / 'canary')!r}, 'w').close() or 0"


def _camera(bpy, folder):
    bpy.context.collection.objects.link(
        bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    )


def _plain_mesh(bpy, folder):
    bpy.ops.mesh.primitive_cube_add()
    bpy.context.object.name = "Cube"


def _no_keys(bpy, folder):
    head = bpy.context.scene.thunder.head
    head.name = "Bald"
    head.shape_key_clear()


def _link_out(folder):
    (folder / "real").mkdir()
    (folder / "real" / "report.json").write_bytes(b"mine")
    (folder / "out").symlink_to(folder / "real")
    return arguments()(folder)


def _dangling_out(folder):
    (folder / "out").symlink_to(folder / "gone" / "deeper")
    return arguments("--head", "Nobody")(folder)


def _part_link(folder):
    (folder / "diary.txt").write_bytes(b"mine")
    (folder / "out").mkdir()
    for name in (".part_report.json", ".thunder_report.json.part", "take_01.npz"):
        (folder / "out" / name).symlink_to(folder / "diary.txt")
    return arguments("--npz", "--takes", "1")(folder)


@maker
def _pipe(folder, option, *more):
    os.mkfifo(folder / "pipe.json")
    sound = HERE + "/pipe.json" if option == "--audio" else str(SAMPLE)
    return [
        "--audio",
        sound,
        "--out",
        HERE + "/out",
        *([option, HERE + "/pipe.json"] if option != "--audio" else []),
        *more,
    ]


@maker
def _jobs(folder, text: str, *folders: str):
    """Makes a job file beside the sample voice, and these folders; bakes its jobs."""
    shutil.copy(SAMPLE, folder / "a.wav")
    (folder / "jobs.toml").write_text(text)
    for name in folders:
        (folder / name).mkdir(parents=True)
    return ["--jobs", HERE + "/jobs.toml", "--out", HERE + "/out"]


def _own_page(folder):
    given = _jobs("[jobs.a]\naudio = 'a.wav'\n", "out")(folder)
    (folder / "out" / "batch.html").write_bytes(b"mine")
    return given


def _fast(bpy, folder):
    bpy.context.scene.render.fps, bpy.context.scene.render.fps_base = 30000, 1e-4


_REFUSED = [
    ("a sound that is not there", arguments(audio=HERE + "/none.wav"), "There is no"),
    (
        "a sound's name that would command a terminal",
        arguments(audio=HERE + "/\x1b[2J.wav"),
        r"\\x1b\[2J",
    ),
    (
        "a folder for a sound",
        arguments(audio=HERE),
        "is a folder, not a file: choose another sound",
    ),
    (
        "a file of a bake before ours in the output",
        arguments("--npz", "--takes", "1", files=_OWN),
        "file of yours|force",
    ),
    (
        "an output below a file",
        arguments(files={"a": b"mine"}, out=HERE + "/a/out"),
        "cannot be written",
    ),
    ("a file in place of the output", arguments(files={"out": b"mine"}), "cannot be written"),
    ("an output on no disk", arguments(out="/proc/out"), "cannot be written"),
    (
        "an output name too long for any disk",
        arguments(out=HERE + "/" + "o" * 300),
        "cannot be written",
    ),
    ("an output that is a link to somebody's files", _link_out, "file of yours|force"),
    ("links in the output to somebody's file", _part_link, "file of yours|force"),
    ("a folder of links that leads nowhere as output", _dangling_out, "."),
    (
        "an engine that is not there",
        arguments("--engine", HERE + "/python"),
        "no Python at.*--engine",
    ),
    ("a folder that is no engine", arguments("--engine", HERE), "no Python at.*--engine"),
    (
        "text for an engine",
        arguments("--engine", HERE + "/python", files={"python": b"text"}),
        "cannot be run.*: .*with --engine",
    ),
    (
        "a program that is no Python for an engine",
        arguments("--engine", shutil.which("false") or "false"),
        "false” cannot run the engine: .*with --engine",
    ),
    ("weights that are not there", arguments("--weights", HERE + "/none"), "--weights"),
    (
        "a file in place of weights",
        arguments("--weights", HERE + "/w", files={"w": b"x"}),
        "--weights",
    ),
    ("a .blend that is not there", arguments("--blend", HERE + "/none.blend"), "There is no file"),
    (
        "a folder for a .blend",
        arguments("--blend", HERE),
        "is a folder, not a file: name another with --blend",
    ),
    (
        "a named pipe for a sound",
        _pipe("--audio"),
        "is a pipe or a device, not a file: choose another sound",
    ),
    (
        "a named pipe for a .blend",
        _pipe("--blend"),
        "is a pipe or a device, not a file: name another with --blend",
    ),
    ("a named pipe for a style", _pipe("--style"), "it is a pipe or a device"),
    ("a device without end for a style", arguments("--style", "/dev/zero"), "."),
    (
        "a file of the system that never ends for a sound",
        arguments(audio="/proc/kmsg"),
        "kmsg” (is empty|may not be read|There is no)",
    ),
    (
        "a .blend of no bytes",
        arguments("--blend", HERE + "/a.blend", files={"a.blend": b""}),
        "is empty: name another with --blend",
    ),
    (
        "a .blend of text",
        arguments("--blend", HERE + "/a.blend", files={"a.blend": b"text " * 500}),
        "cannot be opened",
    ),
    (
        "a .blend of random bytes",
        arguments("--blend", HERE + "/a.blend", files={"a.blend": os.urandom(9000)}),
        "cannot be opened",
    ),
    (
        "a .blend that is a header alone",
        arguments("--blend", HERE + "/a.blend", files={"a.blend": b"BLENDER-v402"}),
        "cannot be opened",
    ),
    (
        "a .blend of compressed rubbish",
        arguments("--blend", HERE + "/a.blend", files={"a.blend": gzip.compress(b"text " * 500)}),
        "cannot be opened",
    ),
    (
        "a .blend of Blender 9.9",
        arguments(
            "--blend", HERE + "/a.blend", files={"a.blend": b"BLENDER17-01v0909" + b"\0" * 999}
        ),
        "cannot be opened|newer",
    ),
    (
        "a picture called .blend",
        arguments(
            "--blend", HERE + "/a.blend", files={"a.blend": b"\x89PNG\r\n\x1a\n" + b"\0" * 999}
        ),
        "cannot be opened",
    ),
    ("a .blend whose header is damaged", _flip_header, "cannot be opened"),
    ("a .blend cut after a tenth", _cut(0.1), "cannot be opened"),
    ("a .blend cut in half", _cut(0.5), "cannot be opened"),
    ("a .blend cut before its end", _cut(0.98), "cannot be opened"),
    ("a .blend baked onto itself", _blend(name="out/shot.blend"), "would be replaced|force"),
    ("a head nobody has", arguments("--head", "Nobody"), "no object “Nobody”"),
    ("a head without a name", arguments("--head", ""), "no object"),
    ("a camera for a head", _blend(_camera, more=("--head", "Camera")), "Camera"),
    ("a cube for a head", _blend(_plain_mesh, more=("--head", "Cube")), "Cube"),
    ("a head that lost its shape keys", _blend(_no_keys, more=("--head", "Bald")), "Bald|keys"),
    (
        "a script that starts with the file",
        _blend(_script, more=("--head", "Nobody")),
        "no object “Nobody”",
    ),
    ("a frame rate of 3·10⁸", _blend(_fast), "has 3e.08 frames per second: set 1 to 1000"),
    (
        "a job file with a number of 5000 digits",
        _jobs("[jobs.a]\naudio = 'a.wav'\ntakes = " + "9" * 5000),
        "cannot be read as TOML",
    ),
    (
        "a job file with a rate of 4000 digits",
        _jobs("[jobs.a]\naudio = 'a.wav'\nfps = " + "9" * 4000),
        "is not a number from 1 to 240",
    ),
    (
        "a job file with U+0000 in a path",
        _jobs('[jobs.a]\naudio = "a\\u0000/b.wav"'),
        "U\\+0000, which no name can have",
    ),
    (
        "a job file with a name of 5000 letters",
        _jobs(f"[jobs.{'a' * 5000}]\naudio = 'a.wav'"),
        "which cannot have this name",
    ),
    (
        "a page of the user's own where the report belongs",
        _own_page,
        "batch.html” is a file of yours",
    ),
    (
        "a driver that writes a file",
        _blend(_driver, more=("--head", "Nobody")),
        "no object “Nobody”",
    ),
]

_SOUNDS = [
    ("text for a sound", arguments(audio=HERE + "/a.wav", files={"a.wav": b"text " * 99}), "sound")
]


# ---- presets and what an installation left


def load_preset(case: Case):
    with mock.patch.object(mapping_table, "presets", lambda: NamedFiles(case.folder)):
        return mapping_table.preset(case.given)


def save_preset(case: Case):
    with mock.patch.object(mapping_table, "presets", lambda: NamedFiles(case.folder / "mappings")):
        return mapping_table.presets().write(case.given, mapping.Mapping("Mine").to_json())


@maker
def preset(folder, content, name="Mine"):
    if content is not None:
        (folder / "Mine.json").write_bytes(content)
    return name


def _in_the_way(folder):
    (folder / "mappings").write_text("a file")
    return "Mine"


def _folder_preset(folder):
    (folder / "mappings" / "Mine.json").mkdir(parents=True)
    return "Mine"


_PRESETS = [
    ("a preset that is gone", preset(None), load_preset, "BadHead", "Mine"),
    ("a preset of no bytes", preset(b""), load_preset, "BadHead", "it is empty"),
    ("a preset that is not UTF-8", preset(b"\xff\xfe{}"), load_preset, "BadHead", "Mine"),
    ("a preset cut in half", preset(b'{"thunder_mapping": 1, "na'), load_preset, "BadHead", "JSON"),
    ("a preset of something else", preset(b"[]"), load_preset, "BadHead", "mapping"),
    ("a preset without a name", lambda folder: "  .. ", save_preset, "BadRequest", "no name"),
    (
        "a preset name too long for any disk",
        lambda folder: "m" * 300,
        save_preset,
        "NoSpace",
        "cannot be written",
    ),
    (
        "a file in place of the folder of presets",
        _in_the_way,
        save_preset,
        "NoSpace",
        "cannot be written",
    ),
    ("a folder in place of a preset", _folder_preset, save_preset, "NoSpace", "cannot be written"),
]
_NAMES = ["../../outside", "C:\\windows", "a\nb", "con/../x", "Größe", "a:b*c?"]


def stays_inside(case: Case, path) -> str | None:
    inside = (case.folder / "mappings").resolve()
    return (
        None
        if path.resolve().parent == inside and path.is_file()
        else f"the preset was written to {path}"
    )


def look(case: Case):
    """What the preferences say of an environment; it must be one of the states they know."""
    return install.state(str(case.given))


@maker
def environment(folder, stamp):
    (folder / "engine" / "bin").mkdir(parents=True)
    if stamp is not None:
        (folder / "engine" / "thunder-engine.json").write_bytes(stamp)
    return folder / "engine"


def is_known(case: Case, state) -> str | None:
    return (
        None if state.kind in ("UNFINISHED", "BROKEN") and state.text else f"the state is {state}"
    )


_STAMPS = [
    ("no stamp", None),
    ("a stamp of no bytes", b""),
    ("a stamp of a list", b"[]"),
    ("a stamp of a number", b"5"),
    ("a stamp that is not UTF-8", b"\xff\xfe"),
    ("a stamp of 10000 brackets", b"[" * 10000),
    ("a stamp without its Python", b"{}"),
    ("a stamp whose lock is a list", json.dumps({"lock": []}).encode()),
]

ROWS = [
    *(
        Fault("arguments", broken, make, run, code=2, says=_ERROR)
        for broken, make in _WRONG_OPTIONS
    ),
    *(
        Fault("bake.py", broken, make, run, code=1, says=f"bake.py: .*({says})")
        for broken, make, says in _REFUSED
    ),
    *(
        Fault("bake.py", broken, make, run, code=1, says=f"bake.py: .*({says})", slow=True)
        for broken, make, says in _SOUNDS
    ),
    *(
        Fault("presets", broken, make, act, kind, says, leaves=("mappings",))
        for broken, make, act, kind, says in _PRESETS
    ),
    *(
        Fault(
            "presets",
            f"a name like {name!r}",
            lambda folder, name=name: name,
            save_preset,
            check=stays_inside,
            leaves=("mappings", "mappings/*.json"),
        )
        for name in _NAMES
    ),
    *(
        Fault("installation seen by Blender", broken, environment(stamp), look, check=is_known)
        for broken, stamp in _STAMPS
    ),
]
