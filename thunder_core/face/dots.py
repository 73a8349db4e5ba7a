# SPDX-License-Identifier: GPL-3.0-or-later
"""A forward for scripts that know this module by its old place: use `face.making.dots`."""

from .making.dots import *  # noqa: F403
