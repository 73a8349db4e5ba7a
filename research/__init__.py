# SPDX-License-Identifier: GPL-3.0-or-later
"""The laboratory: it makes and measures the product, and is no part of it. `python -m research`
lists its parts."""

import os

from thunder_core.system_calls import multiply_in_one_thread

# as the worker is started
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
multiply_in_one_thread()
