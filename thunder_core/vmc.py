# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends a face to other programs by the VMC protocol: OSC messages by UDP, one bundle a frame, with
ARKit's 52 shapes and the turns of head and eyes; standard library and numpy.

OSC's numbers are big-endian, its texts padded with zeros to a multiple of four bytes.
https://protocol.vmc.info/english.html
"""

import contextlib
import socket
import struct

import numpy as np

from .errors import BadRequest
from .face import livelink
from .rotation import rotvec_to_quaternion
from .types import unpack

PORT, HERE = 39539, "127.0.0.1"  # the port on which programs listen for it, and this computer
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
    messages = [message("/VMC/Ext/OK", 1), message("/VMC/Ext/T", float(seconds))]
    for name, value in zip(livelink.COLUMNS, shapes.tolist()):
        messages.append(message("/VMC/Ext/Blend/Val", name, value))
    messages.append(message("/VMC/Ext/Blend/Apply"))
    head, eyes = (rotvec_to_quaternion(turn * _TO_UNITY)[0].tolist() for turn in motion.turns)
    for name, (w, *xyz) in zip(_BONES, (head, eyes, eyes)):
        messages.append(message("/VMC/Ext/Bone/Pos", name, 0.0, 0.0, 0.0, *xyz, w))
    return bundle(messages)


class Stream:
    """Where frames are sent."""

    def __init__(self, port: int = PORT, host: str = HERE):
        """Raises BadRequest if there is no such port or computer."""
        if not 0 < port < 2**16:
            raise BadRequest(f"There is no port {port}: give one from 1 to {2**16 - 1}")
        try:
            kind, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        except (OSError, UnicodeError) as error:
            raise BadRequest(
                f"“{host[:60]}” is no computer that can be reached: give its name or address"
            ) from error
        self._socket, self._to = socket.socket(kind, socket.SOCK_DGRAM), place

    def send(self, row: np.ndarray, channels: tuple[str, ...], seconds: float) -> None:
        """Send a row [C] of a packed motion. What is lost on the way is not sent again."""
        with contextlib.suppress(OSError):
            self._socket.sendto(frame(row, channels, seconds), self._to)

    def close(self) -> None:
        """Send nothing more."""
        self._socket.close()
