# SPDX-License-Identifier: GPL-3.0-or-later
"""Points of a scrambled Sobol sequence, which fill space evenly however many are taken (Joe and Kuo
2008; Owen 1998).

The tables are torch's for a seed of 7: `sobolstate` (its first 16 columns) and `shift` of
`torch.quasirandom.SobolEngine(14, scramble=True, seed=7)`, eight hexadecimal digits a number;
tests/core/test_noise.py makes them again. Other tables would change the readings of all seeds.
"""

from __future__ import annotations

import numpy as np

POINTS = 1 << 16  # points of the sequence in use; larger numbers start over
_BITS = 30  # of a coordinate


def _numbers(digits: str) -> list[int]:
    """Numbers of eight hexadecimal digits each."""
    return [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]


# Direction numbers [14 dimensions, 16 bits of a point's number], as integers of 30 bits.
_DIRECTIONS = np.array([_numbers(row) for row in (
    "2877acef120c49000b025659061004d8022bfc4601efbdb500e7962a005617fd003ddaa5001e2df70008d57a0007d46a0002a849000179e80000bc47000074dc",
    "2d631a1539c727a62476973535ece9752f8c3ebb3afc2d3a265f5c703657bf382d5f177039e9aa5824470aa535c8c2e52fb37bc03ad0102f266d7c373671bbf6",
    "214ecec338c9baa217e7627e244eaa1d346e31521febd84a22c5c2d13918771c1515d663270eade53530c5771d6484b5215efff338f89a0117c3be8f24517f60",
    "31fc9c5421b30ebb09d7b12a16a679cc2c807e791e4bcbfd38dc416337926a5f257d73aa0883ac7e14e3ec5f299afe461d7ecd613ffb5cd4310b4db12135f4fa",
    "25571df4142329640b38cfb828f063c43f358393354349901a8b0f4b212eb3a91195eff20901a3002e3e933c3cffdf5134c1ed181d23ee9f25068e18140c2d05",
    "350f327b17b093fa18470e7109f77c9621a6e0060e94853a1066796b28ad85c22d74c2971e51b79c39f8ee7d076980e031e8b9bf26370f1b3d00262236debef3",
    "34e9c3e128500e2d3dba421e2c09ba061a8943aa315463aa0e1b093b21c1aeb33ad1042109a1459b07426c94259ecbae1ddc384b14eee14713c81c9e3515b224",
    "241d11c515011fc62e6f423b13c1ba94278e63110b0b5fda0612212608edb3a3183562ea20fda65e039816fa1e0e4f71287451fd1b29245f3fb0be772bf4e2df",
    "23a414401b7decd02a4a19ac1c083b1c0afa0b4f3ea866891125628b158afa350db77b7d1f0d027f328bd56e0ef0862327f5fa8c0303600338734b9b30544c6a",
    "2c6177df1eb353063c7ca4bb269ba6e42a6b7ee22999db652ec879b0181ea0a90a6963fe34a2f1ef14b3272609aa2cd032bc6d4123b0229d1a754ebd0c831d90",
    "3f169d94119bb70e34df23e507fb63a9027c4ee319637ae83b56161b0b0f5cf317cc9f63379747f01e7277e23891a2f1138e9ab32d07bf003d688bc508fb8790",
    "3bae51ed1ba66324096dd7150e3dbfd01f5d59453074a5a73d7030900a027fdf2671a34103e3b8c329cf5ce91c7cc116198c195121d506911269666807d0f574",
    "384d5b982666f64d3086231e1a4b37e2294755cc3a4778012e3bf6890c54f5bc02d369fc08b89d5a3de87e7618c3b2a6218fbd7a0661715a37fff9572c574c44",
    "29ddd34e3a361e061ced4fe32e5afbf00a48580d3bcf1b511324bc35267220dc32f936cc24c04c9a31bd82b52844423b353253ad146f47f416a4cdaf15975ff2",
)])  # fmt: skip
_SHIFT = np.array(
    _numbers(
        "0cc42af50af08d992ff576c60bcbcbfb233bc274310039ba1735f13c3ee5d69e3b1fca3409c4b20930f437841f39de420d098c241e101be5"
    )
)


def sobol_point(number: int) -> np.ndarray:
    """A point of the sequence by its number: float64 [14], above 0 and below 1."""
    number %= POINTS
    gray = number ^ (number >> 1)
    chosen = _DIRECTIONS[:, [bit for bit in range(len(_DIRECTIONS[0])) if gray >> bit & 1]]
    point = np.bitwise_xor.reduce(chosen, axis=1, initial=0) ^ _SHIFT
    # torch rounds the first
    return (point / (1 << _BITS)).astype(np.float64 if number else np.float32).astype(np.float64)
