# SPDX-License-Identifier: GPL-3.0-or-later
"""Every operator that changes the file is a step of undo."""

import pytest

pytestmark = pytest.mark.one_blender

NAME = "bl_ext.user_default.thunder"


def classes(blender):
    def below(cls):
        for sub in cls.__subclasses__():
            yield sub
            yield from below(sub)

    result = [
        cls
        for cls in below(blender.types.bpy_struct)
        if cls.__module__.startswith(NAME) and getattr(cls, "is_registered", False)
    ]
    assert len(result) > 60
    return result


def test_what_changes_the_file_can_be_undone(blender):
    """All but those that say why not: the work itself, the engine, the preferences, files outside,
    the grid that is never kept."""
    allowed = {
        "cancel",
        "check_engine",
        "check_with_smplx",
        "click_word",  # calls operators that are
        "delete_direction",
        "explain_frame",
        "export_performance",
        "hover_words",
        "install_engine",
        "install_flame_extra",
        "install_waveform_extra",
        "open_preferences",
        "play_grid",
        "playblast",
        "remove_engine",
        "save_direction",
        "save_mapping",
        "stop_installation",
        "stop_recording",
    }
    checked = {
        cls.bl_idname.partition(".")[2]
        for cls in classes(blender)
        if issubclass(cls, blender.types.Operator)
        and not {"UNDO", "UNDO_GROUPED"} & set(cls.bl_options)
    }
    assert checked == allowed
