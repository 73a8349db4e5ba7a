# SPDX-License-Identifier: GPL-3.0-or-later
"""The events that a performance plans, as curves: what head, brows, gaze, lids and breath do besides small movement.

The diffusion model is conditioned on them (`engine.diffusion.Denoiser`), so it carries a planned nod or blink out with everything that
goes along with it. The teacher's performances come with the curves of the events that it played.
"""

import numpy as np

# Curves and the size of a usual event. nod, turn, tilt: of the head, degrees.  raise: of inner, left and right outer brow, channel values;
# knit: of both.  look: degrees that the gaze in the world turns and is lowered.  blink: closure of the lids, 0 … 1.  breath: of an
# inhalation, 0 … 1.  side: −1 or 1, to which side a mood turns and tilts the head and doubt raises a brow, above 0 the left.
_SIZES = {
    "nod": 3.0, "turn": 3.0, "tilt": 3.0, "raise_inner": 0.2, "raise_left": 0.2, "raise_right": 0.2, "knit": 0.2,
    "look_turn": 5.0, "look_lower": 5.0, "blink": 1.0, "breath": 1.0, "side": 1.0,
}  # fmt: skip
EVENTS = tuple(_SIZES)
SIZES = np.array(list(_SIZES.values()), np.float32)
HEAD, BROWS, KNIT, LOOK = slice(0, 3), slice(3, 6), 6, slice(7, 9)
BLINK, BREATH, SIDE = 9, 10, 11
