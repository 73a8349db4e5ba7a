# SPDX-License-Identifier: GPL-3.0-or-later
"""How a take becomes keys of the animator's: the stages of a commit that need no Blender, and what
it records on actions."""
