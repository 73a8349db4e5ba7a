# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of miniaudio as the recorder uses, with a file as the device.

PLAYED_SOUND: WAV file, 16 bits, mono; silence follows it.  PLAYED_SPEED: how many times as fast as
it is spoken. PLAYED_FAULT: none (no device but ALSA's null), busy (cannot be opened), hang (opening never returns),
mute (no block arrives), silent (zeros, as of “Desk”), lost:SECONDS (no more blocks after, and it is gone),
back:SECONDS (no more blocks after, until it is opened again), crash:SECONDS (the process dies).
"""

import enum
import os
import sys
import threading
import time
import wave

Backend = enum.Enum("Backend", "PULSEAUDIO NULL")
FAULT, _, AFTER = os.environ.get("PLAYED_FAULT", "").partition(":")


class MiniaudioError(Exception):
    pass


class Devices:
    def __init__(self, backends):
        pass

    def get_captures(self):
        names = ("Booth", "Desk") if FAULT != "none" else ("Discard all samples (playback) or …",)
        return [{"name": name, "id": name} for name in names]


class CaptureDevice:
    opened = 0

    def __init__(self, nchannels, sample_rate, buffersize_msec, backends, app_name, device_id=None):
        recorder = sys.modules.get("thunder_core.engine.microphone")
        if FAULT in ("lost", "back") and recorder is not None:
            recorder.SILENCE, recorder.AWAY = 0.5, 1.0  # so that tests wait less
        if FAULT == "busy" or FAULT == "lost" and CaptureDevice.opened:
            raise MiniaudioError("failed to init device", -17)
        CaptureDevice.opened += 1
        self.number = CaptureDevice.opened
        while FAULT == "hang":
            time.sleep(1.0)
        self.rate, self.seconds, self.open = sample_rate, buffersize_msec / 1000, True
        self.is_other = device_id == "Desk"

    def start(self, listener):
        threading.Thread(target=self._play, args=(listener,), daemon=True).start()

    def _play(self, listener):
        with wave.open(os.environ["PLAYED_SOUND"]) as file:
            samples = file.readframes(file.getnframes())
            step = self.rate // file.getframerate()
        samples = b"".join(samples[at : at + 2] * step for at in range(0, len(samples), 2))
        if FAULT == "silent" or self.is_other:
            samples = b""
        size, began, sent = 2 * int(self.rate * self.seconds), time.perf_counter(), 0
        while self.open and FAULT != "mute":
            at = sent * self.seconds
            if AFTER and at >= float(AFTER) and self.number == 1:
                if FAULT == "crash":
                    os._exit(9)
                return
            time.sleep(
                max(
                    0.0,
                    began
                    + (at + self.seconds) / float(os.environ["PLAYED_SPEED"])
                    - time.perf_counter(),
                )
            )
            listener.send(bytearray(samples[sent * size : (sent + 1) * size].ljust(size, b"\0")))
            sent += 1

    def close(self):
        self.open = False
