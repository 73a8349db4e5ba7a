# SPDX-License-Identifier: GPL-3.0-or-later
"""Many bakes in one run: job files, what has changed since the last run, the processes that bake,
the report; no Blender needed."""
