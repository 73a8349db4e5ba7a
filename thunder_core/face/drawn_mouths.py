# SPDX-License-Identifier: GPL-3.0-or-later
"""A forward for scripts that know this module by its old place: use `face.moving.drawn_mouths`."""

from .moving.drawn_mouths import *  # noqa: F403
