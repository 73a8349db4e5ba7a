# SPDX-License-Identifier: GPL-3.0-or-later
"""The laboratory: it makes and measures the product, and is no part of it. `python -m research`
lists its parts."""

import os

# as the worker is started: results do not depend on the number of cores
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
