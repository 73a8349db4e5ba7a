# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the work lives in Blender: the only code that reads or writes bpy data."""
