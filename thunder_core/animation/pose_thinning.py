# SPDX-License-Identifier: GPL-3.0-or-later
"""Thins out, evens and aligns the keys of each curve of a region."""

from bisect import bisect_left
from collections.abc import Generator
from functools import lru_cache

import numpy as np

from ..filters import hermite, slices
from .keys import BULGE, LEAST, PoseKeys, relative_error, ROWS, SAMPLES
from .pose_fit import Region

_KINK_COST = 0.5  # share of the allowed error traded for a curve without a kink
_JOINED_COST = 0.5  # share of the allowed error traded for replacing two keys with one
_LEVEL = 0.05  # share of the allowed error: neighbouring keys that differ by less get one value


class ThinnedCurve:
    """Keys of one channel of a region while some are taken away: frames, values, slopes out of and
    into segments (thirds)."""

    def __init__(self, frames: list[int], value: np.ndarray, out: np.ndarray, into: np.ndarray):
        self.frames, self.value, self.out, self.into = (
            list(frames),
            list(value),
            list(out),
            list(into),
        )

    def segment(self, place: int) -> np.ndarray:
        """Samples of the curve from key `place` to the next, both included."""
        a, b, slopes, _ = _segment_basis(
            (self.frames[place + 1] - self.frames[place]) * SAMPLES + 1
        )
        return (
            a * self.value[place]
            + b * self.value[place + 1]
            + slopes @ (self.out[place], self.into[place])
        )

    def samples(self) -> np.ndarray:
        """The whole curve."""
        return np.concatenate(
            [*(self.segment(place)[:-1] for place in range(len(self.frames) - 1)), self.value[-1:]]
        )

    def keys(self) -> PoseKeys:
        """As a curve's keys, level at both ends."""
        gaps = np.diff(self.frames) / 3
        right = np.append(np.array(self.out) / gaps, 0.0)
        left = np.append(0.0, np.array(self.into) / gaps)
        return PoseKeys(np.array(self.frames), np.array(self.value, float), left, right)


@lru_cache(maxsize=256)
def _segment_basis(count: int):
    """For a segment of `count` samples: the basis of its end values, the basis of its slopes (in
    thirds), their normal matrix."""
    a, b, c, d = hermite(np.arange(count) / (count - 1))
    slopes = 3 * np.stack([c, d], 1)
    return a, b, slopes, (slopes.T @ slopes).tolist()


def _slopes(
    wanted: np.ndarray,
    start: float,
    end: float,
    slack: float,
    low: float,
    high: float,
    level: tuple[bool, bool],
) -> tuple[float, float]:
    """Slopes, in thirds, of the segment from start to end nearest to samples wanted [N] that keeps
    within its range. It holds if both ends are equal. level: whether it leaves and arrives
    level."""
    if start == end:
        return 0.0, 0.0
    a, b, slopes, ((g, e), (_, f)) = _segment_basis(len(wanted))
    p, q = ((wanted - a * start - b * end) @ slopes).tolist()
    out, into = (p * f - q * e) / (g * f - e * e), (q * g - p * e) / (g * f - e * e)
    (least_out, most_out), (least_into, most_into) = _slope_limits(start, end, slack, low, high)
    if level[0]:
        out = least_out = most_out = 0.0
    if level[1]:
        into = least_into = most_into = 0.0
    for _ in range(3):
        out = min(max(out, least_out), most_out)
        into = min(max((q - e * out) / f, least_into), most_into)
        out = min(max((p - e * into) / g, least_out), most_out)
    return out, into


def _slope_limits(start: float, end: float, slack: float, low: float, high: float):
    """Least and most slope out of and into a segment, in thirds: `bound_slopes` for one,
    twenty times as fast."""
    up = end >= start
    behind, ahead = (start - low, high - end) if up else (high - start, end - low)
    behind, ahead = (min(slack, max(distance, 0.0) / BULGE) for distance in (behind, ahead))
    size = abs(end - start)
    return (
        ((-behind, size + ahead), (-ahead, size + behind))
        if up
        else ((-size - ahead, behind), (-size - behind, ahead))
    )


