# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that make what the extension ships; the extension never imports them."""
