# SPDX-License-Identifier: GPL-3.0-or-later
"""A perceptual study (§5.3 of the paper): films in pairs, a local page that collects votes, and their evaluation.

`python -m bench.study make|serve|count FOLDER` (docs/study.md). `make` needs a Python that has bpy, the others any Python; `count`
needs numpy and scipy.
"""
