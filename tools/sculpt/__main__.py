# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m tools.sculpt [FILE]` in the engine's environment writes weights/head.npz, or another file, bit for bit as it was."""

import sys

from .head import main

main(*sys.argv[1:2])
