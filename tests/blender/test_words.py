# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read on buttons and in tooltips keeps to Blender's own rules: titles in title case,
tooltips without a final period."""

import re

import pytest

pytestmark = pytest.mark.one_blender

NAME = "bl_ext.user_default.thunder"
LITTLE = {
    "a",
    "an",
    "and",
    "as",
    "at",
    "by",
    "for",
    "from",
    "in",
    "of",
    "on",
    "or",
    "per",
    "than",
    "the",
    "to",
    "with",
}
NAMES = {"smplx", "mm"}  # of programs and units that are written in small letters


def is_title(text):
    words = [word for word in re.sub("[…()]", "", text).split() if word[0].isalpha()]
    return bool(text) and all(
        not word.islower() or (place and word in LITTLE | NAMES) for place, word in enumerate(words)
    )


def is_tooltip(text):
    return bool(text) and not text.endswith((".", " ")) and not text[0].islower()


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


def operators(blender):
    return [getattr(blender.ops.thunder, name).get_rna_type() for name in dir(blender.ops.thunder)]


def of_properties(rna, given):
    """What is wrong with the words of properties that people see: those with a name of their
    own."""
    for prop in rna.properties:
        if prop.identifier not in given or prop.is_hidden or prop.name == prop.identifier:
            continue
        yield from wrong(f"{rna.identifier}.{prop.identifier}", prop.name, prop.description)
        for item in prop.enum_items if prop.type == "ENUM" else ():
            yield from wrong(
                f"{rna.identifier}.{prop.identifier} {item.identifier}", item.name, item.description
            )


def wrong(where, title, tooltip):
    if not is_title(title):
        yield f"{where} is titled {title!r}"
    if not is_tooltip(tooltip):
        yield f"{where} is told of as {tooltip!r}"


@pytest.mark.parametrize(
    "title, right",
    [
        ("Head from FLAME File…", True),
        ("Keep and Resample", True),
        ("NLA Strip", True),
        ("glTF", True),
        ("Sound file", False),
        ("", False),
    ],
)
def test_a_title_is_known_from_others(title, right):
    assert is_title(title) is right


def test_operators_are_titled_and_told_of(blender):
    checked = operators(blender)
    assert len(checked) > 50
    bad = [line for rna in checked for line in wrong(rna.identifier, rna.name, rna.description)]
    bad += [
        line
        for rna in checked
        for line in of_properties(rna, {prop.identifier for prop in rna.properties} - {"rna_type"})
    ]
    assert not bad, "\n".join(bad)


def test_settings_are_titled_and_told_of(blender):
    bad = [
        line
        for cls in classes(blender)
        if issubclass(cls, (blender.types.PropertyGroup, blender.types.AddonPreferences))
        for line in of_properties(cls.bl_rna, cls.__annotations__)
    ]
    assert not bad, "\n".join(bad)


NOT_SAID = (
    r"\bis no [a-z]|\bare none\b|\btaught\b|\bpulls\b|\bhears?\b.* in them|of the take; |\bthe "
    r"turn of\b|\bof it stays?\b"
    r"|\bwhere you may\b|\bthing\b|\banew\b|\bas few\b|\bfolder of weights\b"
)


def test_nothing_is_said_on_the_screen_that_nobody_says_aloud(blender):
    said = [(rna.identifier, rna.description) for rna in operators(blender)]
    said += [
        (f"{rna.identifier}.{prop.identifier}", prop.description)
        for rna in operators(blender)
        for prop in rna.properties
    ]
    for cls in classes(blender):
        if issubclass(cls, (blender.types.PropertyGroup, blender.types.AddonPreferences)):
            for prop in cls.bl_rna.properties:
                said.append((f"{cls.__name__}.{prop.identifier}", prop.description))
                said += [
                    (f"{cls.__name__}.{prop.identifier}", item.description)
                    for item in getattr(prop, "enum_items", ())
                ]
    assert len(said) > 200
    bad = [f"{where}: {text}" for where, text in said if re.search(NOT_SAID, text)]
    assert not bad, "\n".join(bad)


def test_panels_and_menus_are_titled(blender):
    bad = [
        f"{cls.__name__} is titled {cls.bl_label!r}"
        for cls in classes(blender)
        if issubclass(cls, (blender.types.Panel, blender.types.Menu)) and not is_title(cls.bl_label)
    ]
    assert not bad, "\n".join(bad)


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
