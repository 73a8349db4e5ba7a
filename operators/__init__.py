# SPDX-License-Identifier: GPL-3.0-or-later
"""What the animator can do: one file per action."""


def modules() -> tuple:
    """The modules here that register operators."""
    from . import (
        add_flame_head,
        add_head,
        add_ict_head,
        cancel,
        closures,
        commit_take,
        contact_sheet,
        dialogue,
        export_performance,
        first_steps,
        flame_head,
        generate,
        install_engine,
        jump_to_drift,
        listen,
        make_editable,
        map_character,
        mapping_presets,
        mix_takes,
        play_grid,
        report_problem,
        resample_rest,
        resync,
        select_take,
        shape_take,
        tidy_takes,
        transcript,
    )

    return (
        add_head, add_flame_head, add_ict_head, flame_head, map_character, mapping_presets, make_editable, install_engine, dialogue,
        first_steps, generate, cancel, resync, select_take, tidy_takes, contact_sheet, play_grid, shape_take, closures, mix_takes,
        resample_rest, transcript, commit_take, listen, jump_to_drift, export_performance, report_problem,
    )
