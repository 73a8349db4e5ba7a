# SPDX-License-Identifier: GPL-3.0-or-later
"""The animator's language: what Blender is told, and what is said in it."""

import gc
import re
from types import SimpleNamespace

import bpy
import pytest
import thunder
from thunder.operators.base import HasObstacles
from thunder.scene.host import language
from thunder.scene.host.jobs import classes_of
from timing import keeps_in_steps


@pytest.fixture
def japanese(monkeypatch):
    """A Blender whose interface is Japanese, which the module has no dictionaries for."""
    view = SimpleNamespace(use_translate_interface=True)
    texts = language.dictionaries()["ja_JP"]
    blenders = {"Remove": "削除", "Direction": "方向", "Good": "良"}
    translations = SimpleNamespace(
        locale="ja_JP",
        pgettext_iface=lambda text, context="*": (
            (blenders.get(text) if context == "*" else None) or texts.get((context, text), text)
        ),
    )
    context = SimpleNamespace(preferences=SimpleNamespace(view=view))
    monkeypatch.setattr(
        language,
        "bpy",
        SimpleNamespace(context=context, app=SimpleNamespace(translations=translations)),
    )
    language._translated.cache_clear()
    yield view
    language._translated.cache_clear()


def test_blender_finds_each_text_where_it_looks():
    known = language.dictionaries()
    assert {"de_DE", "es", "fr_FR", "ja_JP", "zh_HANS"} <= set(known)
    for context in ("Operator", "*", language.CONTEXT):
        assert known["de_DE"][context, "Generate Takes"] == "Takes erzeugen"


def test_an_entry_with_a_context_is_for_that_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(language, "FOLDER", tmp_path)
    entry = 'msgid "Mix"\nmsgstr "{}"\n\n'
    (tmp_path / "de_DE.po").write_text(
        'msgctxt "Operator"\n' + entry.format("Mischen") + entry.format("Mischung")
    )
    found = language.dictionaries()["de_DE"]
    assert found["Operator", "Mix"] == "Mischen" and found["*", "Mix"] == "Mischung"


def test_english_is_the_language_of_a_blender_without_others(blender):
    assert language.translated("Generate Takes") == "Generate Takes"
    assert language.translated("3 takes deleted") == "3 takes deleted"
    assert language.translated("“Gr\udc94.csv” is no capture") == "“Gr\\x94.csv” is no capture"


def test_our_sense_of_a_word_wins_over_blenders(japanese):
    assert language.translated("Direction") == "演技指示"
    assert language.translated("Good") == "良い"  # known as “good”, as in the list
    assert language.translated("Remove") == "削除"
    assert language.translated("3 takes deleted") == "3 テイクを削除しました"


def test_the_preference_for_english_labels_is_kept(japanese):
    japanese.use_translate_interface = False
    assert language.translated("3 takes deleted") == "3 takes deleted"


@pytest.fixture
def properties(blender):
    """All properties of our operators, and of what a file stores."""
    classes = [each for module in thunder._modules() for each in classes_of(module)]
    groups = [each for each in classes if issubclass(each, bpy.types.PropertyGroup)]
    operators = [
        getattr(bpy.ops.thunder, each.bl_idname.partition(".")[2]).get_rna_type()
        for each in classes
        if issubclass(each, HasObstacles)
    ]
    # since Blender 5.3 each group has a name of Blender's own
    unnamed = [group.bl_rna for group in groups if "name" not in group.__annotations__]
    return [
        prop
        for each in (*(group.bl_rna for group in groups), *operators)
        for prop in each.properties
        if prop.is_runtime and not (each in unnamed and prop.identifier == "name")
    ]


def test_what_is_ours_has_our_sense_of_words(properties):
    """Blender's own “Speaker” is a loudspeaker."""
    assert len(properties) > 200
    assert not [prop for prop in properties if prop.translation_context != language.CONTEXT]
    direction = thunder.panels.direction.THUNDER_PT_direction
    assert direction.bl_translation_context == language.CONTEXT


def test_all_names_and_items_are_translated(properties):
    names = {prop.name for prop in properties}
    names |= {
        item.name for prop in properties if prop.type == "ENUM" for item in prop.enum_items_static
    }
    words = {name for name in names if re.match("[A-Z].*[a-z]", name)}
    assert len(words) > 300
    assert words - {text for _, text in language.dictionaries()["de_DE"]} == {
        "ARKit",
        "Alembic",
        "Character Animator",
        "File Path",
        "Preston Blair",
        "Rhubarb",
        "Toon Boom",
    }


def test_tooltips_are_one_line_as_files_of_translations_have_them(blender):
    classes = [each for module in thunder._modules() for each in classes_of(module)]
    operators = [each for each in classes if issubclass(each, HasObstacles)]
    assert len(operators) > 80
    assert not [
        each for each in operators if "\n" in each.bl_description or not each.bl_description
    ]


def test_all_languages_are_read_in_a_moment_when_blender_starts():
    gc.collect()  # what other tests left, so that no step has to
    keeps_in_steps(0.02, (language.dictionaries() for _ in range(10)), "dictionaries")
