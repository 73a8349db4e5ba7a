# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that makes the weights: corpus, teacher, losses, loops. Never needed to use them."""

import os

# Threads wait for each other without spinning: on a machine with other work, training is several
# times faster.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