class Thinning:
    """A region's curves, and how far off everything is while their keys change."""

    def __init__(self, region: Region, curves: list[ThinnedCurve], level: set[int]):
        self.region, self.curves = region, curves
        closed = np.zeros(len(region.curves) // SAMPLES + 1, int)
        closed[list(level)] = 1
        self.closed_before = np.append(0, np.cumsum(closed)).tolist()
        self.strength = np.linalg.norm(
            region.flat.reshape(len(region.flat), -1, 3)[:, :-1], axis=2
        ).max(1)
        self.error = np.empty((len(region.curves), region.flat.shape[1]), np.float32)
        self.off = np.empty(len(region.curves))
        self.shown = np.empty(region.curves.shape)

    def measure(self) -> Generator[float, None, None]:
        """Measure how far off the curves are with their present keys. Yields progress."""
        for channel, curve in enumerate(self.curves):
            self.shown[:, channel] = curve.samples()
            yield 0.5 * (channel + 1) / len(self.curves)
        for rows in slices(len(self.shown), ROWS):
            self.error[rows] = (self.shown[rows] - self.region.curves[rows]).astype(
                np.float32
            ) @ self.region.flat
            self.off[rows] = relative_error(self.error[rows], self.region.weight[rows])
            yield 0.5 + 0.5 * min(1.0, rows.stop / len(self.shown))

    def slack(self, channel: int, first: int, last: int) -> float:
        """Distance by which a channel may leave the range of its keys on these frames."""
        touched = self.closed_before[last + 1] > self.closed_before[first]
        return 0.0 if touched else float(self.region.slack[channel])

    def try_keys(
        self,
        channel: int,
        start: int,
        end: int,
        frames: list[int],
        value: list[float],
        allowed_growth: float | None,
        slopes: tuple[list[float], list[float]] | None = None,
    ) -> bool:
        """Replace the keys from index start to end, if no error grows by more than
        `allowed_growth`; None: any growth.

        slopes: out of and into each segment, in thirds; None: the best ones.
        """
        curve, region = self.curves[channel], self.region
        first, last = frames[0], frames[-1]
        rows = slice(first * SAMPLES, last * SAMPLES + 1)
        low, high = region.low[channel], region.high[channel]
        if slopes is None:
            begins, ends = region.level_ends
            pairs = [
                _slopes(
                    region.curves[a * SAMPLES : b * SAMPLES + 1, channel],
                    v,
                    w,
                    self.slack(channel, a, b),
                    low,
                    high,
                    (begins and a == 0, ends and b == curve.frames[-1]),
                )
                for a, b, v, w in zip(frames[:-1], frames[1:], value[:-1], value[1:])
            ]
            slopes = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        new = ThinnedCurve(frames, value, *slopes)
        samples = new.samples()
        change = (samples - self.shown[rows, channel]).astype(np.float32)
        worst = int(np.abs(change).argmax())
        # the point of largest change usually suffices
        for some in (slice(first * SAMPLES + worst, first * SAMPLES + worst + 1), rows):
            here = change[worst : worst + 1] if some is not rows else change
            error = self.error[some] + here[:, None] * region.flat[channel]
            off, before = relative_error(error, region.weight[some]), self.off[some]
            if allowed_growth is not None and (
                (off > np.maximum(1.0, before)).any() or (off - before).max() > allowed_growth
            ):
                return False
        self.error[rows], self.off[rows], self.shown[rows, channel] = error, off, samples
        curve.frames[start : end + 1], curve.value[start : end + 1] = new.frames, new.value
        curve.out[start:end], curve.into[start:end] = new.out, new.into
        return True

    def even_out(self, channel: int) -> Generator[float, None, None]:
        """Give neighbouring keys that hardly differ one value: the curve holds there. The outer
        keys keep theirs. Yields progress."""
        curve, near = self.curves[channel], _LEVEL / max(self.strength[channel], LEAST)
        start, final = 0, len(curve.frames) - 1
        while start < final:
            end = start
            while end < final and (one := abs(curve.value[end + 1] - curve.value[start])) < near:
                end += 1
            if end > start and (start > 0 or end < final or one == 0.0):
                a, b = max(start - 1, 0), min(end + 1, final)
                same = curve.value[end if end == final else start]
                value = (
                    curve.value[a:start] + [same] * (end - start + 1) + curve.value[end + 1 : b + 1]
                )
                self.try_keys(channel, a, b, curve.frames[a : b + 1], value, np.inf)
                yield end / final
            start = end + 1 if end > start else start + 1

    def _settle(self, channel: int) -> None:
        """Bound slopes by the range the curve moves through now: fewer keys may have made that
        smaller."""
        curve, before = self.curves[channel], self.region.slack[channel]
        slack = (
            before
            * np.ptp(curve.value)
            / max(self.region.high[channel] - self.region.low[channel], LEAST)
        )
        for place in range(len(curve.frames) - 1):
            slack_here = min(slack, self.slack(channel, *curve.frames[place : place + 2]))
            out, into = _slope_limits(
                *curve.value[place : place + 2],
                slack_here,
                self.region.low[channel],
                self.region.high[channel],
            )
            curve.out[place] = min(max(curve.out[place], out[0]), out[1])
            curve.into[place] = min(max(curve.into[place], into[0]), into[1])

    def errors_on(self, frame: int) -> np.ndarray:
        """Error of each curve on a frame, [C]."""
        return np.abs(self.shown[frame * SAMPLES] - self.region.curves[frame * SAMPLES])

    def set_keys(self, frame: int) -> Generator[float, None, None]:
        """Set all curves to their wanted values on a frame between the outer ones. Yields
        progress."""
        for channel in np.flatnonzero(self.errors_on(frame) > 0.0):
            curve = self.curves[channel]
            before = bisect_left(curve.frames, frame) - 1
            after = before + 1 + (curve.frames[before + 1] == frame)
            frames = [curve.frames[before], frame, curve.frames[after]]
            value = [
                curve.value[before],
                float(self.region.curves[frame * SAMPLES, channel]),
                curve.value[after],
            ]
            self.try_keys(channel, before, after, frames, value, None)
            yield 0.0

    def thin(
        self, channel: int, allowed_growth: float, only: np.ndarray | None = None
    ) -> Generator[float, None, None]:
        """Remove the keys a curve can do without, of those on the frames `only` [T] if given.
        Yields progress."""
        curve, place = self.curves[channel], 1
        while place < len(curve.frames) - 1:
            frames, value = [
                [part[place - 1], part[place + 1]] for part in (curve.frames, curve.value)
            ]
            if only is not None and not only[curve.frames[place]]:
                place += 1
                continue
            if not self.try_keys(channel, place - 1, place + 1, frames, value, allowed_growth):
                place += 1
            yield min(1.0, place / len(curve.frames))

    def join(
        self, channel: int, stay: set[int], only: np.ndarray | None = None
    ) -> Generator[float, None, None]:
        """Replace two keys on adjacent frames by one where the error allows it; only on the frames
        `only` [T] if given. stay: frames that keep their keys. Yields progress."""
        curve, place = self.curves[channel], 1
        while place < len(curve.frames) - 2:
            four = slice(place - 1, place + 3)
            first, *pair, last = curve.frames[four]
            start, *values, end = curve.value[four]
            fixed = [frame for frame in pair if frame in stay]
            if pair[1] - pair[0] == 1 and len(fixed) < 2 and (only is None or only[pair].any()):
                middle = sum(values) / 2
                for frame, value in zip((*pair, *pair), (*values, middle, middle)):
                    keys = [first, frame, last], [start, value, end]
                    if (not fixed or frame in fixed) and self.try_keys(
                        channel, place - 1, place + 2, *keys, _JOINED_COST
                    ):
                        break
                yield place / len(curve.frames)
            place += 1

    def align(self, channel: int, only: np.ndarray | None = None) -> Generator[float, None, None]:
        """Remove kinks at keys, of those on the frames `only` [T] if given, where the error allows
        it, and bound the slopes of all. Yields progress."""
        curve, region = self.curves[channel], self.region
        for place in range(1, len(curve.frames) - 1):
            if only is not None and not only[curve.frames[place]]:
                continue
            before, after = (curve.frames[i + 1] - curve.frames[i] for i in (place - 1, place))
            left, right = curve.into[place - 1] / before, curve.out[place] / after
            if left == right:
                continue
            three = slice(place - 1, place + 2)
            frames, value = curve.frames[three], curve.value[three]
            holds = curve.value[place] in (curve.value[place - 1], curve.value[place + 1])
            # the shorter side counts more
            slope = 0.0 if holds else (left * after + right * before) / (before + after)
            bounds = (region.low[channel], region.high[channel])
            _, (least_before, most_before) = _slope_limits(
                *value[:2], self.slack(channel, *frames[:2]), *bounds
            )
            slope = min(max(slope, least_before / before), most_before / before)
            (least, most), _ = _slope_limits(*value[1:], self.slack(channel, *frames[1:]), *bounds)
            slope = min(max(slope, least / after), most / after)
            if least_before > slope * before or slope * before > most_before:
                continue
            self.try_keys(
                channel,
                place - 1,
                place + 1,
                frames,
                value,
                _KINK_COST,
                ([curve.out[place - 1], slope * after], [slope * before, curve.into[place]]),
            )
            yield place / len(curve.frames)
        self._settle(channel)
