# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys on a rig: writing, reading, reducing and displaying them."""
