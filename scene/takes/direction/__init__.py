# SPDX-License-Identifier: GPL-3.0-or-later
"""Directing a character: the sliders of its Direction, the engine requests that they make, and the
shown take that follows them.

A direction belongs to a character in a scene, for all its lines. It is stored in the scene, so that
a linked character can be directed too, and so that keys of its sliders do not depend on which take
is shown.
"""
