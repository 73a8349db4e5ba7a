# SPDX-License-Identifier: GPL-3.0-or-later
"""What is exported from a scene or shown beside it: exports, contact sheets, grids."""
