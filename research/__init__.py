# SPDX-License-Identifier: GPL-3.0-or-later
"""The laboratory: it makes and measures the product, and is no part of it. `python -m research`
lists its parts."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the client starts the worker
