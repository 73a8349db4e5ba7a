# SPDX-License-Identifier: GPL-3.0-or-later
"""How a character is directed: the sliders of its Direction, what the engine is asked by them, and the shown take that follows.

A direction belongs to a character in a scene, whatever line it speaks. It is stored in the scene, so that a linked character can be
directed too, and so that keys of its sliders do not depend on which take is shown.
"""
