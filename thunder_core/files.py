# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are either complete or unchanged: written under a temporary name beside the target,
flushed to disk, renamed.

`write_file` and `part_of` are for one file, `Transaction` is for several in one folder that belong
together. Standard library only. Everything that writes a file an animator may keep goes through
here.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import re
import secrets
import stat
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import BinaryIO, IO

from . import system_calls
from .errors import BadRequest, is_full_disk, NoSpace

# temporary files have this prefix and PART_END, so that leftovers of a crash are recognised
PART = ".thunder_"
PART_END = ".part"
MANIFEST = "thunder-files.json"  # file in a Transaction's folder: the names and hashes of its files
# file in such a folder during a replacement, so that a crash can be undone
JOURNAL = PART + "journal" + PART_END
# seconds to wait for another process that is replacing files in the same folder; it takes well
# under one
WAIT = 30.0
PATIENCE = 10.0  # seconds that a drive may take to answer

_asked: dict[str, threading.Thread] = {}  # by path: those that wait for a drive that did not answer
_HEADING = "written by THUNDER"  # key of the table in MANIFEST
_BEGINNING = f'{{\n "{_HEADING}"'.encode()  # of MANIFEST
# used in names: process ids are per machine
_MACHINE = f"{zlib.crc32(platform.node().encode('utf-8', 'replace')):08x}"
# default on Windows
_LINK_ITSELF = {"follow_symlinks": False} if os.link in os.supports_follow_symlinks else {}
# what reading a MANIFEST may raise that is no list
_NO_LIST = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
_PART_NAME = re.compile(
    re.escape(PART) + r"([0-9a-f]{8})-(\d{1,10})-[0-9a-f]{16}" + re.escape(PART_END) + r".*"
)


def not_a_file(path: str | os.PathLike) -> str:
    """Why a path is not a regular file that can be opened, as the beginning of a sentence; "" if it
    is one.

    This includes files without content, which is how endless files of the system look, and files on
    a drive that does not answer.
    """
    name = os.fspath(path)
    reason = _reason(name)[1]
    return reason if not reason or reason.startswith("There") else f"“{name}” {reason}"


def open_input(path: str | os.PathLike, **options) -> IO:
    """Open a file that somebody named for reading; options of `open`. Raises OSError, also for what
    `not_a_file` finds."""
    number, reason = _reason(os.fspath(path))
    # for which `open` has the system's words
    if reason and number not in (errno.ENOENT, errno.EACCES):
        raise OSError(number, f"it {reason}", os.fspath(path))
    return open(path, **{"mode": "rb", **options})


def _reason(name: str) -> tuple[int, str]:
    """See `not_a_file`, with the number of the error; (0, "") for a file. A drive that hangs keeps
    one thread for each file asked for."""
    answers: list[tuple[int, str]] = []
    thread = _asked.get(name)
    if thread is None or not thread.is_alive():
        _asked.pop(name, None)
        thread = threading.Thread(target=lambda: answers.append(_reason_at_once(name)), daemon=True)
        thread.start()
        thread.join(PATIENCE)
    if answers:
        return answers[0]
    _asked[name] = thread
    return errno.ETIMEDOUT, "is on a drive that does not answer"


def _reason_at_once(name: str) -> tuple[int, str]:
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
    # an interrupted transaction needs its kept files for the undo
    if not os.path.lexists(os.path.join(folder, JOURNAL)):
        remove_leftovers(folder)
    part = _new_part(folder, os.path.splitext(name)[1])
    try:
        yield part
        _finish(part, path)
        os.replace(part, path)
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


def files_written(folder: str) -> dict[str, str]:
    """Names and hashes of the files that a `Transaction` wrote into a folder, also of those that
    are gone; empty for none."""
    try:
        return _manifest(folder)
    except (OSError, *_NO_LIST):
        return {}


def is_damaged(folder: str) -> bool:
    """Whether the list of the files that a `Transaction` wrote into a folder is there, but blank or
    cut off."""
    path = os.path.join(folder, MANIFEST)
    try:
        _manifest(folder)
    except OSError:
        return False
    except _NO_LIST:
        if not os.path.isfile(path) or os.path.islink(path):
            return False
        with open(path, "rb") as file:
            start = file.read(len(_BEGINNING))
        return _is_blank(path) or start == _BEGINNING[: len(start)]
    return False


