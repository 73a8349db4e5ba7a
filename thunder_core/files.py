# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are either complete or unchanged: written under a temporary name beside the target,
flushed to disk, renamed.

`write_file` and `part_of` are for one file, `Transaction` is for several in one folder that belong
together. Standard library only. Everything that writes a file an animator may keep goes through
here.
"""

import contextlib
import errno
import hashlib
import itertools
import json
import os
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, IO, NamedTuple

from . import system_calls
from .errors import BadRequest, is_full_disk, NoSpace

# temporary files have this prefix and PART_END, so that leftovers of a crash are recognised
PART = ".thunder_"
PART_END = ".part"
MANIFEST = "thunder-files.json"  # file in a Transaction's folder: the names and hashes of its files
# file in such a folder during a replacement, so that a crash can be undone
JOURNAL = PART + "journal" + PART_END
# seconds to wait for another process that writes into the same folder
WAIT = 30.0
SCAN = 1.0  # seconds for which others may read a file that gets another name on Windows
DAY = 86400.0  # seconds after which nobody writes a temporary file any more

_LARGEST_LIST = 2**26  # bytes of a list of files that are read: half a million names
_HEADING = "written by THUNDER"  # key of the table in MANIFEST
# what reading a file of ours may raise that is missing, or that somebody has changed
_NO_LIST = (FileNotFoundError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


def not_a_file(path: str | os.PathLike) -> str:
    """Why a path is not a regular file that can be opened, as the beginning of a sentence; "" if it
    is one.

    This includes files without content, which is how endless files of the system look.
    """
    name = os.fspath(path)
    reason = _reason(name)[1]
    return reason if not reason or reason.startswith("There") else f"“{name}” {reason}"


def open_input(path: str | os.PathLike, most: int | None = None, **options) -> IO:
    """Open a file that somebody named for reading; options of `open`. Raises OSError, also for what
    `not_a_file` finds, and for one of more than `most` bytes."""
    number, reason = _reason(os.fspath(path))
    # for which `open` has the system's words
    if reason and number not in (errno.ENOENT, errno.EACCES):
        raise OSError(number, f"it {reason}", os.fspath(path))
    if most is not None and not reason and os.path.getsize(path) > most:
        units = ((30, "GB"), (20, "MB"), (10, "kB"), (0, "B"))
        size = next(f"{most >> bits} {unit}" for bits, unit in units if most >> bits)
        raise OSError(errno.EFBIG, f"it is larger than {size}", os.fspath(path))
    return open(path, **{"mode": "rb", **options})


def read_bytes(path: str | os.PathLike, most: int) -> bytes:
    """All of a plain file of at most so many bytes. Raises OSError, for a larger one too."""
    with open_input(path, most) as file:
        # as much as there is: a file reserves what is asked for
        return file.read(min(os.fstat(file.fileno()).st_size, most))


def _reason(name: str) -> tuple[int, str]:
    """See `not_a_file`, with the number of the error; (0, "") for a file."""
    try:
        about = os.stat(name)
        if stat.S_ISDIR(about.st_mode):
            return errno.EISDIR, "is a folder, not a file"
        if not stat.S_ISREG(about.st_mode):
            return errno.EINVAL, "is a pipe or a device, not a file"
        os.close(os.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)))
    except PermissionError:
        return errno.EACCES, "may not be read"
    except (OSError, ValueError):
        return errno.ENOENT, f"There is no file “{name}”"
    return (0, "") if about.st_size else (errno.ENODATA, "is empty")


def is_utf8(text: str) -> bool:
    """Whether a name from the system is valid: Python turns other bytes into lone surrogates, which
    few programs can store."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


# For str.translate: control characters, which would command a terminal, written as \x..; line
# breaks and tabs stay.
VISIBLE = {number: f"\\x{number:02x}" for number in (*range(9), *range(11, 32), *range(127, 160))}


