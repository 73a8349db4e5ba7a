# SPDX-License-Identifier: GPL-3.0-or-later
"""The voices that training reads: recordings, and synthetic voices with exact phone times (flite's
American ones, and espeak-ng's in a dozen languages, rates and pitches). The engine reads users'
files itself (speech/audio.py).
"""

import ctypes
import subprocess
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import torch
import torchaudio

from ..errors import ThunderError
from ..types import RATE

# ---- recordings


def at_rate(samples: np.ndarray, rate: int) -> np.ndarray:
    """Samples float32 [n] of a mono sound at `rate` Hz, resampled to 16 kHz."""
    mono = torch.from_numpy(np.ascontiguousarray(samples, np.float32))
    return (
        torchaudio.functional.resample(mono, rate, RATE).numpy() if rate != RATE else mono.numpy()
    )


class BadRecording(ThunderError):
    """A sound that cannot be read; the message names it and says what to do."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raises BadRecording where the block cannot read the sound of a file."""
    try:
        yield
    except (soundfile.LibsndfileError, OSError) as error:
        raise BadRecording(
            f"{path} cannot be read as sound ({error}). Save it as WAV, or take it out of the "
            f"folder."
        ) from None


def read_recording(path: Path) -> np.ndarray:
    """Samples float32 [n] at 16 kHz, the mean of a file's channels. Raises BadRecording."""
    with reading(path):
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return at_rate(samples.mean(1), rate)


# ---- synthetic voices

FLITE_VOICES = ("slt", "rms", "awb", "kal16")
ESPEAK_LANGUAGES = (
    "en-us",
    "en-gb-x-rp",
    "en-gb-scotland",
    "fr",
    "de",
    "es",
    "it",
    "pt",
    "nl",
    "pl",
    "tr",
    "sv",
)
ESPEAK_VARIANTS = ("", "+f1", "+f2", "+f3", "+f4", "+m1", "+m2", "+m3", "+m4", "+m7", "+klatt2")

# Sounds of the world's languages as the nearest of the 40 phones, by the movement of lips, jaw and
# tongue. A pair is spoken in succession.
IPA = {
    "p": "P", "b": "B", "t": "T", "d": "D", "k": "K", "ɡ": "G", "g": "G", "q": "K", "ʔ": "SIL",
    "m": "M", "n": "N", "ɲ": "N", "ŋ": "NG",
    "ɱ": "M", "ɳ": "N", "f": "F", "v": "V", "ʋ": "V", "θ": "TH", "ð": "DH", "s": "S", "z": "Z",
    "ʃ": "SH", "ʒ": "ZH", "ʂ": "SH", "ʐ": "ZH",
    "ɕ": "SH", "ʑ": "ZH", "ç": "HH", "x": "HH", "χ": "HH", "ɣ": "G", "h": "HH", "ɦ": "HH",
    "ɧ": "SH", "ʝ": "Y", "β": "V", "ɸ": "F",
    "tʃ": "CH", "dʒ": "JH", "tɕ": "CH", "dʑ": "JH", "tʂ": "CH", "dʐ": "JH", "ts": "T S",
    "dz": "D Z", "pf": "P F", "l": "L", "ɫ": "L", "ʎ": "L",  # noqa: E501
    "ɭ": "L", "ɹ": "R", "r": "R", "ɾ": "D", "ʁ": "R", "ʀ": "R", "ɽ": "R", "ɻ": "R", "j": "Y",
    "w": "W", "ɥ": "W", "ʈ": "T", "ɖ": "D",
    "i": "IY", "ɪ": "IH", "e": "EY", "ɛ": "EH", "æ": "AE", "a": "AA", "ɑ": "AA", "ɐ": "AH",
    "ʌ": "AH", "ə": "AH", "ɜ": "ER", "ɚ": "ER",
    "ɝ": "ER", "ɔ": "AO", "o": "OW", "ɒ": "AO", "u": "UW", "ʊ": "UH", "ɯ": "IH", "ɨ": "IH",
    "ʉ": "UW", "y": "UW", "ʏ": "UH", "ø": "UH",
    "œ": "ER", "ɵ": "UH", "ɤ": "AH", "ɘ": "AH", "aɪ": "AY", "aʊ": "AW", "eɪ": "EY", "oʊ": "OW",
    "əʊ": "OW", "ʌʊ": "OW", "ɔɪ": "OY", "ɔø": "OY",  # noqa: E501
    "ɑɹ": "AA R", "ɔɹ": "AO R", "oɹ": "AO R", "ɪɹ": "IH R", "ɛɹ": "EH R", "ʊɹ": "UH R",
    "aɪɚ": "AY ER", "iə": "IH AH", "eə": "EH AH",
    "ʊə": "UH AH", "aɪə": "AY AH", "əl": "AH L", "aʊɚ": "AW ER",
}  # fmt: skip