def remove_leftovers(folder: str) -> None:
    """Remove the temporary files in a folder whose process died on this machine; other files are
    left alone."""
    try:
        names = [name for name in os.listdir(folder) if name.startswith(PART)]
    except OSError:
        return
    for name in names:
        match = _PART_NAME.fullmatch(name)
        if match is None or match[1] != _MACHINE or system_calls.is_running(int(match[2])):
            continue
        with contextlib.suppress(OSError):
            path = os.path.join(folder, name)
            if _is_mine(path):
                os.remove(path)


def check_writable(folder: str) -> None:
    """Raise NoSpace if no files can be written into a folder, which need not exist yet. Leaves
    nothing behind."""
    folder = os.path.abspath(folder)
    try:
        with tempfile.TemporaryFile(dir=_existing_part_of(folder)) as file:
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
    earlier files.

    Files of the animator are never lost: only files that an earlier transaction wrote, and that
    have not changed since, are replaced. MANIFEST in the folder lists them. Any other file is
    refused; with `force` it is kept under a new name (shot.blend as shot.blend1).

    inputs: paths of files that are read for the output; they are never replaced, even with `force`
    or if an earlier transaction wrote them.
    kept: new name of each file that `force` replaced. Known after the block.
    repaired: names of the files whose earlier state was restored after another process died. Known
    after `check`.
    """

    def __init__(self, folder: str, force: bool = False, inputs: Iterable[str] = ()):
        if not folder.strip():
            raise BadRequest("The folder to write into has no name: name one")
        self.folder, self.force, self.inputs = os.path.abspath(folder), force, list(inputs)
        self.kept: dict[str, str] = {}
        self.repaired: list[str] = []
        self._parts: dict[str, str] = {}
        self._removals: list[str] = []
        self._made: list[str] = []

    def check(self, names: Iterable[str]) -> None:
        """Raise now, before long work, what would stop these files from being written: BadRequest
        or NoSpace."""
        check_writable(self.folder)
        try:
            if os.path.isdir(self.folder):
                with self._locked():
                    self._recover()
            files = self._files_of_ours()
            for name in (*names, MANIFEST):
                # raises for a name that is too long
                _has_entry(os.path.join(_existing_part_of(self.folder), name))
                self._refuse(name, files)
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
        files = self._files_of_ours()
        self._removals += [
            name
            for name in files or ()
            if pattern.fullmatch(name) and name not in self._parts and self._is_ours(name, files)
        ]

    def __enter__(self) -> Transaction:
        try:
            present, missing = _existing_part_of(self.folder), self.folder
            while missing != present:
                self._made.append(missing)
                missing = os.path.dirname(missing)
            os.makedirs(self.folder, exist_ok=True)
            with self._locked():
                self._recover()
        except BaseException as error:
            self._remove_made()
            if isinstance(error, OSError):
                raise write_error(self.folder, error) from error
            raise
        return self

    def __exit__(self, kind, error, trace) -> None:
        try:
            if error is None:
                with self._locked():
                    self._commit()
        except BaseException as late:
            error = late
            if not isinstance(late, OSError):
                raise
        finally:
            for part in self._parts.values():
                with contextlib.suppress(OSError):
                    os.remove(part)
            if error is not None:
                self._remove_made()
        # Saving in Blender raises RuntimeError where it cannot write.
        if isinstance(error, (OSError, RuntimeError)):
            raise write_error(self.folder, error) from error

    # ---- files that may be replaced

    def _refuse(self, name: str, files: dict[str, str] | None) -> None:
        """Raise BadRequest if a file must not be replaced."""
        path = self._path(name)
        if not _has_entry(path):
            return
        if any(_is_same(path, given) for given in self.inputs):
            raise BadRequest(
                f"“{path}” is read for this and would be replaced: choose another folder"
            )
        if not self.force and not self._is_ours(name, files):
            if files is None and is_damaged(self.folder):
                raise BadRequest(
                    f"“{MANIFEST}” in “{self.folder}” is damaged, as a power cut leaves a file, "
                    f"and files of yours there cannot be told "
                    f"from those that were written: move “{name}” and the others away, choose "
                    f"another folder, or use --force to keep "
                    f"each as NAME1"
                )
            raise BadRequest(
                f"“{path}” is a file of yours or has changed since it was written: choose another "
                f"folder, or "
                f"use --force to keep it as “{self._free_name(name)}”"
            )

    def _is_ours(self, name: str, files: dict[str, str] | None) -> bool:
        """Whether a file is as an earlier transaction wrote it, or blank, or a damaged list. files:
        names and hashes, of _files_of_ours."""
        path = self._path(name)
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return False
        if _is_blank(path):  # as a power cut leaves a file: no work is lost
            return True
        if name == MANIFEST:
            return files is not None or is_damaged(self.folder)
        return files is not None and name in files and files[name] == hash_of(path)

    def _files_of_ours(self) -> dict[str, str] | None:
        """Names and hashes of the files that earlier transactions wrote into this folder; None
        without a manifest of ours."""
        try:
            files = _manifest(self.folder)
        except (FileNotFoundError, *_NO_LIST):
            return None
        return {name: digest for name, digest in files.items() if os.path.lexists(self._path(name))}

    # ---- replacing

    def _commit(self) -> None:
        """Exchange the files, with a journal until all of them have their names."""
        self._recover()
        files = self._files_of_ours()
        hashes = {
            name: digest for name, digest in (files or {}).items() if name not in self._removals
        }
        for name, part in self._parts.items():
            if not os.path.getsize(part):
                # as some writers leave it on a full disk without an error
                raise OSError(f"“{name}” is empty")
            _finish(part, self._path(name))
            hashes[name] = hash_of(part)
        self.write(MANIFEST, json.dumps({_HEADING: hashes}, indent=1, ensure_ascii=False))
        _finish(self._parts[MANIFEST], self._path(MANIFEST))
        replacements = [
            _Replacement(
                name,
                os.path.basename(part),
                self._place_for_old(name, files),
                hashes[name] if name in hashes else hash_of(part),
            )
            for name, part in self._parts.items()
        ]
        replacements += [_Replacement(name, None, _part_name(), None) for name in self._removals]
        try:
            write_file(
                self._path(JOURNAL),
                json.dumps([asdict(replacement) for replacement in replacements]),
            )
            for replacement in replacements:
                self._replace(replacement)
            sync(self.folder)
            os.remove(self._path(JOURNAL))  # from here on the new files are the ones that stay
        except BaseException:
            self.kept = {}
            self._undo(replacements)
            raise
        for replacement in replacements:
            if replacement.old and is_part(replacement.old):
                with contextlib.suppress(OSError):
                    os.remove(self._path(replacement.old))
        with contextlib.suppress(OSError):
            sync(self.folder)

    def _place_for_old(self, name: str, files: dict[str, str] | None) -> str | None:
        """Name for a file that will be replaced: a temporary one for a file of ours; None if there
        is no file."""
        path = self._path(name)
        self._refuse(name, files)
        if not os.path.lexists(path):
            return None
        if self._is_ours(name, files):
            return _part_name()
        self.kept[name] = self._free_name(name)
        return self.kept[name]

    def _replace(self, replacement: _Replacement) -> None:
        """Give one file its new content, and its old content another name."""
        path = self._path(replacement.name)
        if replacement.old is not None:
            old = self._path(replacement.old)
            if replacement.part is None:
                os.rename(path, old)
                return
            try:
                os.link(path, old, **_LINK_ITSELF)  # so that the file is at no time missing
            except OSError as error:  # a disk without links
                if isinstance(error, FileExistsError):
                    raise
                os.rename(path, old)
        os.replace(self._path(replacement.part), path)

    def _recover(self) -> None:
        """Restore the earlier files if another process died while it replaced them, and remove its
        temporary files."""
        path = self._path(JOURNAL)
        if os.path.lexists(path):
            if not _is_mine(path):
                raise OSError(errno.EPERM, f"“{JOURNAL}” in it is not a file of yours")
            with open(path, encoding="utf-8") as file:
                try:
                    replacements = [_Replacement(**entry) for entry in json.load(file)]
                except (ValueError, TypeError, RecursionError):
                    replacements = []
            self.repaired += self._undo(
                [replacement for replacement in replacements if replacement.is_valid()]
            )
        remove_leftovers(self.folder)

    def _undo(self, replacements: list[_Replacement]) -> list[str]:
        """Restore the earlier files, whatever has been replaced of them; returns their names. May
        be repeated."""
        restored = []
        for replacement in replacements:
            path = self._path(replacement.name)
            part = self._path(replacement.part) if replacement.part else None
            old = self._path(replacement.old) if replacement.old else None
            if old is not None and os.path.lexists(old):
                if not os.path.lexists(path):
                    os.rename(old, path)
                    restored.append(replacement.name)
                elif os.path.samestat(os.lstat(old), os.lstat(path)):
                    os.remove(old)  # renaming one name of a file to another does nothing
                elif _has_hash(path, replacement.sha256):
                    os.replace(old, path)
                    restored.append(replacement.name)
                elif is_part(replacement.old):  # somebody has written the file since: both stay
                    os.rename(old, self._path(self._free_name(replacement.name)))
            elif (
                old is None
                and part is not None
                and not os.path.lexists(part)
                and _has_hash(path, replacement.sha256)
            ):
                os.remove(path)
                restored.append(replacement.name)
            if part is not None and os.path.lexists(part):
                os.remove(part)
        sync(self.folder)
        with contextlib.suppress(FileNotFoundError):
            os.remove(self._path(JOURNAL))
        return restored

    # ---- the folder

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _free_name(self, name: str) -> str:
        """The first of name1, name2 … that no file has: Blender, too, keeps shot.blend as
        shot.blend1."""
        number = 1
        while os.path.lexists(self._path(f"{name}{number}")):
            number += 1
        return f"{name}{number}"

    def _remove_made(self) -> None:
        """Remove the folders that were made for the files, where nothing else is in them."""
        for folder in self._made:
            with contextlib.suppress(OSError):
                os.rmdir(folder)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the folder: wait until no other process replaces files in it, and keep others
        waiting. Raises NoSpace."""
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


