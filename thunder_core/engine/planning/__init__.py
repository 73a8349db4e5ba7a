# SPDX-License-Identifier: GPL-3.0-or-later
"""What takes plan before they are sampled: which events, when, how large."""
