# SPDX-License-Identifier: GPL-3.0-or-later
"""The core of THUNDER: speech to takes, takes to speech. No bpy anywhere."""
