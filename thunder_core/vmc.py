# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends a face to other programs by the VMC protocol: OSC messages by UDP, one bundle a frame, with
ARKit's 52 shapes and the turns of head and eyes; standard library and numpy.

OSC's numbers are big-endian, its texts padded with zeros to a multiple of four bytes.
https://protocol.vmc.info/english.html
"""

import contextlib
import errno
import ipaddress
import socket
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future

import numpy as np

from .animation import livelink
from .errors import BadRequest
from .rotation import rotvec_to_quaternion
from .types import unpack

PORT, HERE = 39539, "127.0.0.1"  # the port on which programs listen for it, and this computer
# shares of the last face that are sent until it rests, and seconds from one to the next; the face
# at rest three times, as one may be lost
_TO_REST, _STEP = (0.9, 0.65, 0.35, 0.1, 0.0, 0.0, 0.0), 0.035
_AT_ONCE = 1  # OSC's time tag of what is to be done at once
_BONES = ("Head", "LeftEye", "RightEye")
# our axes (x to the head's left) as Unity's, which are left-handed: of a rotation vector
_TO_UNITY = np.array([1.0, -1.0, -1.0])


def message(address: str, *values: str | float | int) -> bytes:
    """An OSC message."""
    kinds = "".join({str: "s", float: "f", int: "i"}[type(value)] for value in values)
    packed = (
        _text(value) if isinstance(value, str) else struct.pack(f">{kind}", value)
        for kind, value in zip(kinds, values)
    )
    return b"".join([_text(address), _text(f",{kinds}"), *packed])


def bundle(messages: list[bytes]) -> bytes:
    """An OSC bundle of messages."""
    sized = (struct.pack(">i", len(each)) + each for each in messages)
    return _text("#bundle") + struct.pack(">Q", _AT_ONCE) + b"".join(sized)


def _text(text: str) -> bytes:
    encoded = text.encode("ascii") + b"\0"
    return encoded + bytes(-len(encoded) % 4)


def frame(row: np.ndarray, channels: tuple[str, ...], seconds: float) -> bytes:
    """A bundle with a row [C] of a packed motion whose expression is `channels`; seconds: its
    time."""
    motion = unpack(row[None], len(channels))
    shapes = livelink.table(motion, channels)[0, : livelink.SHAPES].clip(0, 1)
    head, eyes = (rotvec_to_quaternion(turn * _TO_UNITY)[0].tolist() for turn in motion.turns)
    values, bones = zip(livelink.COLUMNS, shapes.tolist()), zip(_BONES, (head, eyes, eyes))
    return bundle(
        [
            message("/VMC/Ext/OK", 1),
            message("/VMC/Ext/T", float(seconds)),
            *(message("/VMC/Ext/Blend/Val", *each) for each in values),
            message("/VMC/Ext/Blend/Apply"),
            *(
                message("/VMC/Ext/Bone/Pos", name, 0.0, 0.0, 0.0, *xyz, w)
                for name, (w, *xyz) in bones
            ),
        ]
    )


def is_here(host: str) -> bool:
    """Whether a name or address is this computer, which nothing leaves."""
    address = _address(host)
    return host.strip().lower() == "localhost" if address is None else address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that is given, None for a name, which has to be looked up."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host)
    return None


class Stream:
    """Where frames are sent; lost while the name of the computer is looked up, which may take half
    a minute."""

    def __init__(self, port: int = PORT, host: str = HERE, waits: bool = False):
        """waits: until a name is looked up. Raises BadRequest if there is no such port or
        computer."""
        if not 0 < port < 2**16:
            raise BadRequest(f"There is no port {port}: give one from 1 to {2**16 - 1}")
        # the arguments of the last `send`, if there was one
        self._host, self._sent = host[:60], list[tuple[np.ndarray, tuple[str, ...], float]]()
        self._socket: socket.socket | None = None
        self._place: Future[tuple] = Future()
        if waits or _address(host) is not None:
            self._look_up(host, port)
        else:
            threading.Thread(target=self._look_up, args=(host, port), daemon=True).start()
        self.is_found  # noqa: B018, raises

    def _look_up(self, host: str, port: int) -> None:
        try:
            # the first is an IPv4 address if there is one, where such programs listen
            self._place.set_result(min(socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)))
        except (OSError, UnicodeError) as error:
            self._place.set_exception(error)

    @property
    def is_looking(self) -> bool:
        """Whether the name of its computer is being looked up."""
        return not self._place.done()

    @property
    def is_found(self) -> bool:
        """Whether its computer is known by now. Raises BadRequest if there is none."""
        if self._socket is None and not self.is_looking:
            with self._reach():
                kind, _, _, _, place = self._place.result()
                self._socket = socket.socket(kind, socket.SOCK_DGRAM)
                self._socket.setblocking(False)
                self._socket.connect(place)  # the system says of a connected one what went wrong
        return self._socket is not None

    def send(self, row: np.ndarray, channels: tuple[str, ...], seconds: float) -> None:
        """Send a row [C] of a packed motion. What is lost on the way is not sent again. Raises
        BadRequest if the computer cannot be reached any more."""
        if not self.is_found:
            return
        assert self._socket is not None
        self._sent = [(row, channels, seconds)]
        with self._reach(), contextlib.suppress(ConnectionError):  # no program listens yet
            self._socket.send(frame(row, channels, seconds))

    @contextlib.contextmanager
    def _reach(self) -> Iterator[None]:
        """Raises BadRequest if the block finds that there is no such computer."""
        try:
            yield
        except (OSError, UnicodeError) as error:
            # too much at once: a frame is lost
            if getattr(error, "errno", None) not in (errno.ENOBUFS, errno.EAGAIN):
                raise BadRequest(
                    f"“{self._host}” is no computer that can be reached: give its name or address"
                ) from error

    def rest(self) -> None:
        """Ease the face to rest in a quarter of a second, so that it does not stay as it spoke;
        nothing where no face was sent, or the computer cannot be reached any more."""
        with contextlib.suppress(BadRequest):
            for row, channels, seconds in self._sent:
                for number, share in enumerate(_TO_REST, 1):
                    time.sleep(_STEP)
                    self.send(share * row, channels, seconds + number * _STEP)

    def close(self) -> None:
        """Ease the face to rest, and then send nothing more."""
        with self._socket or contextlib.nullcontext():
            self.rest()
