# SPDX-License-Identifier: GPL-3.0-or-later
"""Gestures added to the diffusion model's takes: speakers mark accents, listeners answer, silent faces move.

Every take has gestures of its own: they are a function of its seed, of how it is played and of where the voice has accents and
phrases. A gesture is something added to the model's motion, so that both go on together.
"""