@dataclass(frozen=True)
class _Replacement:
    """One file's change in a transaction. All are names in its folder, never paths.

    part: the temporary file that becomes the file; None if the file is only removed.  old:
    temporary name of the existing file; None if there is none.  sha256: of the new content.
    """

    name: str
    part: str | None
    old: str | None
    sha256: str | None

    def is_valid(self) -> bool:
        """Whether it can be one of ours: a journal that somebody made up must not reach other
        files."""
        names = (self.name, self.part, self.old)
        if not all(
            name is None or (isinstance(name, str) and name and os.path.basename(name) == name)
            for name in names
        ):
            return False
        is_old_valid = (
            self.old is None
            or is_part(self.old)
            or re.fullmatch(re.escape(self.name) + r"\d+", self.old) is not None
        )
        return (
            self.name is not None
            and not is_part(self.name)
            and is_old_valid
            and (self.part is None or is_part(self.part))
        )


def _is_blank(path: str) -> bool:
    """Whether a file has no content, or nothing but zeros."""
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            if block.strip(b"\0"):
                return False
    return True


def _manifest(folder: str) -> dict[str, str]:
    """The list in a folder's MANIFEST. Raises OSError, or another error if it is not a valid
    list."""
    path = os.path.join(folder, MANIFEST)
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise ValueError(f"“{MANIFEST}” is no file")
    with open(path, encoding="utf-8") as file:
        files = json.load(file)[_HEADING]
    return {
        name: digest
        for name, digest in files.items()
        if os.path.basename(name) == name and is_utf8(name) and isinstance(digest, str)
    }


