# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest changes of keys that mend lip-sync: keys moved in time, and a rise and fall laid
over them; numpy only."""

import numpy as np

from . import keyframes

# Keys that are this many frames from a moved stretch are squeezed or spread, and as many more for
# each frame that it moves.
_ROOM = 2


def shift_keys(
    keys: dict[str, np.ndarray], first: float, last: float, by: float
) -> tuple[dict[str, np.ndarray], int]:
    """Move the keys from first to last by some frames. Returns all keys, and the number that moved.

    Keys beside them are squeezed or spread, so that none passes another.
    """
    room = _ROOM * abs(by) + _ROOM
    corners = [first - room, first, last, last + room]

    def shift(frames: np.ndarray) -> np.ndarray:
        return frames + np.interp(frames, corners, [0.0, by, by, 0.0])

    result = dict(keys)
    for part in ("co", "handle_left", "handle_right"):
        result[part] = keys[part].copy()
        result[part][:, 0] = shift(keys[part][:, 0].astype(np.float64))
    changed = np.abs(result["co"][:, 0] - keys["co"][:, 0]) > 1e-3
    return result, int(changed.sum())


def add_values(
    keys: dict[str, np.ndarray],
    frames: np.ndarray,
    values: np.ndarray,
    change: np.ndarray,
    rows: list[int],
) -> tuple[dict[str, np.ndarray], int]:
    """Add `change` [S] to a curve with values [S] at whole frames [S], with few keys: the present
    ones, and new ones at `rows`.

    Returns the keys, and the number that are new or changed. Keys elsewhere stay exactly as they
    are.
    """
    times = keys["co"][:, 0].astype(np.float64)
    inside = (times >= frames[0] - 0.01) & (times <= frames[-1] + 0.01)
    kept = [
        place
        for place in np.flatnonzero(inside)
        if all(abs(times[place] - frames[row]) > 0.5 for row in rows)
    ]
    kept_times = times[kept]
    new_times = np.concatenate([kept_times, frames[rows]])
    new_values = np.interp(new_times, frames, values + change)
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
    """Delete the keys between two frames, except one at either end. Returns the rest, and the
    number deleted."""
    times = keys["co"][:, 0]
    gone = (times > first + 0.01) & (times < last - 0.01)
    return keyframes.select(keys, ~gone), int(gone.sum())
