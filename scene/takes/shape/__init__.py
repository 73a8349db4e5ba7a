# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of a take: sliders that make it stronger, smoother, later or sadder while every edit of
its keys is kept.

A shaped take keeps its base: its original keys. Its curves are the base under the shape, written
again whenever a slider moves. Keys that the animator edits meanwhile are added on top: they keep
their distance from the shaped curve at all slider values, and are bit-identical when the sliders
return. With neutral sliders the original keys return, and without edits the stored data are
removed. Emotion is baked like the rest: a driver would take the channel's keys away from the
animator, and a layer above the take would have to be committed with it. Its strength over time is a
curve of the take's action.
"""
