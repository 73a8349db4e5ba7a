# SPDX-License-Identifier: GPL-3.0-or-later
"""A receiver of OSC of our own, by the specification of OSC 1.0: reads back what is sent."""

import contextlib
import socket
import struct


@contextlib.contextmanager
def receiver():
    """A socket on this computer that waits half a minute, and its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.settimeout(30)
        yield one, one.getsockname()[1]


def read_text(data, at):
    end = data.index(b"\0", at)
    return data[at:end].decode("ascii"), at + (end - at) // 4 * 4 + 4


def read_bundle(data):
    """The messages of a bundle: [(address, values)], in its order."""
    assert data[:8] == b"#bundle\0" and len(data) % 4 == 0
    at, messages = 16, []
    while at < len(data):
        (size,) = struct.unpack_from(">i", data, at)
        one, at = data[at + 4 : at + 4 + size], at + 4 + size
        assert size % 4 == 0 and len(one) == size
        address, place = read_text(one, 0)
        kinds, place = read_text(one, place)
        values = []
        for kind in kinds[1:]:
            if kind == "s":
                value, place = read_text(one, place)
            else:
                (value,), place = struct.unpack_from(f">{kind}", one, place), place + 4
            values.append(value)
        assert place == size
        messages.append((address, values))
    return messages


def shapes_of(messages):
    """The blend shapes of a bundle's messages, by their names."""
    return dict(values for address, values in messages if address == "/VMC/Ext/Blend/Val")


def receive_frame(heard):
    """The datagrams of a frame, whose last message is that shapes are to be applied."""
    datagrams = [heard.recv(65536)]
    while read_bundle(datagrams[-1])[-1][0] != "/VMC/Ext/Blend/Apply":
        datagrams.append(heard.recv(65536))
    return datagrams


def read_frame(heard):
    """The messages of the next frame: [(address, values)]."""
    return [each for datagram in receive_frame(heard) for each in read_bundle(datagram)]
