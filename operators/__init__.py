# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators: one file per task of the animator."""


def modules() -> tuple:
    """The modules with operators."""
    from . import (
        add_head,
        add_lines,
        base,
        dialogue,
        direct,
        export_performance,
        generate,
        install_engine,
        listen,
        map_character,
        shown_take,
        side_by_side,
        take_list,
        use_assets,
        word_tools,
    )

    return (
        add_head,
        map_character,
        install_engine,
        dialogue,
        generate,
        add_lines,
        direct,
        base,
        take_list,
        side_by_side,
        shown_take,
        word_tools,
        listen,
        export_performance,
        use_assets,
    )
