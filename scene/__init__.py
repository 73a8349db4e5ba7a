# SPDX-License-Identifier: GPL-3.0-or-later
"""The code that reads and writes bpy data; its folders import downwards only
(docs/development/architecture.md)."""


def modules() -> tuple:
    """The modules here that add settings, properties, handlers or drawing, in order."""
    from .host import jobs, language
    from .media import grid
    from .properties import settings
    from .review import checking, fault_marks, listening, overlay
    from .takes import keep, mix, transcript
    from .takes.direction import sliders
    from .takes.shape import applying

    return (
        language, jobs, sliders, settings, applying, mix, keep, transcript,
        grid, checking, listening, overlay, fault_marks,
    )  # fmt: skip
