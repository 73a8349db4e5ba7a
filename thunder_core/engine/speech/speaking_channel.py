# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the channel of a sound that speaks, where the mean of all would blur it: beside timecode,
music or clicks, or in opposite phase."""

import numpy as np

MOST = 32  # channels; of more the mean is taken
_FRAME, _APART = 0.032, 5  # seconds, overlapping by half; frames (80 ms) over which sounds change
_PIECE = 2.0  # seconds analysed at once
_WHOLE, _EVERY = 60, 8  # pieces of which all are analysed; then one of so many
# Hz, critical bands (Zwicker 1961) of the telephone's range and below
_BANDS = np.array([100, 200, 300, 400, 510, 630, 770, 920, 1080, 1270, 1480, 1720, 2000, 2320,
                   2700, 3150, 3700])  # fmt: skip
_LOWEST, _HIGHEST = 75.0, 400.0  # Hz of a voice's pitch
_VOICED = 0.6  # autocorrelation at the pitch
_GLIDE = 0.003, 0.08  # a voice's pitch changes by so much a frame; an instrument's holds or leaps
_ACTIVE, _FLOOR = 30.0, 40.0  # dB below the loud frames: those that count, and the lowest level
_SPREAD = 4.0  # dB by which the level of speech varies at least
# Likeness of 30 real and 4 made voices: 3.6 to 9.6 (with noise as loud 2.5, whispered 1.9); of
# timecode, noise, hum, clicks, chords, melodies, drums and effects 0 to 2.2.
VOICE = 2.4
# Of the mean, by that of the best channel: .85 to 1.3 of two microphones or talkers, .14 to .5
# with timecode or a melody as loud.
BLURRED = 0.75
OTHER = 0.6  # of the best's likeness, below which another channel holds something else
DISTURBING = 0.05  # its power by that of the voice, from which on it is heard beside it


class ChannelFinder:
    """Hears a sound of several channels at `rate` Hz block by block."""

    def __init__(self, rate: int):
        self.rate, self.pieces, self.waiting = rate, 0, []  # type: int, int, list[np.ndarray]
        self.spectra: list[list[np.ndarray]] = []  # of each channel, and of the mean

    def add(self, block: np.ndarray) -> None:
        """Take in float32 [n, channels]."""
        self.waiting.append(block)
        if sum(map(len, self.waiting)) >= _PIECE * self.rate:
            self._analyse()

    def _analyse(self) -> None:
        piece, self.waiting = np.concatenate(self.waiting), []
        self.pieces += 1
        if self.pieces > _WHOLE and self.pieces % _EVERY or len(piece) < _FRAME * self.rate:
            return
        self.spectra = self.spectra or [[] for _ in range(piece.shape[1] + 1)]
        for list_, samples in zip(self.spectra, [*piece.T, piece.mean(axis=1)]):
            list_.append(_frames(samples, self.rate))

    def best(self) -> int:
        """The number of the channel, from 1, that speaks and that the mean would blur; 0 for the
        mean. To be called once, at the end."""
        if self.waiting:
            self._analyse()
        if not self.spectra:
            return 0
        frames = [np.concatenate(each) for each in self.spectra]
        *single, mean = (_likeness(each) for each in frames)
        powers = np.array([each[:, :-2].mean() for each in frames[:-1]])
        best, others = int(np.argmax(single)), np.array(single) < OTHER * max(single)
        disturbed = powers[others].sum() > DISTURBING * powers[best]
        blurred = mean < BLURRED * single[best]
        return best + 1 if single[best] >= VOICE and (disturbed or blurred) else 0


def _frames(samples: np.ndarray, rate: int) -> np.ndarray:
    """What is heard in each frame of [n]: power of the bands, then periodicity 0..1 and period in
    seconds, float32 [m, bands + 2]."""
    size = round(_FRAME * rate)
    window = np.hanning(size).astype(np.float32)
    framed = np.lib.stride_tricks.sliding_window_view(np.nan_to_num(samples), size)[:: size // 2]
    power = np.abs(np.fft.rfft(framed * window)) ** 2 / size
    hertz = np.fft.rfftfreq(size, 1 / rate)
    bands = [power[:, (hertz >= a) & (hertz < b)].sum(axis=1) for a, b in zip(_BANDS, _BANDS[1:])]
    first, last = int(rate / _HIGHEST), int(rate / _LOWEST)
    alike = np.fft.irfft(power * ((hertz >= 60) & (hertz < 2000)))
    own = np.fft.irfft(np.abs(np.fft.rfft(window, 2 * size)) ** 2)[:size]  # the window's
    lags = alike[:, first:last] / np.maximum(own[first:last] / own[0], 0.2)
    periodicity = lags.max(axis=1) / np.maximum(alike[:, 0], 1e-12)
    period = (lags.argmax(axis=1) + first) / rate
    return np.stack([*bands, periodicity, period], axis=1).astype(np.float32)


def _likeness(frames: np.ndarray) -> float:
    """How much frames sound like speech: their spectrum changes within 80 ms, their pitch glides,
    their level varies (features after Scheirer and Slaney 1997); 0 for silence."""
    bands, periodicity, period = frames[:, :-2], frames[:, -2], frames[:, -1]
    power = bands.sum(axis=1, keepdims=True) + 1e-12
    level = 10 * np.log10(power[:, 0])
    loud = np.percentile(level, 95)
    active = level > max(loud - _ACTIVE, -90.0)
    both = active[_APART:] & active[:-_APART]
    voiced = active & (periodicity > _VOICED)
    following = voiced[1:] & voiced[:-1]
    if not both.any() or following.sum() < 6:
        return 0.0
    shape = 10 * np.log10(bands + 1e-4 * power)
    shape -= shape.mean(axis=1, keepdims=True)
    change = np.sqrt(np.mean((shape[_APART:] - shape[:-_APART]) ** 2, axis=1))[both].mean()
    steps = np.abs(np.diff(np.log(period)))[following]
    gliding = np.mean((steps > _GLIDE[0]) & (steps < _GLIDE[1]))
    spread = np.maximum(level, loud - _FLOOR).std()
    return float(change * gliding * min(1.0, spread / _SPREAD))
