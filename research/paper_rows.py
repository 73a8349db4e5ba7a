# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's figures, for comparison with ours: Tables 2 and 3 of Daněček et al., 3DV 2026, as
printed there; lengths in cm."""

TABLE2_COLUMNS = (
    "lve",
    "l_ccc",
    "l_pcc",
    "dtw",
    "sdiv_u",
    "tdiv_u",
    "sdiv_l",
    "tdiv_l",
    "fdd_u",
    "fdd_l",
)
TABLE3_COLUMNS = ("lve", "l_ccc", "l_pcc", "dtw", "ba", "div")

TITLES = {
    "lve": "LVE ↓", "l_ccc": "L-CCC ↑", "l_pcc": "L-PCC ↑", "dtw": "DTW ↓", "sdiv_u": "S-DIV-U ↑",
    "tdiv_u": "T-DIV-U ↑", "sdiv_l": "S-DIV-L ↓", "tdiv_l": "T-DIV-L ↓", "fdd_u": "FDD-U ↓",
    "fdd_l": "FDD-L ↓", "ba": "BA ↑", "div": "DIV ↑",
}  # fmt: skip

# Rows in the order of the table; those that are not in the paper are ours.
TABLE2_ROWS = (
    "thunder", "thunder+face2s", "thunder+face2s-masked", "thunder+exp2s", "thunder+exp2s-masked",
    "thunder+mouth2s", "thunder+mouth2s-masked", "thunder+lips2s", "thunder+lips2s-masked",
    "thunder-t", "thunder-t+mouth2s", "thunder-t+mouth2s-masked", "media2face",
    "media2face+mouth2s", "media2face+mouth2s-masked", "diffposetalk", "diffposetalk+mouth2s",
    "diffposetalk+mouth2s-masked", "flameformer", "flameformer+mouth2s", "flameselftalk",
    "flameselftalk+mouth2s", "teacher",
)  # fmt: skip
TABLE3_ROWS = (
    "thunder", "thunder+mouth2s", "thunder+mouth2s-masked", "thunder-t", "thunder-t+mouth2s",
    "thunder-t+mouth2s-masked", "diffposetalk", "diffposetalk+mouth2s",
    "diffposetalk+mouth2s-masked",
)  # fmt: skip

TABLE2 = {
    "thunder": (0.879, 0.359, 0.568, 0.329, 0.0419, 0.044, 0.21, 0.254, 0.0118, 0.0932),
    "thunder+face2s": (0.804, 0.411, 0.633, 0.285, 0.0297, 0.0409, 0.128, 0.237, 0.0117, 0.0827),
    "thunder+exp2s": (0.83, 0.362, 0.63, 0.296, 0.0404, 0.0398, 0.176, 0.228, 0.0125, 0.0939),
    "thunder+mouth2s": (0.802, 0.426, 0.639, 0.29, 0.0322, 0.04, 0.134, 0.241, 0.0122, 0.0806),
    "thunder-t": (0.723, 0.428, 0.623, 0.266, 0.020, 0.0411, 0.0656, 0.216, 0.0118, 0.0811),
    "thunder-t+mouth2s": (0.709, 0.445, 0.66, 0.256, 0.021, 0.039, 0.0669, 0.202, 0.0118, 0.0788),
    "media2face": (0.96, 0.308, 0.531, 0.363, 0.0163, 0.0459, 0.108, 0.256, 0.0105, 0.0899),
    "diffposetalk": (0.68, 0.464, 0.612, 0.267, 0.025, 0.0379, 0.117, 0.223, 0.0101, 0.0776),
    "diffposetalk+mouth2s": (
        0.651,
        0.469,
        0.653,
        0.268,
        0.0172,
        0.0377,
        0.0604,
        0.204,
        0.0117,
        0.0813,
    ),
    "flameformer": (0.809, 0.368, 0.57, 0.291, 0.0271, 0.0372, 0.132, 0.239, 0.0117, 0.0909),
    "flameformer+mouth2s": (
        0.794,
        0.411,
        0.614,
        0.265,
        0.0263,
        0.0393,
        0.111,
        0.219,
        0.0107,
        0.0715,
    ),
    "flameselftalk": (0.695, 0.504, 0.698, 0.243, 0.0275, 0.0372, 0.108, 0.201, 0.00983, 0.0692),
    "flameselftalk+mouth2s": (
        0.674,
        0.518,
        0.705,
        0.243,
        0.029,
        0.039,
        0.108,
        0.193,
        0.00965,
        0.0674,
    ),
}
TABLE3 = {
    "thunder": (1.2, 0.285, 0.388, 2.26, 6.02e-3, 3.07),
    "thunder+mouth2s": (1.07, 0.298, 0.435, 1.95, 6.13e-3, 3.78),
    "diffposetalk": (1.01, 0.414, 0.541, 1.85, 5.54e-3, 2.16),
    "thunder-t": (1.12, 0.358, 0.488, 1.86, 6.25e-3, 3.49),
    "thunder-t+mouth2s": (0.987, 0.422, 0.55, 1.81, 5.77e-3, 4.83),
}
PAPER2, PAPER3 = (  # of each row, its figures by their names
    {name: dict(zip(columns, row)) for name, row in table.items()}
    for table, columns in ((TABLE2, TABLE2_COLUMNS), (TABLE3, TABLE3_COLUMNS))
)
# each with what it is compared
MASKED = tuple(
    (name.removesuffix("-masked"), name) for name in TABLE2_ROWS if name.endswith("-masked")
)
