# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m tools.sculpt [FOLDER]` in the engine's environment writes the heads of all people into weights/, bit for bit as they were."""

import sys

from .head import main

main(*sys.argv[1:2])
