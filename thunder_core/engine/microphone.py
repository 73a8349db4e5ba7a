# SPDX-License-Identifier: GPL-3.0-or-later
"""The system's microphone: a recording whose file is complete after every block, so that
whatever ends it loses nothing.

A driver may hang, so it is called in a thread that nobody waits for longer than PATIENCE.
"""

import contextlib
import math
import os
import queue
import shutil
import time
import wave
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import miniaudio
import numpy as np

from ..errors import NoMicrophone, NoSpace
from ..protocol import FULL, LOST

RATE = 48_000  # samples per second; the system converts what the device gives
BLOCK_MS = 20  # milliseconds of sound that arrive at once
# seconds that a driver has to list or open a microphone, and then until the first block
PATIENCE = 5.0
CLOSING = 0.5  # seconds that a driver has to close it; the process that records ends soon anyway
SILENCE = 2.0  # seconds without a block after which a microphone counts as unplugged
# seconds in which one that was unplugged, asleep or exchanged may come back, and from one try to
# the next
AWAY, _RETRY = 20.0, 0.5
# Blocks, 5 s, whose arrivals tell when the first sample was: clocks of sound cards are not exact,
# and busy computers lose samples.
_ARRIVALS = 5000 // BLOCK_MS
SPARE = 8_000_000  # bytes left free on a disk, so that the .blend can still be saved
LOUDEST = 32767  # of 16 bits
# all real ones
BACKENDS = [each for each in miniaudio.Backend if each.name not in ("NULL", "CUSTOM")]

Block = tuple[float, bytes]  # time.perf_counter() at which samples arrived, and the samples


def names() -> list[str]:
    """The microphones that the system lists. Raises NoMicrophone if there are none."""
    return [each["name"] for each in _call_driver(PATIENCE, _list)]


def record(
    path: str,
    name: str,
    stop: Event,
    on_level: Callable[[dict], None],
    on_block: Callable[[bytes], object] = len,
    waits: bool = False,
) -> dict:
    """Record a microphone to a WAV file, 16 bits, mono, until `stop` is set.

    path: "" for no file.  name: one of `names`, "" for the one that the system has chosen.
    on_block gets the samples of every block, int16 at RATE.  on_level gets
    {"peak": 0 … 1 of the last block, "seconds": recorded so far, "began": time.perf_counter() of
    the first sample, as the last five seconds tell it, "away": whether it is waited for}; it may
    raise to stop, and the file stays.  waits: whether a microphone that delivers no more may come
    back within AWAY seconds; silence stands for what is missing. Returns the same, the peak of all
    and the beginning as the first five seconds tell it, with `ended`: "", LOST (no sound arrives
    any more) or FULL (the disk).
    Raises NoMicrophone or NoSpace if nothing can be recorded.
    """
    blocks: queue.SimpleQueue[Block] = queue.SimpleQueue()
    _check_space(path)
    devices = [_call_driver(PATIENCE, _open, blocks, name)]

    def close() -> None:
        while devices:
            with contextlib.suppress(NoMicrophone, miniaudio.MiniaudioError):
                _call_driver(CLOSING, devices.pop().close)

    def open_again() -> None:
        close()
        with contextlib.suppress(NoMicrophone):
            devices.append(_call_driver(PATIENCE, _open, blocks, name))

    try:
        about = _write(path, blocks, stop, on_level, on_block, open_again, AWAY * waits)
    finally:
        close()
    if not about["seconds"]:
        if path:
            Path(path).unlink()
        raise NoMicrophone(
            "The microphone delivers no sound: reconnect it, or choose another in the system's "
            "settings"
        )
    return about


