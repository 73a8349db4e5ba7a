# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracked faces of real people: their landmarks, the head that follows them, and what is fitted to
them."""
