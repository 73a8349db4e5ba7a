# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest changes of keys that mend lip-sync: keys moved in time, and a rise and fall laid
over them; numpy only."""

import numpy as np

from . import keyframes

# frames beside a moved stretch in which keys are pressed together, for each frame that it is moved,
# and as many more
_ROOM = 2


def shift_keys(
    keys: dict[str, np.ndarray], first: float, last: float, by: float
) -> tuple[dict[str, np.ndarray], int]:
    """Keys of which those from first to last are moved by so many frames, and how many of them
    change.

    Those beside them are pressed together or pulled apart, so that none passes another.
    """
    room = _ROOM * abs(by) + _ROOM
    corners = [first - room, first, last, last + room]

    def later(frames: np.ndarray) -> np.ndarray:
        return frames + np.interp(frames, corners, [0.0, by, by, 0.0])

    result = dict(keys)
    for part in ("co", "handle_left", "handle_right"):
        result[part] = keys[part].copy()
        result[part][:, 0] = later(keys[part][:, 0].astype(np.float64))
    changed = np.abs(result["co"][:, 0] - keys["co"][:, 0]) > 1e-3
    return result, int(changed.sum())


def add_values(
    keys: dict[str, np.ndarray],
    frames: np.ndarray,
    values: np.ndarray,
    by: np.ndarray,
    at: list[int],
) -> tuple[dict[str, np.ndarray], int]:
    """Keys of a curve with values [S] at whole frames [S] that get `by` [S] more, by few keys: at
    the rows `at`, and those that are there.

    Returns them and how many are new or changed. Keys elsewhere keep their bits.
    """
    times = keys["co"][:, 0].astype(np.float64)
    inside = (times >= frames[0] - 0.01) & (times <= frames[-1] + 0.01)
    kept = [
        place
        for place in np.flatnonzero(inside)
        if all(abs(times[place] - frames[row]) > 0.5 for row in at)
    ]
    kept_times = times[kept]
    new_times = np.concatenate([kept_times, frames[at]])
    new_values = np.interp(new_times, frames, values + by)
    order = np.argsort(new_times, kind="stable")
    new = keyframes.on_every_frame(new_times[order], new_values[order])
    result = keyframes.concatenate(
        keyframes.select(keys, times < frames[0] - 0.01),
        new,
        keyframes.select(keys, times > frames[-1] + 0.01),
    )
    return result, len(new_times)


def delete_keys(
    keys: dict[str, np.ndarray], first: float, last: float
) -> tuple[dict[str, np.ndarray], int]:
    """Keys without those between two frames, and how many that are; one at either end stays."""
    times = keys["co"][:, 0]
    gone = (times > first + 0.01) & (times < last - 0.01)
    return keyframes.select(keys, ~gone), int(gone.sum())
