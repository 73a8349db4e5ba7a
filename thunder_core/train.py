# SPDX-License-Identifier: GPL-3.0-or-later
"""Says where training went."""

import sys

if __name__ == "__main__":
    words = " ".join(sys.argv[1:]) or "--help"
    raise SystemExit(
        f"Training is part of the laboratory: in a clone of the repository, run python -m research "
        f"train {words}"
    )
