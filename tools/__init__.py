# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that make files of the extension; the extension never imports them."""
