# SPDX-License-Identifier: GPL-3.0-or-later
"""A voice for texts in any language: espeak-ng, by the library that the engine reads texts with.

`python -m research.espeak_voice VOICE SPEED OUT.wav <text` speaks in a process of its own: the
library either speaks or reads. The wheel has voices, which the package leaves out.
"""

import ctypes
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

from thunder_core.engine.speech.audio import read_sound
from thunder_core.types import Speech

ROOT = Path(__file__).resolve().parents[1]
_SYNCHRONOUS, _UTF8, _RATE = 2, 1, 1


def speak(text: str, voice: str, speed: int = 160) -> Speech:
    """A text as a voice says it ("de", "de+f3"), so many words a minute."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "voice.wav"
        write(text, voice, path, speed)
        return read_sound(path)


def write(text: str, voice: str, path: Path, speed: int = 160) -> None:
    """The same, into a WAV."""
    command = [sys.executable, "-m", "research.espeak_voice", voice, str(speed), str(path)]
    subprocess.run(command, input=text.encode(), cwd=ROOT, check=True)


def main() -> None:
    """Speak what is on the standard input."""
    import espeakng_loader

    voice, speed, path = sys.argv[1:]
    text, parts = sys.stdin.buffer.read(), []
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    folder = espeakng_loader.get_data_path().encode()
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, ctypes.c_char_p(folder), 0)

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    def keep(samples, count, events) -> int:
        parts.append(ctypes.string_at(samples, 2 * count) if samples else b"")
        return 0

    library.espeak_SetSynthCallback(keep)
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        sys.exit(f"espeak-ng has no voice “{voice}”")
    library.espeak_SetParameter(_RATE, int(speed), 0)
    library.espeak_Synth(
        ctypes.c_char_p(text), ctypes.c_size_t(len(text) + 1), 0, 0, 0, _UTF8, None, None
    )
    library.espeak_Synchronize()
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"".join(parts))


if __name__ == "__main__":
    main()
