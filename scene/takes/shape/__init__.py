# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of a take: sliders that make it stronger, smoother, later or sadder while every edit of its keys is kept.

A shaped take keeps its base: the keys it had, as they were. Its curves are the base under the shape, written again whenever
a slider moves. Keys that the animator edits meanwhile lie on top: they keep their distance from the shaped curve wherever
the sliders go, and return bit for bit when the sliders do. With neutral sliders the original keys return, and unless there are
edits, nothing is stored any more. Emotion is baked like the rest: a driver would take the channel's keys away from the animator,
and a layer above the take would have to be committed with it. Its strength over time is a curve of the take's own action.
"""