def _write(
    path: str,
    blocks: "queue.SimpleQueue[Block]",
    stop: Event,
    on_level: Callable[[dict], None],
    on_block: Callable[[bytes], object] = len,
    open_again: Callable[[], None] = lambda: None,
    away: float = 0.0,
) -> dict:
    """Write blocks as they arrive. Returns what `record` does."""
    count, began, loudest, ended, last = 0, math.inf, 0.0, "", False
    arrivals, since = deque[float](maxlen=_ARRIVALS), 0.0
    file = wave.open(path, "wb") if path else None
    if file is not None:
        file.setparams((1, 2, RATE, 0, "NONE", ""))

    def add(block: bytes, peak: float) -> None:
        nonlocal count
        on_block(block)
        if file is not None:
            file.writeframes(block)  # and the header, whose length is right again
        count += len(block) // 2
        about = {"peak": peak, "seconds": count / RATE, "away": bool(since)}
        on_level({**about, "began": min(arrivals, default=began)})
        _check_space(path)

    try:
        while not last:
            last = stop.is_set()  # before the block that arrives next, so that it is the last
            try:
                now, block = blocks.get(timeout=_RETRY if since else SILENCE if count else PATIENCE)
            except queue.Empty:
                now = time.perf_counter()
                since = since or now
                if last or not count or now >= since + away:
                    raise
                open_again()
                missing = min(now - min(arrivals) - count / RATE, SILENCE + away)  # or it slept
                block = bytes(2 * max(0, int(missing * RATE)))
                arrivals.clear()
                arrivals.append(now - (count + len(block) // 2) / RATE)
                add(block, 0.0)
                continue
            samples, since = np.frombuffer(block, np.int16), 0.0
            # blocks arrive late, never early
            arrivals.append(now - (count + len(samples)) / RATE)
            if len(arrivals) < _ARRIVALS:
                began = min(began, arrivals[-1])
            peak = min(1.0, float(np.abs(samples.astype(np.int32)).max(initial=0)) / LOUDEST)
            loudest = max(loudest, peak)
            add(block, peak)
    except queue.Empty:
        ended = "" if last else LOST
    except (OSError, NoSpace):
        ended = FULL
    finally:
        with contextlib.suppress(OSError):
            if file is not None:
                file.close()
    return {
        "path": path,
        "peak": loudest,
        "seconds": count / RATE,
        "began": began if count else 0.0,
        "ended": ended,
    }


def _check_space(path: str) -> None:
    folder = os.path.dirname(path)
    if path and shutil.disk_usage(folder).free < SPARE:
        raise NoSpace(
            f"No space is left in “{folder}” for a recording: free some, or choose another folder"
        )


def _list() -> list[dict]:
    """The microphones that the system lists, as miniaudio does. Raises NoMicrophone."""
    found = None
    with contextlib.suppress(miniaudio.MiniaudioError):  # this machine has no sound at all
        listed = miniaudio.Devices(BACKENDS).get_captures()
        # as ALSA, on Linux, calls one that stands for none
        found = [each for each in listed if not each["name"].startswith("Discard all samples")]
    if not found:
        raise NoMicrophone(
            "No microphone was found: connect one, and check that the system lists it"
        )
    return found


def _open(blocks: "queue.SimpleQueue[Block]", name: str):
    """The microphone, which has begun to record. Raises NoMicrophone."""
    places = {each["name"]: each["id"] for each in _list()}
    if name and name not in places:
        raise NoMicrophone(
            f"“{name}” is not connected: connect it, or choose one of “{'”, “'.join(places)}”"
        )
    try:
        device = miniaudio.CaptureDevice(
            nchannels=1,
            sample_rate=RATE,
            buffersize_msec=BLOCK_MS,
            device_id=places.get(name),
            backends=BACKENDS,
            app_name="Blender",
        )
        listener = _listener(blocks)
        next(listener)
        device.start(listener)
    except miniaudio.MiniaudioError as error:
        raise NoMicrophone(
            f"The microphone cannot be opened ({error.args[0]}): close other programs that record, "
            "and check that the system lets this one use the microphone"
        ) from error
    return device


def _listener(blocks: "queue.SimpleQueue[Block]") -> Generator[None, bytearray, None]:
    """What the driver's thread sends its samples to."""
    while True:
        samples = yield
        blocks.put((time.perf_counter(), bytes(samples)))


def _call_driver(seconds: float, call: Callable, *args):
    """What a call of the microphone's driver returns. Raises NoMicrophone, also if it takes
    longer."""
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(call, *args).result(seconds)
    except TimeoutError as error:
        raise NoMicrophone(
            "The microphone does not respond: reconnect it, or choose another in the system's "
            "settings"
        ) from error
    finally:
        pool.shutdown(wait=False)
