# SPDX-License-Identifier: GPL-3.0-or-later
"""Listening, live scores, curves over the editors, and reports of problems."""
