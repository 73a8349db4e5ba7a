# SPDX-License-Identifier: GPL-3.0-or-later
"""The grade of a lip-sync: good, to be checked or poor, and the stretches where lips drift, from
the score of each frame; numpy only."""

import numpy as np

from .filters import runs

GOOD, CHECK, POOR = "good", "check", "poor"
# a frame below this score is wrong in any take; between the anchors of 120 ms off (8) and damped
# lips (45)
WRONG = 26.0
# Wrong frames in a row that make a take poor, and that make it one to check; least score of a good
# one. Set on validation voices, where lips 120 ms off, opened closures and a mouth that stops were
# planted (`python -m research ranking --faults`).
_POOR_FRAMES, _CHECK_FRAMES, _LEAST_GOOD = 8, 2, 55.0
# a frame below this score, and as far below the take's total, drifts too
_DRIFTING, _BELOW_TOTAL = 65.0, 12.0
_SHORTEST_DRIFT, _BRIDGE = 2, 5  # frames: shorter drifts are ignored, gaps up to this are bridged


def drifts(total: float, per_frame: np.ndarray) -> list[np.ndarray]:
    """Stretches where the lips drift, as frame numbers, of a take with this score (not finite if
    unknown) and these of its frames [T]."""
    usual = (total if np.isfinite(total) else 100.0) - _BELOW_TOTAL
    low = np.flatnonzero(per_frame < max(WRONG, min(_DRIFTING, usual)))
    return [run for run in runs(low, _BRIDGE) if len(run) >= _SHORTEST_DRIFT]


def grade_take(total: float, per_frame: np.ndarray) -> tuple[str, int]:
    """GOOD, CHECK or POOR for a take with this score and these of its frames [T], and the frame
    that is worst: in the longest run of wrong ones, else where lips drift."""
    wrong = np.flatnonzero(per_frame < WRONG)
    run = max(runs(wrong), key=len, default=wrong)
    places = (
        run if len(run) else np.concatenate(drifts(total, per_frame) or [np.arange(len(per_frame))])
    )
    place = places[per_frame[places].argmin()]
    if len(run) >= _POOR_FRAMES:
        return POOR, int(place)
    return (GOOD if len(run) < _CHECK_FRAMES and total >= _LEAST_GOOD else CHECK), int(place)
