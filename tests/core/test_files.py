# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that people keep are written completely or not at all, whichever call of the system
fails."""

import builtins
import contextlib
import errno
import json
import os
import re
import subprocess
import sys
import time

import pytest

from thunder_core import files, named_files, records
from thunder_core.errors import BadRequest, NoSpace
from thunder_core.files import files_written, hash_of, MANIFEST, Transaction
from thunder_core.named_files import NamedFiles

CALLS = [
    (os, name)
    for name in (
        "open",
        "replace",
        "rename",
        "remove",
        "fsync",
        "mkdir",
        "rmdir",
        "chmod",
        "listdir",
    )
]
OLD = {
    "shot.blend": b"old scene",
    "report.json": b"old report",
    "take_01.npz": b"1",
    "take_02.npz": b"2",
}
NEW = {
    "shot.blend": b"new scene",
    "report.json": b"new report",
    "take_01.npz": b"one",
    "extra.txt": b"more",
}
TAKES = re.compile(r"take_\d+\.npz")


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


class Killed(BaseException):
    """What a process that is killed looks like from inside: no call of the system succeeds any
    more."""


def write(folder, contents, **options):
    transaction = files.Transaction(str(folder), **options)
    transaction.check(contents)
    with transaction:
        for name, content in contents.items():
            transaction.write(name, content)
        transaction.remove(TAKES)
    return transaction


def content_of(folder):
    """Names and contents of the files in a folder, but for the manifest; what is hidden is listed
    too."""
    return {
        entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.name != files.MANIFEST
    }


def failing(patch, number, error, until_end):
    """Let the number-th call of the system fail (from 1), or all calls from it on; returns the list
    of the calls."""
    calls = []

    def wrapped(function, name):
        def call(*arguments, **options):
            calls.append(name)
            if len(calls) == number or (until_end and len(calls) > number):
                raise error() if until_end else error(28, "No space left on device")
            return function(*arguments, **options)

        return call

    for module, name in CALLS:
        patch.setattr(module, name, wrapped(getattr(module, name), name))
    patch.setattr(builtins, "open", wrapped(builtins.open, "open file"))
    return calls


@pytest.fixture
def count(tmp_path, monkeypatch):
    """How many calls of the system replacing OLD by NEW takes."""
    write(tmp_path / "counted", OLD)
    with monkeypatch.context() as patch:
        calls = failing(patch, 0, OSError, False)
        write(tmp_path / "counted", NEW)
    assert len(calls) > 40
    return len(calls)


def test_when_any_call_fails_all_of_the_old_or_all_of_the_new_is_there(
    tmp_path, monkeypatch, count
):
    outcomes = set()
    for number in range(1, count + 1):
        folder = tmp_path / str(number)
        write(folder, OLD)
        with monkeypatch.context() as patch:
            failing(patch, number, OSError, False)
            try:
                write(folder, NEW)
                failed = False
            except NoSpace as error:
                failed = True
                assert "No space left on device" in str(error) and "\n" not in str(error)
        left = content_of(folder)
        parts = [name for name in left if files.is_part(name)]
        assert {name: left[name] for name in left if name not in parts} == (
            OLD if failed else NEW
        ), number
        outcomes.add(failed)
        write(folder, NEW)
        assert content_of(folder).items() >= NEW.items()
    assert outcomes == {True, False}


def test_after_a_death_at_any_call_the_next_run_restores_one_state(tmp_path, monkeypatch, count):
    states = []
    for number in range(1, count + 1):
        folder = tmp_path / str(number)
        write(folder, OLD)
        with monkeypatch.context() as patch:
            failing(patch, number, Killed, True)
            with contextlib.suppress(Killed):
                write(folder, NEW)
        for name in filter(files.is_part, os.listdir(folder)):
            os.utime(folder / name, (0, 0))
        files.Transaction(str(folder)).check(["other.txt"])
        left = content_of(folder)
        assert left in (OLD, NEW), (number, left)
        states.append(left == NEW)
        write(folder, NEW)
        assert content_of(folder) == NEW
    assert states[0] is False and states[-1] is True and states == sorted(states)


@pytest.mark.parametrize("notes", [False, True])
def test_a_new_folder_that_cannot_be_filled_is_removed_again_but_not_somebodys_files(
    tmp_path, notes
):
    with (
        pytest.raises(NoSpace, match="disk is full"),
        files.Transaction(str(tmp_path / "a" / "b")) as transaction,
    ):
        transaction.write("one.txt", "1")
        if notes:
            (tmp_path / "a" / "b" / "notes.txt").write_text("mine")
        raise OSError(28, "the disk is full")
    assert [path.name for path in tmp_path.rglob("*.*")] == ["notes.txt"] * notes
    assert notes or not list(tmp_path.iterdir())


def test_a_file_that_came_out_empty_is_a_failure_and_one_that_appears_meanwhile_is_kept(tmp_path):
    with pytest.raises(NoSpace, match="“report.json” is empty"):
        write(tmp_path, NEW | {"report.json": b""})
    transaction = files.Transaction(str(tmp_path))
    transaction.check(NEW)
    (tmp_path / "shot.blend").write_bytes(b"mine")
    with pytest.raises(BadRequest), transaction:
        transaction.write("shot.blend", NEW["shot.blend"])
    assert content_of(tmp_path) == {"shot.blend": b"mine"}


@pytest.mark.parametrize("name", ["shot.blend", "report.json", "take_01.npz", files.MANIFEST])
def test_a_file_of_the_animator_is_refused_and_with_force_kept(tmp_path, name):
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(BadRequest, match="--force"):
        write(tmp_path, NEW)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {name: b"mine"}
    transaction = write(tmp_path, NEW, force=True)
    assert transaction.kept == {name: f"{name}1"}
    assert content_of(tmp_path) == {**NEW, f"{name}1": b"mine"}
    (tmp_path / "shot.blend").write_bytes(b"worked on")
    with pytest.raises(BadRequest, match="has changed since"):
        write(tmp_path, NEW)
    write(tmp_path, NEW, force=True)
    assert (
        b"worked on" in content_of(tmp_path).values() and b"mine" in content_of(tmp_path).values()
    )


@pytest.mark.parametrize("left", [0, 5, 30, 100])
def test_with_a_damaged_list_every_file_counts_as_the_animators(tmp_path, left):
    write(tmp_path, OLD)
    path = tmp_path / files.MANIFEST
    path.write_bytes(path.read_bytes()[:left])
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    assert files.files_written(str(tmp_path)) == {}
    with pytest.raises(BadRequest, match="is a file of yours"):
        write(tmp_path, NEW)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before
    replaced = [name for name in (*OLD, files.MANIFEST) if name in NEW or name == files.MANIFEST]
    assert write(tmp_path, NEW, force=True).kept == {name: f"{name}1" for name in replaced}


def test_only_unchanged_files_of_an_earlier_run_are_removed(tmp_path):
    write(tmp_path, OLD | {"take_03.npz": b"3"})
    (tmp_path / "take_03.npz").write_bytes(b"changed")
    (tmp_path / "take_05.npz").write_bytes(b"foreign")
    write(tmp_path, {"take_01.npz": b"one"})
    assert content_of(tmp_path) == {
        "shot.blend": b"old scene",
        "report.json": b"old report",
        "take_01.npz": b"one",
        "take_03.npz": b"changed",
        "take_05.npz": b"foreign",
    }
    write(tmp_path, {"shot.blend": b"again"})  # still known as ours
    assert content_of(tmp_path)["shot.blend"] == b"again"


@pytest.mark.parametrize("kind", ["itself", "symbolic link", "hard link", "relative"])
def test_an_input_is_not_replaced_however_it_is_named(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {"shot.blend": b"scene"})  # ours and unchanged, and yet an input
    os.symlink("shot.blend", "symbolic link")
    os.link("shot.blend", "hard link")
    given = {
        "itself": str(tmp_path / "shot.blend"),
        "relative": "../" + tmp_path.name + "/./shot.blend",
    }.get(kind, kind)
    for more, advice in (({}, ""), ({"force": True}, ".*choose another folder$")):
        with pytest.raises(BadRequest, match="is read for this" + advice):
            write(tmp_path, {"shot.blend": b"new"}, inputs=[given], **more)
        assert (tmp_path / "shot.blend").read_bytes() == b"scene"
        assert not (tmp_path / "shot.blend1").exists()


def test_links_in_the_folder_are_not_followed(tmp_path):
    precious, out = tmp_path / "precious.txt", tmp_path / "out"
    out.mkdir()
    precious.write_text("precious")
    (out / "report.json").symlink_to(precious)
    with pytest.raises(BadRequest):
        write(out, NEW)
    write(out, NEW, force=True)
    assert precious.read_text() == "precious"
    assert not (out / "report.json").is_symlink() and (out / "report.json1").is_symlink()
    kinds = (precious, out, out / "report.json1", out / "none")
    assert [files.is_plain_file(str(path)) for path in kinds] == [True, False, False, False]


@pytest.mark.parametrize(
    "journal",
    ["junk", "", "[5]", '[["../precious", null, "x", null]]', '[["x", "../precious", null, "y"]]'],
)
def test_a_journal_that_is_none_of_ours_reaches_no_other_file(tmp_path, journal):
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "precious").write_text("precious")
    (out / "x").write_text("mine")
    (out / files.JOURNAL).write_text(journal)
    files.Transaction(str(out)).check(["one.txt"])
    assert (tmp_path / "precious").read_text() == "precious" and os.listdir(out) == ["x"]


@pytest.mark.parametrize("one", [True, False])
def test_old_leftovers_are_removed_and_not_what_another_process_is_writing(tmp_path, one):
    names = [".thunder_00.part.json", ".thunder_11.part", ".thunder_notes", ".thunder.txt"]
    for name in names:
        (tmp_path / name).write_text("")
    os.utime(tmp_path / names[0], (0, 0))
    if one:
        files.write_file(tmp_path / "report.json", "{}")
    else:
        write(tmp_path, OLD)
        write(tmp_path, {"report.json": b"{}"})
    assert set(os.listdir(tmp_path)) - {files.MANIFEST, *OLD} == set(names[1:])


@pytest.mark.parametrize("ahead", [3 * files.DAY, -3 * files.DAY])
def test_a_clock_that_is_wrong_removes_no_file_that_another_process_is_writing(
    tmp_path, monkeypatch, ahead
):
    real, part, old = time.time, tmp_path / ".thunder_11.part", tmp_path / ".thunder_00.part"
    part.write_text("")
    old.write_text("")
    os.utime(old, (0, 0))
    monkeypatch.setattr(time, "time", lambda: real() + ahead)
    files.write_file(tmp_path / "one.json", "{}")
    write(tmp_path, OLD)
    assert part.exists() and not old.exists()


class Scanner:
    """Refuses a call so many times, as Windows does for files that others read."""

    def __init__(self, monkeypatch, name, times):
        self.left, self.act = times, getattr(os, name)
        monkeypatch.setattr(os, name, self)

    def __call__(self, *paths):
        self.left -= 1
        if self.left >= 0:
            raise PermissionError(errno.EACCES, "another process uses it")
        return self.act(*paths)


@pytest.mark.parametrize("name", ["replace", "rename", "remove"])
def test_files_that_a_scanner_reads_on_windows_are_replaced_a_moment_later(
    tmp_path, monkeypatch, name
):
    write(tmp_path, OLD)
    (tmp_path / "one.json").write_text("old")
    monkeypatch.setattr(files, "_lock", lambda handle: True)
    monkeypatch.setattr(files.system_calls, "WINDOWS", True)
    scanner = Scanner(monkeypatch, name, 3)
    if name == "replace":
        files.write_file(tmp_path / "one.json", "new")
        assert (tmp_path / "one.json").read_text() == "new"
        scanner.left = 3
    write(tmp_path, dict.fromkeys(OLD, b"new"))
    assert scanner.left < 0 and all((tmp_path / each).read_bytes() == b"new" for each in OLD)
    assert not [each for each in os.listdir(tmp_path) if files.is_part(each)]


def test_files_that_stay_in_use_are_given_up_after_a_second_and_elsewhere_at_once(
    tmp_path, monkeypatch
):
    Scanner(monkeypatch, "replace", 10**6)
    for windows in (False, True):
        monkeypatch.setattr(files.system_calls, "WINDOWS", windows)
        began = time.monotonic()
        with pytest.raises(PermissionError):
            files.write_file(tmp_path / "one.json", "new")
        assert (time.monotonic() - began >= files.SCAN) == windows
    assert os.listdir(tmp_path) == []


def test_the_list_names_no_file_that_was_removed(tmp_path):
    write(tmp_path, OLD)
    os.remove(tmp_path / "shot.blend")
    write(tmp_path, {"take_01.npz": b"one"})
    assert files._listed(str(tmp_path)).keys() == {"report.json", "take_01.npz"}


def test_a_preset_is_read_as_utf_8_whatever_the_system_writes(tmp_path):
    NamedFiles(tmp_path).write("one", "für")
    command = "import sys; from thunder_core.named_files import NamedFiles as Files; "
    command += "print(ascii(Files(__import__('pathlib').Path(sys.argv[1])).read('one')))"
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    said = subprocess.run(
        [sys.executable, "-c", command, str(tmp_path)],
        env=os.environ | plain,
        capture_output=True,
        text=True,
    )
    assert said.stdout.strip() == r"'f\xfcr'", said.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="no other system has such names")
def test_a_preset_whose_name_is_not_utf_8_is_left_out(tmp_path):
    NamedFiles(tmp_path).write("one", "für")
    (tmp_path / os.fsdecode(b"Gr\x94\xe1e.json")).write_text("{}")
    assert NamedFiles(tmp_path).names() == ["one"]


def test_a_file_that_was_edited_after_a_crash_is_kept(tmp_path, monkeypatch):
    write(tmp_path, {"one.txt": b"old", "two.txt": b"old"})

    def killed(path, remove=os.remove):
        if os.path.basename(path) == files.JOURNAL:
            raise Killed
        remove(path)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(os, "remove", killed)
        patch.setattr(files.Transaction, "_undo", lambda *_: None)
        write(tmp_path, {"one.txt": b"new", "two.txt": b"new"})
    (tmp_path / "one.txt").write_bytes(b"edited")
    files.Transaction(str(tmp_path)).check(["three.txt"])
    assert content_of(tmp_path) == {"one.txt": b"edited", "one.txt1": b"old", "two.txt": b"old"}


@pytest.mark.skipif(os.name == "nt", reason="the folder itself is locked, which Windows cannot do")
def test_two_processes_do_not_write_into_one_folder_at_once(tmp_path, monkeypatch):
    import fcntl

    monkeypatch.setattr(files, "WAIT", 0.0)
    handle = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(NoSpace, match="Another process"):
        files.Transaction(str(tmp_path)).check(["one.txt"])
    os.close(handle)
    files.Transaction(str(tmp_path)).check(["one.txt"])


@pytest.mark.parametrize(
    "error, advice",
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "(No space left on device): free some space or choose another",
        ),
        # Blender, which says no more
        (
            RuntimeError("Error: Cannot open file."),
            "(Cannot open file): free some space or choose another",
        ),
        (PermissionError(errno.EACCES, "Permission denied"), "(Permission denied): choose another"),
    ],
)
def test_space_is_to_be_freed_where_that_may_help(error, advice):
    assert (
        str(files.write_error("/shots", error)) == f"The folder “/shots” cannot be written {advice}"
    )


def test_a_temporary_file_is_its_owner_s_alone(tmp_path):
    before = os.umask(0)
    try:
        path = files._new_part(str(tmp_path), ".json")
    finally:
        os.umask(before)
    assert os.stat(path).st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "letter, is_valid", [("\ud800", False), ("\udfff", False), ("\ud7ff", True)]
)
def test_lone_surrogates_are_no_text_at_either_end_of_their_range(letter, is_valid):
    assert files.is_utf8(f"a{letter}") is is_valid


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_gets_the_permissions_of_any_new_file(tmp_path, umask):
    before = os.umask(umask)
    try:
        files.write_file(tmp_path / "ours.json", "{}")
        (tmp_path / "any.json").write_text("{}")
    finally:
        os.umask(before)
    assert (tmp_path / "ours.json").stat().st_mode == (tmp_path / "any.json").stat().st_mode


def test_content_is_on_the_disk_before_it_gets_its_name_and_the_name_after_that(
    tmp_path, monkeypatch
):
    done, replace = [], os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: done.append(os.fstat(handle).st_ino))
    monkeypatch.setattr(os, "replace", lambda *paths: replace(*paths) or done.append("named"))
    files.write_file(tmp_path / "preset.json", "new")
    assert done == [(tmp_path / "preset.json").stat().st_ino, "named", tmp_path.stat().st_ino]


NAMES = {  # name of a preset → its file's
    "angry": "angry",
    " 50 % / slow? ": "50 %25 %2F slow%3F",
    ".hidden.": "%2Ehidden%2E",
    'a\x1fb\x7f<>:"\\|*': "a%1Fb%7F%3C%3E%3A%22%5C%7C%2A",
    "Con": "%43on",
    "com1.x": "%63om1.x",
    "console": "console",
    "lpt²": "%6Cpt²",
}


@pytest.mark.parametrize("name, stem", NAMES.items())
def test_a_preset_of_any_name_has_a_file_on_any_system_and_is_read_back(tmp_path, name, stem):
    presets = NamedFiles(tmp_path / "new" / "presets")
    assert presets.names() == []
    assert (
        presets.write(name, "text") == presets.path(name.strip()) == presets.folder / f"{stem}.json"
    )
    assert presets.names() == [name.strip()] and presets.read(name.strip()) == "text"


def test_presets_are_listed_in_order_with_those_of_earlier_versions(tmp_path):
    presets = NamedFiles(tmp_path)
    for name in ("b", "a", "B2"):
        presets.write(name, "")
    for older in ("100%.json", "%41.json", ".thunder_0.part.json", "notes.txt"):
        (tmp_path / older).write_text("older")
    assert presets.names() == ["%41", "100%", "a", "b", "B2"]
    assert presets.path("100%").name == "100%.json" and presets.read("100%") == "older"
    assert presets.write("100%", "new").name == "100%25.json" and presets.read("100%") == "new"
    assert presets.path("../100%").name == "%2E.%2F100%25.json"
    for name in ("", " . ", ".."):
        with pytest.raises(BadRequest, match="has no name"):
            presets.write(name, "")


@pytest.mark.parametrize(
    "number, reason", [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "not for you")]
)
def test_a_preset_that_cannot_be_written_says_why(tmp_path, monkeypatch, number, reason):
    def refused(path, text):
        raise OSError(number, "not for you")

    monkeypatch.setattr(named_files, "write_file", refused)
    with pytest.raises(NoSpace) as raised:
        NamedFiles(tmp_path).write("one", "")
    assert str(raised.value) == (
        f"The preset cannot be written to {tmp_path} ({reason}): free some space or check its "
        f"permissions"
    )


@pytest.mark.parametrize(
    "text, said",
    [
        ('{"v": 2, "a": "longer"}', "It has more than 20 letters: CHOOSE"),
        (
            '{"v": 2',
            "It is not readable as JSON (Expecting ',' delimiter: line 1 column 8 (char 7)): MEND",
        ),
        ("[" * 19, "It is not readable as JSON ("),
        ("[2]", "It is not one of Thunder's: CHOOSE"),
        ('{"w": 2}', "It is not one of Thunder's: CHOOSE"),
        ('{"v": true}', "It is of version true where 2 is known: update Thunder or MEND"),
        (
            '{"v": "fourteen"}',
            'It is of version "fourteen" where 2 is known: update Thunder or MEND',
        ),
    ],
)
def test_a_text_that_is_no_document_of_ours_says_what_to_do(text, said):
    given = "v", 2, 20, "It", ("CHOOSE", "MEND"), BadRequest
    with pytest.raises(BadRequest, match="^" + re.escape(said)):
        named_files.read_document(text, *given)


def test_texts_versions_and_frames_in_records_are_of_their_kind():
    texts = ["Ünïcode\ttab", "", "x" * 1000, "x" * 1001, "a\nb", "\x7f", "\ud800", 5, b"a"]
    assert [named_files.is_text(text) for text in texts] == [True] * 3 + [False] * 6
    known = [{}, *({"version": version} for version in (True, -1, "1", 1.0, 1, 2))]
    assert [records.is_readable(record) for record in known] == [True] * 6 + [False]
    assert records.frames("-12") == -12 and records.frames(2**31) == -records.frames(-(2**31))
    for value in (2**31 + 1, -(2**31) - 1, "x", None):
        with pytest.raises(records.UNREADABLE):
            records.frames(value)


@pytest.mark.parametrize(
    "error, reason",
    [
        (OSError(errno.EACCES, "Not for you. "), "Not for you"),
        (RuntimeError("Writing:\n Error: no room.\n"), "no room"),
        (RuntimeError(" "), "no reason was given"),
        (OSError("odd"), "odd"),
    ],
)
def test_the_reason_of_a_failure_is_the_last_line_that_is_said(error, reason):
    assert files.reason_of(error) == reason


def test_a_list_of_files_names_none_elsewhere(tmp_path):
    folder, other = tmp_path / "out", tmp_path / "notes.txt"
    other.write_text("mine")
    with Transaction(str(folder)) as written:
        written.write("a.txt", "ours")
    path = folder / MANIFEST
    listed = json.loads(path.read_text())
    (heading,) = listed
    listed[heading]["../notes.txt"] = hash_of(other)
    path.write_text(json.dumps(listed))
    assert [*files_written(str(folder))] == ["a.txt"]
    with Transaction(str(folder)) as written:
        written.remove(re.compile(".*"))
    assert other.read_text() == "mine" and not (folder / "a.txt").exists()
    path.write_text(json.dumps({heading: []}))
    assert files_written(str(folder)) == {}
