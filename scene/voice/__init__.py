# SPDX-License-Identifier: GPL-3.0-or-later
"""The voice in the sequencer: which strip, its sound, and what changed about it."""
