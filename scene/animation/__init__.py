# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys on a rig: written, read back, thinned out, shown and put away."""
