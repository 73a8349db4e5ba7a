# SPDX-License-Identifier: GPL-3.0-or-later
"""Curves and keys without Blender; numpy only."""
