# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of takes in the list: the same at every width, as much as there is room for, and all of
them below it."""

from types import SimpleNamespace

import bpy
import pytest
from thunder.panels import takes as take_list
from thunder.thunder_core.direction_words import AXIS_WORDS, CARRIED_WORDS


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
        about = {
            "star": False,
            "action": 1,
            "hidden": False,
            "of_whole": True,
            "role": "SPEAKS",
            "heard": 82.0,
        }
        item, labels = SimpleNamespace(**about, name="Take 1", words=words), []
        take_list.THUNDER_UL_takes.draw_item(
            SimpleNamespace(_measure=lambda *_: "82"),
            bpy.context,
            Layout(labels),
            None,
            item,
            0,
            None,
            "",
            0,
        )
        return [(text, room) for text, room in labels if text and text != "82"]

    return draw


@pytest.mark.parametrize(
    "said", ["lively head, calm, left-sided", "less contemptuous", "close to the direction"]
)
def test_a_list_says_the_same_words_at_every_width_shortened_by_an_ellipsis_alone(
    blender, drawn, monkeypatch, said
):
    for units in (40.0, 16.0, 14.0, 12.0):
        monkeypatch.setattr(take_list, "width", lambda context, units=units: units)
        for text, _ in drawn(said) + drawn(said, mark="TEXT"):
            assert text == said or (text.endswith("…") and said.startswith(text[:-1]))
    monkeypatch.setattr(take_list, "width", lambda context: 40.0)
    assert [text for text, _ in drawn(said)] == [said]


@pytest.mark.parametrize(
    "word", [word for pair in (*AXIS_WORDS.values(), *CARRIED_WORDS.values()) for word in pair]
)
def test_enough_of_a_word_is_seen_in_a_list_of_the_usual_width_to_tell_it_from_others(
    blender, drawn, word
):
    [(text, _)] = drawn(word)
    assert text == word or len(text) >= 9


def test_all_words_of_the_shown_take_are_below_the_list(blender):
    labels = []
    for words in ("calm, left-sided, busy eyes", "turned right, more contemptuous, busy eyes"):
        take_list.draw_words(Layout(labels), words, bpy.context)
    first, second = [text for text, _ in labels]
    assert first == "calm, left-sided, busy eyes" and second.startswith("turned right, more conte")


def test_heard_has_a_column_where_there_is_room_and_else_the_scores_while_it_sorts(
    blender, monkeypatch
):
    monkeypatch.setattr(take_list.thumbnails, "icons", lambda item: ())
    monkeypatch.setattr(take_list, "mark_of", lambda item: "BLANK1")
    monkeypatch.setattr(take_list.grading, "of_take", lambda item: None)
    about = {
        "star": False,
        "action": 1,
        "hidden": False,
        "of_whole": False,
        "role": "SPEAKS",
        "score": 82.0,
        "name": "Take 1",
        "words": "",
    }

    def drawn(units, sort, heard=57.2):
        monkeypatch.setattr(take_list, "width", lambda context: units)
        monkeypatch.setattr(
            take_list, "_drawn", {"sort": sort, "two_numbers": units >= take_list.TWO_NUMBERS}
        )
        header, row, item = [], [], SimpleNamespace(heard=heard, **about)
        take_list.draw_header(Layout(header), SimpleNamespace(sort=sort), bpy.context)
        rows = SimpleNamespace(_measure=lambda *of: take_list.THUNDER_UL_takes._measure(None, *of))
        take_list.THUNDER_UL_takes.draw_item(
            rows, bpy.context, Layout(row), None, item, 0, None, "", 0
        )
        return header[-1][0], [text for text, _ in row if text]

    assert drawn(18.0, "SCORE") == ("Lip-Sync · Heard", ["82", "57"])
    assert drawn(18.0, "HEARD", heard=-1.0) == ("Lip-Sync · Heard", ["82", "–"])
    assert drawn(14.0, "SCORE") == ("Lip-Sync", ["82"]) and drawn(14.0, "HEARD") == (
        "Heard",
        ["57"],
    )
