# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands without a window: bake.py at the root only starts them."""
