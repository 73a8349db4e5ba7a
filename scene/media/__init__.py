# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports, contact sheets and grids of takes."""
