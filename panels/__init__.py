# SPDX-License-Identifier: GPL-3.0-or-later
"""Panels: they only draw, and read state without changing it."""


def modules() -> tuple:
    """The modules here that register panels, in the order in which the sidebar shows them."""
    from . import (
        character,
        commit,
        dialogue,
        direction,
        export,
        first_steps,
        flame,
        keep,
        keymap,
        listen,
        mix,
        overlay,
        preferences,
        sampling,
        shape,
        sidebar,
        take_list,
        takes,
        transcript,
    )

    return (
        preferences,
        take_list,
        first_steps,
        sidebar,
        direction,
        sampling,
        dialogue,
        takes,
        commit,
        mix,
        keep,
        shape,
        transcript,
        listen,
        overlay,
        character,
        flame,
        export,
        keymap,
    )
