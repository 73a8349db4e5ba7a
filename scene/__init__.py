# SPDX-License-Identifier: GPL-3.0-or-later
"""The code that reads and writes bpy data; its folders import downwards only
(docs/development/architecture.md)."""


def modules() -> tuple:
    """The modules here that add settings, properties, handlers or drawing, in order."""
    from .host import session
    from .media import grid
    from .properties import settings
    from .review import checking, live_score, overlay
    from .takes import edit_watch, keep, mix, transcript
    from .takes.direction import live, sliders, word_marks
    from .takes.shape import applying, strength

    return (
        session, sliders, settings, applying, strength, mix, keep, word_marks, transcript,
        edit_watch, grid, live_score, checking,
        live, overlay,
    )  # fmt: skip
