# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends a face to other programs by the VMC protocol: OSC messages by UDP, in bundles that networks
do not split, with ARKit's 52 shapes, VRM's own expressions, and the turns of head and eyes;
standard library and numpy.

OSC's numbers are big-endian, its texts padded with zeros to a multiple of four bytes. A receiver
gathers shapes until `/VMC/Ext/Blend/Apply`, which is the last message of a frame.
https://protocol.vmc.info/english.html
"""

import contextlib
import errno
import ipaddress
import math
import re
import socket
import struct
import threading
import time
from concurrent.futures import Future

import numpy as np

from .animation import livelink, vrma
from .errors import BadRequest
from .rotation import rotvec_to_quaternion
from .types import Motion, unpack

PORT, HERE = 39539, "127.0.0.1"  # the port on which programs listen for it, and this computer
# shares of the last face that are sent until it rests, and seconds from one to the next; the face
# at rest three times, as one may be lost
_TO_REST, _STEP = (0.9, 0.65, 0.35, 0.1, 0.0, 0.0, 0.0), 0.035
_AT_ONCE = 1  # OSC's time tag of what is to be done at once
# Bytes of a bundle: networks split what is longer than 1,472, and lose all of it with one part.
LARGEST = 1400
ARKIT, VRM, BOTH = "ARKIT", "VRM", "BOTH"  # which names shapes are sent by
# VRM 0.x's names of the presets of VRM 1.0
_OLD_NAMES = {
    "aa": "A", "ih": "I", "ou": "U", "ee": "E", "oh": "O",
    "blink": "Blink", "blinkLeft": "Blink_L", "blinkRight": "Blink_R",
}  # fmt: skip
_LONGEST_HOST = 253  # letters of the name of a computer
_NO_HOST = re.compile(r"[\s/]|^$")
# seconds for which a computer counts as out of reach after a frame was lost, and from one try to
# connect again to the next: the network may have given this computer another address
_AWAY, _RETRY = 4.0, 1.0
AWAY = "“{}” cannot be reached now; the face is sent on as soon as the network is back"
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


def shapes(motion: Motion, channels: tuple[str, ...], names: str = BOTH) -> dict[str, float]:
    """The first frame of a motion as shapes of avatars, 0 … 1, by the names that they have there.
    VRM's presets have those of VRM 0.x and of 1.0: a reader knows one or takes both as the same."""
    result = {}
    if names != VRM:
        values = livelink.table(motion, channels)[0, : livelink.SHAPES].clip(0, 1)
        result = dict(zip(livelink.COLUMNS, values.tolist()))
    if names != ARKIT:
        for name, (value, *_) in vrma.expressions(motion, channels).items():
            result |= {_OLD_NAMES[name]: float(value), name: float(value)}
    return result


def frame(
    row: np.ndarray, channels: tuple[str, ...], seconds: float, names: str = BOTH
) -> list[bytes]:
    """Bundles with a row [C] of a packed motion whose expression is `channels`, no longer than
    LARGEST. seconds: its time.  names: of its shapes."""
    motion = unpack(row[None], len(channels))
    head, eyes = (rotvec_to_quaternion(turn * _TO_UNITY)[0].tolist() for turn in motion.turns)
    messages = [
        message("/VMC/Ext/OK", 1),
        message("/VMC/Ext/T", float(seconds)),
        *(
            message("/VMC/Ext/Bone/Pos", name, 0.0, 0.0, 0.0, *xyz, w)
            for name, (w, *xyz) in zip(_BONES, (head, eyes, eyes))
        ),
        *(message("/VMC/Ext/Blend/Val", *each) for each in shapes(motion, channels, names).items()),
        message("/VMC/Ext/Blend/Apply"),
    ]
    parts, size = [list[bytes]()], 16
    for each in messages:
        size += 4 + len(each)
        if size > LARGEST:
            parts.append([])
            size = 16 + 4 + len(each)
        parts[-1].append(each)
    return [bundle(part) for part in parts]


def is_here(host: str) -> bool:
    """Whether a name or address is this computer, which nothing leaves."""
    address = _address(host)
    return host.strip().lower() == "localhost" if address is None else address.is_loopback


def read_host(text: str) -> str:
    """The name or address in what was typed or stored. Raises BadRequest."""
    host = text.strip()
    if len(host) > _LONGEST_HOST or _NO_HOST.search(host) or host.count(":") == 1:
        raise BadRequest(
            f"“{host[:40]}” is no computer's name or address: write it as 192.168.0.12, with no "
            f"port or http:// around it"
        )
    return host


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that is given, None for a name, which has to be looked up."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host)
    return None


class Stream:
    """Where frames are sent; lost while the name of the computer is looked up, which may take half
    a minute."""

    def __init__(
        self, port: int = PORT, host: str = HERE, names: str = BOTH, waits: bool = False
    ):  # fmt: skip
        """names: of shapes.  waits: until a name is looked up. Raises BadRequest if there is no
        such port or computer."""
        if not 0 < port < 2**16:
            raise BadRequest(f"There is no port {port}: give one from 1 to {2**16 - 1}")
        # the arguments of the last `send`, if there was one
        self._host, self._sent = host[:60], list[tuple[np.ndarray, tuple[str, ...], float]]()
        self.names, self._lost_at, self._tried_at = names, -math.inf, -math.inf
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

    def _connect(self) -> socket.socket:
        """A socket of which the system says what went wrong. Raises OSError, UnicodeError."""
        kind, _, _, _, place = self._place.result()
        one = socket.socket(kind, socket.SOCK_DGRAM)
        try:
            one.setblocking(False)
            one.connect(place)
        except OSError:
            one.close()
            raise
        return one

    @property
    def is_looking(self) -> bool:
        """Whether the name of its computer is being looked up."""
        return not self._place.done()

    @property
    def is_found(self) -> bool:
        """Whether its computer is known by now. Raises BadRequest if there is none."""
        if self._socket is None and not self.is_looking:
            try:
                self._socket = self._connect()
            except (OSError, UnicodeError) as error:
                raise self._unknown() from error
        return self._socket is not None

    def _unknown(self) -> BadRequest:
        return BadRequest(
            f"“{self._host}” is no computer that can be reached: give its name or address"
        )

    @property
    def trouble(self) -> str:
        """A sentence while frames are lost because the computer cannot be reached, else ""."""
        return AWAY.format(self._host) * (time.monotonic() < self._lost_at + _AWAY)

    def send(self, row: np.ndarray, channels: tuple[str, ...], seconds: float) -> None:
        """Send a row [C] of a packed motion. What is lost on the way is not sent again; a network
        that is gone may come back. Raises BadRequest if there is no such computer, or the system
        forbids to send there."""
        if not self.is_found:
            return
        assert self._socket is not None
        self._sent = [(row, channels, seconds)]
        try:
            for each in frame(row, channels, seconds, self.names):
                with contextlib.suppress(ConnectionError):  # no program listens yet
                    self._socket.send(each)
        except PermissionError as error:
            raise self._unknown() from error
        except OSError as error:
            # too much at once: a frame is lost
            if error.errno not in (errno.ENOBUFS, errno.EAGAIN):
                self._lost_at = time.monotonic()
                self._connect_again()

    def _connect_again(self) -> None:
        """From the address that this computer has now, if a second has passed since the last try
        and the network is back."""
        if self._lost_at > self._tried_at + _RETRY and self._socket is not None:
            self._tried_at = self._lost_at
            with contextlib.suppress(OSError):
                before, self._socket = self._socket, self._connect()
                before.close()

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
        try:
            self.rest()
        finally:
            if self._socket is not None:
                self._socket.close()
