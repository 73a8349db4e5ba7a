# SPDX-License-Identifier: GPL-3.0-or-later
"""The curves of a plan's events, which the diffusion model is conditioned on (`thunder_core.events`)."""

from __future__ import annotations

import numpy as np

from ... import filters
from ...events import EVENTS
from ...filters import eased
from ...types import FPS
from .plan import Look, Nod, Plan, Raise

_FINE = 4  # steps per frame in which the head's target is followed
_SPRING = 9.0  # stiffness of the head's movement towards its target, 1/s
_INHALE = 0.5  # rise of the head at an inhalation, degrees
_BREATH_RISE, _BREATH_FALL = 0.22, 0.3  # of an inhalation, s
_MOST_KNIT = 0.8


def event_curves(plan: Plan, frames: int, tempo: float = 1.0) -> np.ndarray:
    """What a plan does over some frames: float32 [T, EVENTS]. tempo: quickness of the head's poses, 1 as usual."""
    t = np.arange(frames) / FPS
    shut, breath = np.zeros(frames), np.zeros(frames)
    for at, length in plan.blinks:
        shut = np.maximum(shut, _blink(at, length, t))
    for at, air in plan.breaths:
        breath = np.maximum(breath, air * (eased((t - at) / _BREATH_RISE) - eased((t - at - _BREATH_RISE) / _BREATH_FALL)))
    columns = (
        _head(plan, frames, tempo), _brows(plan.raises, t, 1.0), _brows(plan.knits, t, _MOST_KNIT)[:, :1], _gaze(plan.looks, frames),
        shut[:, None], breath[:, None], np.full((frames, 1), plan.side),
    )  # fmt: skip
    curves = np.concatenate(columns, 1).astype(np.float32)
    assert curves.shape[1] == len(EVENTS)
    return curves


def _damped(target: np.ndarray, rate: float, hertz: float) -> np.ndarray:
    """[N, c] on critically damped springs of `rate` 1/s towards a target [N, c] at `hertz`, at rest on the first."""
    a = np.exp(-rate / hertz)
    first = target[:1]
    moved = target - first
    for _ in range(2):
        moved = filters.low_pass(moved, a)
    return moved + first


def _head(plan: Plan, frames: int, tempo: float) -> np.ndarray:
    """Nod, turn and tilt of the head by the poses, looks, nods and breaths of a plan, degrees [T, 3]."""
    hertz = FPS * _FINE
    t, fine = np.arange(frames) / FPS, np.arange(frames * _FINE) / hertz
    target = np.tile(plan.poses[0].degrees, (len(fine), 1)) if plan.poses else np.zeros((len(fine), 3))
    for before, pose in zip(plan.poses, plan.poses[1:]):
        target += eased((fine - pose.at) / pose.lasts)[:, None] * (pose.degrees - before.degrees)
    gaze = np.zeros((len(fine), 2))
    for look in plan.looks:
        gaze[fine >= look.at] = look.follow * look.degrees
    target[:, 1] += gaze[:, 0]
    target[:, 0] += gaze[:, 1]
    head = _damped(target, _SPRING * tempo, hertz)[::_FINE]
    for nod in plan.nods:
        head += _stroke(nod, t)[:, None] * nod.degrees
    for at, air in plan.breaths:  # up with it, and down again slowly
        head[:, 0] -= air * _INHALE * (eased((t - at) / 0.4) - eased((t - at - 0.45) / 1.8))
    return head


def _stroke(nod: Nod, t: np.ndarray) -> np.ndarray:
    """Progress of a nod [T], 0 … 1."""
    return eased((t - nod.at + nod.down) / nod.down) - eased((t - max(nod.at, nod.until)) / nod.back)


def _bump(event: Raise, t: np.ndarray) -> np.ndarray:
    """Height of the brows [T], 0 … 1; they rise fastest at its time."""
    top = event.at + event.rise / 2
    return eased((t - top + event.rise) / event.rise) - eased((t - top - event.hold) / event.fall)


def _brows(events: list[Raise], t: np.ndarray, most: float) -> np.ndarray:
    """All raises together [T, 3], inner, outer left and outer right: they add up where they are small and give way to `most`."""
    total = np.zeros((len(t), 3))
    for event in events:
        parts = np.array([1.0, event.outer * (1 + event.lean), event.outer * (1 - event.lean)])
        total += event.height * _bump(event, t)[:, None] * parts
    return most * np.tanh(total / most)


def _blink(at: float, length: float, t: np.ndarray) -> np.ndarray:
    """Closure of the lids [T]: down in a tenth of a second, shut for a frame, up in twice as long."""
    hold = 0.045 * length
    return eased((t - at + 0.1) / 0.1) - eased((t - at - hold) / (0.2 * length))


def _gaze(looks: list[Look], frames: int) -> np.ndarray:
    """Degrees [T, 2] by which the gaze in the world is turned and lowered: jumps as fast as eyes make them."""
    t, gaze, now = np.arange(frames) / FPS, np.zeros((frames, 2)), np.zeros(2)
    for look in looks:
        jump = look.degrees - now
        gaze += eased((t - look.at) / (0.021 + 0.0022 * np.linalg.norm(jump)))[:, None] * jump
        now = look.degrees
    return gaze
