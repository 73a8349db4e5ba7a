# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit: writes a take into the animator's animation."""
