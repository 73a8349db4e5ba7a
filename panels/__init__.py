# SPDX-License-Identifier: GPL-3.0-or-later
"""What the animator sees: draws only, reads state and never changes it."""


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
