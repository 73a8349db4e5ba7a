# SPDX-License-Identifier: GPL-3.0-or-later
"""THUNDER for Blender: a voice track becomes several sampled facial performances to choose from."""

if "bpy" in locals():  # the extension is being reloaded: forget the modules of the old one
    import sys

    for _name in [name for name in sys.modules if name.startswith(__name__ + ".")]:
        del sys.modules[_name]

import atexit

import bpy  # noqa: F401


def _modules():
    from .operators import (add_flame_head, add_head, add_ict_head, cancel, closures, commit_take, contact_sheet, dialogue,
                            export_performance, first_steps, flame_head, generate, install_engine, jump_to_drift, listen,
                            make_editable, map_character, mapping_presets, mix_takes, play_grid, report_problem,
                            resample_rest, resync, select_take, shape_take, tidy_takes, transcript)
    from .panels import (character, commit, dialogue as dialogue_panel, export, first_steps as first_steps_panel, flame, keep,
                         keymap, listen as listen_panel, mix, overlay as overlay_panel, preferences, sampling, shape, sidebar,
                         take_list, takes, transcript as transcript_panel)
    from .scene import edits, grid, keeping, mixing, overlay, ranking, settings, shaping, thumbnails, transcript as words

    return (settings, shaping, mixing, keeping, words, edits, grid, ranking, overlay, thumbnails, preferences, add_head,
            add_flame_head, add_ict_head, flame_head, map_character, mapping_presets, make_editable, install_engine, dialogue, first_steps,
            generate, cancel, resync, select_take, tidy_takes, contact_sheet, play_grid, shape_take, closures, mix_takes,
            resample_rest, transcript, commit_take, listen, jump_to_drift, export_performance, report_problem, take_list, first_steps_panel,
            sidebar, sampling, dialogue_panel, takes, commit, mix, keep, shape, transcript_panel, listen_panel, overlay_panel,
            character, flame, export, keymap)


def _leave():
    import addon_utils

    addon_utils.disable(__name__)


def register():
    for module in _modules():
        module.register()
    # Blender as a Python module would unregister when half of Python is gone already, and may crash over it.
    atexit.register(_leave)


def unregister():
    atexit.unregister(_leave)
    from .scene import engine_session, work

    work.end()
    engine_session.stop()
    for module in reversed(_modules()):
        module.unregister()
