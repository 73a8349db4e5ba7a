# SPDX-License-Identifier: GPL-3.0-or-later
"""Computers to which a user agreed to send faces: typed by the user, or agreed to in a dialog. An
address that only a .blend names may be a stranger's; so they are kept among the user's files."""

from contextlib import suppress

from ...thunder_core import vmc
from ...thunder_core.errors import NoSpace
from ...thunder_core.files import write_file
from ...thunder_core.text_files import read_text
from ..host import jobs
from ..host.compat import user_folder

_NAME, _LARGEST = "receivers", 2**16  # the folder and its file; bytes of that


class _Agreed(jobs.Part):
    """hosts: names and addresses of this session, whatever file is open."""

    def __init__(self) -> None:
        self.hosts: set[str] = set()

    def close(self) -> None:
        self.hosts.clear()


_agreed = jobs.session.add(_Agreed())


def is_agreed(host: str) -> bool:
    """Whether nobody needs to be asked before a face is sent to a computer: it is this one, or the
    user agreed."""
    if not vmc.is_here(host) and host not in _agreed.hosts:
        with suppress(OSError, ValueError):
            path = user_folder(_NAME) / f"{_NAME}.txt"
            _agreed.hosts.update(read_text(path, _LARGEST).splitlines())
    return vmc.is_here(host) or host in _agreed.hosts


def agree(host: str) -> None:
    """Remember that the user agreed to a name or address, as of `vmc.read_host`, for later sessions
    too where that can be written."""
    if not is_agreed(host):
        _agreed.hosts.add(host)
        with suppress(OSError, NoSpace):
            folder = user_folder(_NAME)
            folder.mkdir(parents=True, exist_ok=True)
            write_file(folder / f"{_NAME}.txt", "\n".join(sorted(_agreed.hosts)) + "\n")
