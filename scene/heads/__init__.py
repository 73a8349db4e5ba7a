# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads and characters in a Blender file: building, mapping, driving."""
