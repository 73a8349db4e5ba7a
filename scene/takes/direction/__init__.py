# SPDX-License-Identifier: GPL-3.0-or-later
"""How a character is directed: the sliders of its Direction, what the engine is asked by them, and the shown take that follows.

A direction belongs to a character in a scene, whatever line it speaks. It lies in the scene, beside what the scene remembers of
the head, so that a linked character can be directed too and keys of its sliders stay when a take comes and goes on the head.
"""
