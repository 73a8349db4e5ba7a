# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators: one file per task of the animator."""


def modules() -> tuple:
    """The modules with operators."""
    from . import (
        add,
        base,
        generate,
        install_engine,
        listen,
        make_shapes,
        map_character,
        share,
        shown_take,
        take_list,
        word_tools,
    )

    return (
        add,
        make_shapes,
        map_character,
        install_engine,
        generate,
        base,
        take_list,
        shown_take,
        word_tools,
        listen,
        share,
    )
