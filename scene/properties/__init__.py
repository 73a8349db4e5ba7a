# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings and takes as Blender stores them in a file."""