def printable(text: str) -> str:
    """A name from the system with the bytes that are not UTF-8 written as \\x.."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def write_file(
    path: str | os.PathLike, content: bytes | str | Callable[[BinaryIO], object]
) -> None:
    """Write a file so that `path` holds either all of the new content or what it held before.

    content: bytes, text (written as UTF-8), or a function that writes to the binary file it is
    given. Raises OSError, and whatever `content` raises; nothing is left behind then.
    """
    with part_of(path) as part:
        _fill(part, content)


@contextlib.contextmanager
def part_of(path: str | os.PathLike) -> Iterator[str]:
    """The path of an empty temporary file beside `path`, for writers that need a path; it replaces
    `path` at the end.

    The file is new and has a random name, so no symbolic link is followed. It keeps the suffix of
    `path`, since some writers (Blender's exporters, numpy) add one. If the block raises, the
    temporary file is removed and `path` is as it was.
    """
    path = os.fspath(path)
    folder, name = os.path.split(os.path.abspath(path))
    remove_leftovers(folder)
    part = _new_part(folder, os.path.splitext(name)[1])
    try:
        yield part
        _finish(part, path)
        _patiently(os.replace, part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(part)
        raise
    # the file has its name; that the name may be lost in a power cut is no failure
    with contextlib.suppress(OSError):
        sync(folder)


def sync(path: str) -> None:
    """Flush a file or folder to the disk. Raises OSError for a file; a folder is flushed where the
    system can do that."""
    is_folder = os.path.isdir(path)
    if is_folder and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError:
        if not is_folder:
            raise
    finally:
        os.close(handle)


def is_part(name: str) -> bool:
    """Whether a file name is one of our temporary files'."""
    return name.startswith(PART) and PART_END in name


def hash_of(path: str | os.PathLike) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        left = os.fstat(file.fileno()).st_size  # files of the system that never end have no size
        while left > 0 and (block := file.read(min(left, 1 << 20))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def hashes_of(paths: Iterable[str]) -> dict[str, str]:
    """The hash of each of these paths that is a file and can be read."""
    hashes = {}
    for path in paths:
        if not not_a_file(path):
            with contextlib.suppress(OSError):  # reported where the file is used
                hashes[path] = hash_of(path)
    return hashes


def check_unchanged(hashes: Mapping[str, str]) -> None:
    """Raise BadRequest if a file has changed since it was read: what was made of it would pass for
    made of the new one."""
    for path, digest in hashes.items():
        if hashes_of([path]) != {path: digest}:
            raise BadRequest(
                f"“{path}” was changed, replaced or removed while it was baked: bake again"
            )


def files_written(folder: str) -> dict[str, str]:
    """Names and hashes of the files that a `Transaction` wrote into a folder, also of those that
    are gone; empty for none."""
    try:
        return _listed(folder) or {}
    except OSError:
        return {}


def remove_leftovers(folder: str) -> None:
    """Remove the temporary files in a folder that are older than a day by the clock of their disk,
    which need not be ours; not while a transaction's journal needs them."""
    with contextlib.suppress(OSError):
        names = os.listdir(folder)
        if JOURNAL in names or not any(map(is_part, names)):
            return
        made_now = _new_part(folder, "")
        try:
            now = os.lstat(made_now).st_mtime
        finally:
            _patiently(os.remove, made_now)
        for name in filter(is_part, names):
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                if _is_mine(path) and now - os.lstat(path).st_mtime >= DAY:
                    os.remove(path)


def check_writable(folder: str) -> None:
    """Raise NoSpace if no files can be written into a folder, which need not exist yet. Leaves
    nothing behind."""
    folder = os.path.abspath(folder)
    try:
        # in the nearest folder that exists, be it as a broken link
        present = next(filter(os.path.lexists, _upwards(folder)), folder)
        with tempfile.TemporaryFile(dir=present) as file:
            file.write(bytes(1 << 16))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise write_error(folder, error) from error


class Transaction:
    """Files in one folder that are replaced all together or not at all.

    `with Transaction(folder) as files:` write each file to the path that `files.part(name)` gives;
    they get their names when the block ends without an error. Any failure until then, in the block
    or after it, leaves every file of the folder unchanged. A process that is killed while names are
    being exchanged leaves a journal, and the next transaction in the folder first restores the
    earlier files. The folder is locked during the block.

    Files of the animator are never lost: only files that an earlier transaction wrote, and that
    have not changed since, are replaced. MANIFEST in the folder lists them. Any other file is
    refused; with `force` it is kept under a new name (shot.blend as shot.blend1).

    inputs: paths of files that are read for the output; they are never replaced, even with `force`
    or if an earlier transaction wrote them.
    kept: new name of each file that `force` replaced. Known after the block.
    """

    def __init__(self, folder: str, force: bool = False, inputs: Iterable[str] = ()):
        if not folder.strip():
            raise BadRequest("The folder to write into has no name: name one")
        self.folder, self.force, self.inputs = os.path.abspath(folder), force, list(inputs)
        self.kept: dict[str, str] = {}
        self._parts: dict[str, str] = {}
        self._removals: list[str] = []
        self._made: list[str] = []
        self._lock = contextlib.ExitStack()

    def check(self, names: Iterable[str]) -> None:
        """Raise now, before long work, what would stop these files from being written: BadRequest
        or NoSpace."""
        check_writable(self.folder)
        try:
            if os.path.isdir(self.folder):
                with self._locked():
                    self._recover()
            listed = _listed(self.folder)
            for name in (*names, MANIFEST):
                self._refuse(name, listed)
        except OSError as error:
            raise write_error(self.folder, error) from error

    def part(self, name: str) -> str:
        """Path of an empty file to be written to; it will be called `name`."""
        self._parts[name] = _new_part(self.folder, os.path.splitext(name)[1])
        return self._parts[name]

    def write(self, name: str, content: bytes | str | Callable[[BinaryIO], object]) -> None:
        """Write a file as write_file does."""
        _fill(self.part(name), content)

    def remove(self, pattern: re.Pattern) -> None:
        """Remove files of an earlier transaction whose names match and that are not written now, if
        they are unchanged."""
        listed = _listed(self.folder)
        self._removals += [
            name
            for name in listed or ()
            if pattern.fullmatch(name) and name not in self._parts and self._is_ours(name, listed)
        ]

    def __enter__(self) -> "Transaction":
        try:
            self._made = [path for path in _upwards(self.folder) if not os.path.lexists(path)]
            os.makedirs(self.folder, exist_ok=True)
            self._lock.enter_context(self._locked())
            self._recover()
        except BaseException as error:
            self._clean()
            if isinstance(error, OSError):
                raise write_error(self.folder, error) from error
            raise
        return self

    def __exit__(self, kind, error, trace) -> None:
        try:
            if error is None:
                self._commit()
                self._made = []
        # Saving in Blender raises RuntimeError where it cannot write.
        except (OSError, RuntimeError) as late:
            error = late
        finally:
            self._clean()
        if isinstance(error, (OSError, RuntimeError)):
            raise write_error(self.folder, error) from error

    def _clean(self) -> None:
        """Remove temporary files, and folders that were made for files which were not written;
        unlock the folder."""
        self._lock.close()
        for part in self._parts.values():
            with contextlib.suppress(OSError):
                _patiently(os.remove, part)
        for folder in self._made:
            with contextlib.suppress(OSError):
                os.rmdir(folder)

    # ---- files that may be replaced

    def _refuse(self, name: str, listed: dict[str, str] | None) -> None:
        """Raise BadRequest if a file must not be replaced."""
        path = self._path(name)
        if not os.path.lexists(path):
            return
        if any(_is_same(path, given) for given in self.inputs):
            raise BadRequest(
                f"“{path}” is read for this and would be replaced: choose another folder"
            )
        if not self.force and not self._is_ours(name, listed):
            raise BadRequest(
                f"“{path}” is a file of yours or has changed since it was written: choose another "
                f"folder, or use --force to keep it as “{self._free_name(name)}”"
            )

    def _is_ours(self, name: str, listed: dict[str, str] | None) -> bool:
        """Whether a file is unchanged since we wrote it. listed: by MANIFEST, None without
        one."""
        path = self._path(name)
        if listed is None or not is_plain_file(path):
            return False
        return name == MANIFEST or listed.get(name) == hash_of(path)

    # ---- replacing

    def _commit(self) -> None:
        """Exchange the files, with a journal until all of them have their names."""
        listed = _listed(self.folder)
        hashes = {
            name: digest
            for name, digest in (listed or {}).items()
            if name not in self._removals and os.path.lexists(self._path(name))
        }
        for name, part in self._parts.items():
            if not os.path.getsize(part):
                # as some writers leave it on a full disk without an error
                raise OSError(f"“{name}” is empty")
            _finish(part, self._path(name))
            hashes[name] = hash_of(part)
        self.write(MANIFEST, json.dumps({_HEADING: hashes}, indent=1, ensure_ascii=False))
        manifest = self._parts[MANIFEST]
        _finish(manifest, self._path(MANIFEST))
        new_hashes = hashes | {MANIFEST: hash_of(manifest)}
        moves = [
            _Rename(
                name, os.path.basename(part), self._place_for_old(name, listed), new_hashes[name]
            )
            for name, part in self._parts.items()
        ]
        moves += [_Rename(name, None, _part_name(), None) for name in self._removals]
        try:
            write_file(self._path(JOURNAL), json.dumps(moves))
            for move in moves:
                if move.old:
                    _patiently(os.rename, self._path(move.name), self._path(move.old))
                if move.part:
                    _patiently(os.replace, self._path(move.part), self._path(move.name))
            sync(self.folder)
            _patiently(
                os.remove, self._path(JOURNAL)
            )  # from here on the new files are the ones that stay
        except BaseException:
            self.kept = {}
            self._undo(moves)
            raise
        # removed at the end; not all temporary files: another process may write one of its own
        olds = [move.old for move in moves if move.old is not None and is_part(move.old)]
        self._parts |= {old: self._path(old) for old in olds}
        with contextlib.suppress(OSError):
            sync(self.folder)

    def _place_for_old(self, name: str, listed: dict[str, str] | None) -> str | None:
        """Name for a file that will be replaced: a temporary one for a file of ours; None if there
        is no file."""
        self._refuse(name, listed)
        if not os.path.lexists(self._path(name)):
            return None
        if self._is_ours(name, listed):
            return _part_name()
        self.kept[name] = self._free_name(name)
        return self.kept[name]

    def _recover(self) -> None:
        """Restore the earlier files if another process died while it replaced them, and remove old
        temporary files."""
        path = self._path(JOURNAL)
        if os.path.lexists(path):
            if not _is_mine(path):
                raise OSError(errno.EPERM, f"“{JOURNAL}” in it is not a file of yours")
            moves = []
            with contextlib.suppress(*_NO_LIST):
                rows = _read_json(path)
                if all(
                    os.path.basename(name or "") == (name or "") for row in rows for name in row[:3]
                ):
                    moves = [_Rename(*row) for row in rows]
            self._undo(moves)
        remove_leftovers(self.folder)

    def _undo(self, moves: "list[_Rename]") -> None:
        """Restore the earlier files, whatever has been replaced of them. May be repeated."""
        for move in moves:
            path, part, old = (self._path(name or "") for name in move[:3])
            if move.old and os.path.lexists(old):
                if not os.path.lexists(path) or _has_hash(path, move.sha256):
                    _patiently(os.replace, old, path)
                elif is_part(move.old):  # somebody has written the file since: both stay
                    _patiently(os.rename, old, self._path(self._free_name(move.name)))
            elif not move.old and not os.path.lexists(part) and _has_hash(path, move.sha256):
                _patiently(os.remove, path)
            if move.part and os.path.lexists(part):
                _patiently(os.remove, part)
        sync(self.folder)
        with contextlib.suppress(FileNotFoundError):
            _patiently(os.remove, self._path(JOURNAL))

    # ---- the folder

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _free_name(self, name: str) -> str:
        """The first of name1, name2 … that no file has: Blender, too, keeps shot.blend as
        shot.blend1."""
        names = (f"{name}{number}" for number in itertools.count(1))
        return next(free for free in names if not os.path.lexists(self._path(free)))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the folder: wait until no other process writes into it, and keep others waiting.
        Raises NoSpace."""
        # Windows locks no folders
        path = self._path(PART + "lock" + PART_END) if os.name == "nt" else self.folder
        handle = os.open(path, os.O_CREAT | os.O_RDWR if os.name == "nt" else os.O_RDONLY)
        try:
            end = time.monotonic() + WAIT
            while not _lock(handle):
                if time.monotonic() > end:
                    raise NoSpace(
                        f"Another process is writing into the folder “{self.folder}”: wait for it "
                        f"or choose another"
                    )
                time.sleep(0.05)
            yield
        finally:
            os.close(handle)
            if path != self.folder:
                with contextlib.suppress(OSError):  # another process waits for it
                    os.remove(path)


class _Rename(NamedTuple):
    """One file's change in a transaction. All are names in its folder, never paths.

    part: the temporary file that becomes the file; None if the file is only removed.  old: new name
    of the existing file; None if there is none.  sha256: of the new content.
    """

    name: str
    part: str | None
    old: str | None
    sha256: str | None


def _listed(folder: str) -> dict[str, str] | None:
    """The list in a folder's MANIFEST: hashes by name; None where there is none, or it is damaged.
    Raises OSError."""
    path = os.path.join(folder, MANIFEST)
    with contextlib.suppress(*_NO_LIST):
        listed = _read_json(path)[_HEADING]
        # names that lead elsewhere are none of ours
        return {
            name: str(digest) for name, digest in listed.items() if os.path.basename(name) == name
        }
    return None


def _read_json(path: str) -> Any:
    """What a JSON file of ours in such a folder holds. Raises OSError, ValueError for a damaged one
    or what is no file."""
    number, reason = _reason(path)
    if reason and number not in (errno.ENOENT, errno.EACCES):
        raise ValueError(reason)
    with open(path, "rb") as file:
        return json.loads(file.read(min(os.fstat(file.fileno()).st_size, _LARGEST_LIST)))


def _part_name(suffix: str = "") -> str:
    """A new name for a temporary file."""
    return f"{PART}{secrets.token_hex(8)}{PART_END}{suffix}"


def _new_part(folder: str, suffix: str) -> str:
    """The path of a new, empty temporary file. Raises OSError."""
    path = os.path.join(folder, _part_name(suffix))
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0), 0o600))
    return path


def _patiently(act: Callable[..., object], *paths: str) -> None:
    """Rename or remove a file. Windows refuses that while a virus scanner or an indexer reads it,
    which takes a moment: there it is tried again for SCAN seconds. Raises OSError."""
    end = time.monotonic() + SCAN
    while True:
        try:
            act(*paths)
            return
        except PermissionError:
            if not system_calls.WINDOWS or time.monotonic() >= end:
                raise
            time.sleep(0.02)


def _fill(path: str, content: bytes | str | Callable[[BinaryIO], object]) -> None:
    """Write the content into an existing file."""
    with open(path, "r+b") as file:
        if callable(content):
            content(file)
        else:
            # A name that is not UTF-8 becomes \udc.., which is what JSON writes for it.
            file.write(
                content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
            )


def _finish(part: str, path: str) -> None:
    """Flush a temporary file to the disk, and give it the permissions of the file at `path`, or
    those that a new file gets there."""
    sync(part)
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        umask = os.umask(0)
        os.umask(umask)
        mode = 0o666 & ~umask
    os.chmod(part, mode)


def _upwards(folder: str) -> list[str]:
    """A folder, and those that it lies in, up to the root."""
    return [folder, *map(str, Path(folder).parents)]


def _is_same(path: str, other_path: str) -> bool:
    """Whether two paths mean one file, whatever links or spelling they use."""
    try:
        return os.path.samefile(path, other_path)
    except OSError:
        return os.path.normcase(os.path.realpath(path)) == os.path.normcase(
            os.path.realpath(other_path)
        )


def is_plain_file(path: str) -> bool:
    """Whether a path is a regular file, not a link to one."""
    return os.path.isfile(path) and not os.path.islink(path)


def _has_hash(path: str, digest: str | None) -> bool:
    return digest is not None and is_plain_file(path) and hash_of(path) == digest


def _is_mine(path: str) -> bool:
    """Whether a path is a regular file (no link) that belongs to this user."""
    status = os.lstat(path)
    return stat.S_ISREG(status.st_mode) and system_calls.is_mine(status)


def _lock(handle: int) -> bool:
    """Lock a file for this process until it is closed; False while another process has it. True,
    too, on disks without locks."""
    try:
        system_calls.lock(handle)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)
    return True


def write_error(folder: str, error: Exception) -> NoSpace:
    """The error for a folder that cannot be written."""
    advice = (
        "free some space or choose another"
        if is_full_disk(error) or not isinstance(error, OSError)
        else "choose another"
    )
    return NoSpace(f"The folder “{folder}” cannot be written ({reason_of(error)}): {advice}")


def reason_of(error: Exception) -> str:
    """Why something failed, for a sentence: what the system says, else the last line of what
    Blender or an exporter says."""
    lines = str(getattr(error, "strerror", None) or error).strip().splitlines() or [
        "no reason was given"
    ]
    return lines[-1].strip().removeprefix("Error: ").rstrip(". ")
