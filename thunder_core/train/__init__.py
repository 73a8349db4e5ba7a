# SPDX-License-Identifier: GPL-3.0-or-later
"""Training: corpus, teacher, encoder, mesh-to-speech, diffusion. `python -m thunder_core.train --help`."""
