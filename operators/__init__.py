# SPDX-License-Identifier: GPL-3.0-or-later
"""What the animator can do: one file per deed."""
