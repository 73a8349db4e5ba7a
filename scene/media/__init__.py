# SPDX-License-Identifier: GPL-3.0-or-later
"""What leaves a scene or is shown beside it: exports, contact sheets, grids."""
