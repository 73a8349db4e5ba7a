# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of takes in the list: whole in a sidebar of the usual width, all of them below it."""

from types import SimpleNamespace

import bpy
import pytest
from thunder.panels import take_list
from thunder.thunder_core.direction import MOODS, NEUTRAL
from thunder.thunder_core.direction_words import AS_ASKED, AXIS_WORDS, CARRIED_WORDS, NEARLY

MOOD_WORDS = [mood.label.lower() for name, mood in MOODS.items() if name != NEUTRAL]
WORDS = [
    AS_ASKED, NEARLY, *(word for pair in (*AXIS_WORDS.values(), *CARRIED_WORDS.values()) for word in pair),
    *MOOD_WORDS, *(f"{more} {mood}" for mood in MOOD_WORDS for more in ("more", "less")),
]  # fmt: skip


class Layout:
    """A layout that notes its labels with their widths in buttons."""

    def __init__(self, labels):
        self.labels, self.ui_units_x, self.scale_x = labels, 0.0, 1.0

    def row(self, align=False):
        return Layout(self.labels)

    def prop(self, *_, **__):
        pass

    def label(self, text="", **_):
        self.labels.append((text, self.ui_units_x))


@pytest.fixture
def drawn(blender, monkeypatch):
    """Draws the row of a take with these words; gives its labels that have a text."""
    monkeypatch.setattr(take_list.thumbnails, "icons", lambda item: ())
    monkeypatch.setattr(take_list, "_drawn", {"letters": 2, "rows": 8})

    def draw(words, mark="BLANK1"):
        monkeypatch.setattr(take_list, "mark_of", lambda item: mark)
        item, labels = SimpleNamespace(star=False, action=1, hidden=False, name="Take 1", words=words), []
        take_list.THUNDER_UL_takes.draw_item(
            SimpleNamespace(_measure=lambda *_: "82"), bpy.context, Layout(labels), None, item, 0, None, "", 0
        )
        return [(text, room) for text, room in labels if text and text != "82"]

    return draw


@pytest.mark.parametrize("word", WORDS)
def test_every_word_is_read_in_full_in_a_list_of_the_usual_width(blender, drawn, word):
    [(text, room)] = drawn(word)
    assert text and take_list.fitting(text, room, bpy.context) == text


def test_of_several_words_those_are_left_out_that_do_not_fit(blender, drawn):
    assert [text for text, _ in drawn("lively head, calm, more on the left")] == ["lively head"]
    assert [text for text, _ in drawn("calm, warm, exact", mark="TEXT")] == ["calm"], "a mark takes room"
    assert drawn("less contemptuous", mark="TEXT") == [], "no beginning of a word"


def test_all_words_of_the_shown_take_are_below_the_list(blender):
    labels = []
    take_list.draw_words(Layout(labels), SimpleNamespace(words="calm, more on the left, restless eyes"), bpy.context)
    assert [text for text, _ in labels] == ["calm, more on the left, restless eyes"]
    take_list.draw_words(Layout(labels), SimpleNamespace(words="head turned right, more contemptuous, restless eyes"), bpy.context)
    assert labels[-1][0] == "turns right, contempt +, busy eyes"
