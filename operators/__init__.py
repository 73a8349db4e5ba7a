# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators: one file per task of the animator."""


def modules() -> tuple:
    """The modules with operators."""
    from . import (
        add_head,
        add_lines,
        base,
        direct,
        generate,
        install_engine,
        listen,
        map_character,
        share,
        shown_take,
        side_by_side,
        take_list,
        word_tools,
    )

    return (
        add_head,
        map_character,
        install_engine,
        generate,
        add_lines,
        direct,
        base,
        take_list,
        side_by_side,
        shown_take,
        word_tools,
        listen,
        share,
    )
