# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes: generated, listed, shown, mixed, shaped and committed."""
