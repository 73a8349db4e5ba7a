# SPDX-License-Identifier: GPL-3.0-or-later
"""How THUNDER works: speech to takes, takes to speech. No bpy anywhere."""