def phones_of(symbol: str) -> list[str]:
    """ARPABET phones of an IPA symbol, its length and other marks ignored; [] for a mark that is no
    sound ("(en)")."""
    if symbol.startswith("(") or "?" in symbol:
        return []
    if not symbol:
        return ["SIL"]
    bare = "".join(
        c
        for c in unicodedata.normalize("NFD", symbol)
        if not unicodedata.combining(c) and c not in "ːˑʲʰʷˈˌ̩'|-ˠˤ˞"
    )
    if bare in IPA:
        return IPA[bare].split()
    return [p for c in bare if c in IPA for p in IPA[c].split()]


def speak_flite(text: str, voice: str, stretch: float = 1.0) -> tuple[np.ndarray, list]:
    """`text` by flite: (float32 samples at 16 kHz, [(phone, start s, end s)] exact by
    construction)."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "speech.wav"
        command = [
            "flite",
            "-voice",
            voice,
            "--setf",
            f"duration_stretch={stretch:.3f}",
            "-psdur",
            "-t",
            text,
            "-o",
            str(out),
        ]
        times = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=120
        ).stdout
        samples = read_recording(out)
    phones, start = [], 0.0
    for word in times.split():
        symbol, _, end = word.rpartition(":")
        phones.append((symbol, start, float(end)))
        start = float(end)
    return samples, phones


class _Event(ctypes.Structure):
    class Id(ctypes.Union):
        _fields_ = [
            ("number", ctypes.c_int),
            ("name", ctypes.c_char_p),
            ("string", ctypes.c_char * 8),
        ]

    _fields_ = [
        ("type", ctypes.c_int), ("unique", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int), ("sample", ctypes.c_int), ("user", ctypes.c_void_p),
        ("id", Id),
    ]  # fmt: skip


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)
_RETRIEVAL, _PHONEME_EVENTS, _IPA, _END, _PHONEME, _UTF8 = 2, 1, 2, 0, 7, 1
_SPEED, _PITCH, _RANGE = 1, 3, 4
_SEAM = 0.05  # s


@lru_cache(maxsize=1)
def _espeak() -> tuple[ctypes.CDLL, int]:
    """The library, initialised once, and its sample rate in Hz."""
    library = ctypes.CDLL("libespeak-ng.so.1")
    return library, library.espeak_Initialize(_RETRIEVAL, 500, None, _PHONEME_EVENTS | _IPA)


def speak_espeak(
    text: str, voice: str, speed: int = 170, pitch: int = 50, span: int = 50
) -> tuple[np.ndarray, list]:
    """`text` by espeak-ng: as `speak_flite`. speed: words a minute; pitch, span (its range): 0 …
    99. Not for threads."""
    library, rate = _espeak()
    pieces: list[np.ndarray] = []
    events: list[tuple[str, int]] = []

    @_Callback
    def receive(wave, count, event):
        if wave and count > 0:
            pieces.append(np.ctypeslib.as_array(wave, (count,)).copy())
        i = 0
        while event[i].type != _END:
            if event[i].type == _PHONEME:
                events.append((event[i].id.string.decode("utf-8", "replace"), event[i].sample))
            i += 1
        return 0

    library.espeak_SetSynthCallback(receive)
    library.espeak_SetVoiceByName(voice.encode())
    for parameter, value in ((_SPEED, speed), (_PITCH, pitch), (_RANGE, span)):
        library.espeak_SetParameter(parameter, int(value), 0)
    data = text.encode()
    library.espeak_Synth(data, len(data) + 1, 0, 1, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    samples = (
        np.concatenate(pieces).astype(np.float32) / 32768 if pieces else np.zeros(0, np.float32)
    )
    sounds = [(names, at / rate) for symbol, at in events if (names := phones_of(symbol))]
    # An empty symbol is a pause, or the seam inside a trilled sound: short ones belong to the
    # preceding sound.
    nexts = [at for _, at in sounds[1:]] + [len(samples) / rate]
    sounds = [
        s
        for i, (s, end) in enumerate(zip(sounds, nexts))
        if i == 0 or s[0] != ["SIL"] or end - s[1] > _SEAM
    ]
    ends = [at for _, at in sounds[1:]] + [len(samples) / rate]
    phones = []
    for (names, start), end in zip(sounds, ends):
        step = (end - start) / len(names)
        phones += [(name, start + i * step, start + (i + 1) * step) for i, name in enumerate(names)]
    return at_rate(samples, rate), phones


def synthesise(texts: list[str], rng: np.random.Generator) -> tuple[str, np.ndarray, list]:
    """One random sentence of `texts` in one random voice: (voice, samples, phones); a third of them
    are flite's."""
    text = texts[rng.integers(len(texts))].lower()
    if rng.random() < 0.35:
        voice = FLITE_VOICES[rng.integers(len(FLITE_VOICES))]
        return f"flite-{voice}", *speak_flite(text, voice, float(rng.uniform(0.75, 1.35)))
    # English letters read by another language's rules: nonsense in words, honest in sounds.
    voice = (
        ESPEAK_LANGUAGES[rng.integers(len(ESPEAK_LANGUAGES))]
        + ESPEAK_VARIANTS[rng.integers(len(ESPEAK_VARIANTS))]
    )
    return f"espeak-{voice}", *speak_espeak(
        text,
        voice,
        int(rng.integers(110, 230)),
        int(rng.integers(15, 90)),
        int(rng.integers(20, 90)),
    )
