# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows the face of an actor in a video, in a process of its own: `engine/tracker.py`."""
