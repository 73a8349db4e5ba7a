# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators: one file per task of the animator."""


def modules() -> tuple:
    """The modules with operators."""
    from . import (
        add_head,
        add_lines,
        check_animation,
        commit_take,
        dialogue,
        direct,
        explain_frame,
        export_performance,
        first_steps,
        flame_head,
        generate,
        import_capture,
        install_engine,
        listen,
        map_character,
        mix_takes,
        report_problem,
        resample_rest,
        shape_take,
        side_by_side,
        slices,
        take_list,
        transcript,
    )

    return (
        add_head,
        flame_head,
        map_character,
        install_engine,
        dialogue,
        first_steps,
        generate,
        add_lines,
        import_capture,
        direct,
        slices,
        take_list,
        side_by_side,
        shape_take,
        mix_takes,
        resample_rest,
        transcript,
        explain_frame,
        commit_take,
        listen,
        check_animation,
        export_performance,
        report_problem,
    )
