# SPDX-License-Identifier: GPL-3.0-or-later
"""What the encoder might hear of a line that is given by its phones."""

import numpy as np

from thunder_core.spoken import PHONES


def belief_of(line, noise=0.0, seed=0, missed=()):
    """Phone probabilities [N, 40] of a line, and the times of its phones [(phone, seconds)].
    missed: phones heard as another."""
    rng = np.random.default_rng(seed)
    rows, times = [], []
    for number, token in enumerate(line.split()):
        phone, length = token.rstrip("0123456789"), int(token.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        times.append((phone, (len(rows) + (length - 1) / 2) / 50 + 0.005))
        recognised = "N" if number in missed else phone
        for _ in range(length):
            row = np.full(40, 0.1 / 40)
            row[PHONES.index(recognised)] += 0.9
            row = (1 - noise) * row + noise * rng.dirichlet(np.full(40, 0.3))
            rows.append(row)
    return np.array(rows), times
