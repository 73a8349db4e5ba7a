# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender itself: versions, timers, handlers and playback."""
