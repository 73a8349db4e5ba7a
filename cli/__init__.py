# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands without a window: bake.py and demo.py at the root only start them."""
