# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit: a take becomes the animator's own animation."""