def _part_name(suffix: str = "") -> str:
    """A new name for a temporary file of this process."""
    return f"{PART}{_MACHINE}-{os.getpid()}-{secrets.token_hex(8)}{PART_END}{suffix}"


def _new_part(folder: str, suffix: str) -> str:
    """The path of a new, empty temporary file. Raises OSError."""
    path = os.path.join(folder, _part_name(suffix))
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0), 0o600))
    return path


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


def _existing_part_of(folder: str) -> str:
    """The folder itself or the nearest folder above it that exists. Raises OSError for a path that
    cannot be one."""
    while not _has_entry(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    return folder


def _has_entry(path: str) -> bool:
    """Whether a path exists, be it as a broken link. Raises OSError if no file can be: a name too
    long, no permission."""
    try:
        os.lstat(path)
        return True
    except FileNotFoundError:
        return False


def _is_same(path: str, other_path: str) -> bool:
    """Whether two paths mean one file, whatever links or spelling they use."""
    try:
        return os.path.samefile(path, other_path)
    except OSError:
        return os.path.normcase(os.path.realpath(path)) == os.path.normcase(
            os.path.realpath(other_path)
        )


def _has_hash(path: str, digest: str | None) -> bool:
    return (
        digest is not None
        and os.path.isfile(path)
        and not os.path.islink(path)
        and hash_of(path) == digest
    )


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
