# SPDX-License-Identifier: GPL-3.0-or-later
"""What takes do besides what the diffusion model gives them: speakers mark accents, listeners answer, silent faces live.

Every take has gestures of its own: they are a function of its seed, of how it is played and of where the voice has accents and
phrases. A gesture is something added to the model's motion, so that both go on together.
"""
