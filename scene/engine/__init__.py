# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as Blender sees it: its process and its installation."""
