# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators: one file per task of the animator."""


def modules() -> tuple:
    """The modules with operators."""
    from . import (
        add_head,
        add_lines,
        base,
        commit_take,
        dialogue,
        direct,
        export_performance,
        generate,
        install_engine,
        listen,
        map_character,
        mix_takes,
        shape_take,
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
        shape_take,
        mix_takes,
        word_tools,
        commit_take,
        listen,
        export_performance,
        use_assets,
    )
