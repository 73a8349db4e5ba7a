# SPDX-License-Identifier: GPL-3.0-or-later
"""At the default width of the sidebar no words of the tab are cut off, in a low window, where it
shows one part at a time, and in a tall one."""

from types import SimpleNamespace

import pytest
from characters import make_hero
from drawing import Context, draw, Layout, Shown
from extension import NAME
from measuring import cut, EDGE, ICON, LIST, Measured, PANEL, REGION, Sidebar, UNIT, wide
from performances import enter, noise
from thunder.operators import shown_take
from thunder.panels import listen, sidebar, tab
from thunder.panels.listen import THUNDER_UL_findings
from thunder.panels.takes import THUNDER_UL_takes
from thunder.scene.animation import keying
from thunder.scene.heads import head
from thunder.scene.host import jobs
from thunder.scene.review import checking
from thunder.scene.takes import dialogue, grades, transcript, word_places
from thunder.scene.takes.direction import sliders
from thunder.scene.voice import fingerprint, strip
from thunder.thunder_core import findings
from thunder.thunder_core.animation.timing import Clock
from thunder.thunder_core.direction_words import AS_DIRECTED, AXIS_WORDS
from thunder.thunder_core.findings import Finding, MOVES, MUMBLED, OPEN, OTHER, SHIFTED, SIZE, STILL
from thunder.thunder_core.shipped import SAMPLE_TEXT

pytestmark = pytest.mark.one_blender

# pixels of the sidebar in windows of 1366 × 768 and of 1920 × 1080, of Blender's default layout
LOW, HIGH = 609, 909
# of takes: what their directions say
LEAST, MOST = ({name: pair[end] for name, pair in AXIS_WORDS.items()} for end in (0, 1))
WORDS = (
    f"{LEAST['energy']}, {LEAST['jaw']}",
    AS_DIRECTED,
    f"{LEAST['articulation']}, {MOST['frown']}",
    f"{MOST['energy']}, {MOST['jaw']}, {LEAST['head']}, warm",
)


def in_tab(blender):
    ours = [
        each for each in blender.types.Panel.__subclasses__() if each.__module__.startswith(NAME)
    ]
    return [
        each
        for each in ours
        if (each.bl_space_type, getattr(each, "bl_category", "")) == ("VIEW_3D", "Thunder")
    ]


@pytest.fixture
def shot(needs_sound, blender, heads, scene, tmp_path):
    """Two heads in a dialogue, one of which shows a take, and a second line that was moved."""
    for name, start, speaker in (("Anna 12", 1, heads[0]), ("Ben 3", 120, heads[1])):
        strip.add(scene, noise(tmp_path / f"{name}.wav", 4.0), name, start)
        dialogue.cast(scene, name, speaker)
    dialogue.select(blender.context, "Anna 12")
    rig = head.resolve(heads[0])
    for seed, words in enumerate(WORDS):
        entry = enter((scene, rig), seed=seed)
        entry.voice, entry.words, entry.batch = "Anna 12", words, 1 + seed // 2
        voice = strip.of_strip(scene, strip.by_name(scene, "Anna 12"))
        fingerprint.remember(entry.action, voice.state)
    sliders.ensure(rig.owner)
    strip.move(strip.by_name(scene, "Ben 3"), 140)
    return scene


def panels(blender, context):
    """The panels and popovers that are there."""
    there = [each for each in in_tab(blender) if each.poll(context)]
    popovers = [
        each
        for each in blender.types.Panel.__subclasses__()
        if each.__module__.startswith(NAME)
        and getattr(each, "bl_ui_units_x", 0)
        and each.bl_space_type == "VIEW_3D"
    ]
    return there + [each for each in popovers if getattr(each, "poll", lambda _: True)(context)]


@pytest.mark.parametrize("height", [LOW, HIGH])
def test_no_words_are_cut_off(blender, shot, height):
    context = Sidebar(blender.context, height)
    for part, *_ in tab.PARTS:
        blender.context.window_manager.thunder_part = part
        drawn = panels(blender, context)
        assert len(drawn) > 2
        cut_off = {each.__name__: words for each in drawn if (words := cut(each, context))}
        assert cut_off == {}, part


def test_in_a_low_window_each_part_has_its_panels_and_in_a_tall_one_all_are_there(blender, shot):
    def shown(height, part, address=1):
        blender.context.window_manager.thunder_part = part
        context = Sidebar(blender.context, height, address)
        names = {each.__name__ for each in in_tab(blender) if each.poll(context)}
        return {name.removeprefix("THUNDER_PT_") for name in names}

    # Blender puts panels in their order only if it draws all of them at first.
    everything = shown(LOW, "FINISH")
    cut(blender.types.THUNDER_PT_main, Sidebar(blender.context, LOW, 1))
    assert shown(LOW, "FINISH", address=2) == everything
    parts = {name: shown(LOW, name) for name, *_ in tab.PARTS}
    assert parts["TAKES"] == {"main", "takes", "mix", "shape", "commit"}
    assert parts["DIRECT"] == {"main", "direction", "takes"}
    assert parts["WORDS"] == {"main", "words"}
    assert parts["FINISH"] == {"main", "commit", "listen"}
    assert shown(HIGH, "DIRECT") == everything == set().union(*parts.values())
    shot.thunder.takes.clear()
    transcript.ensure(shot, "Anna 12").text = "one two"
    assert "words" not in shown(LOW, "DIRECT", address=3), "as long as no take is there"
    assert "words" in shown(LOW, "WORDS", address=3)


def rows_of(drawn):
    """How many lines of buttons a layout is high."""
    if not isinstance(drawn, Measured):
        return 1
    lines = [rows_of(each) for each in drawn.inside] or [0]
    return max(lines) if drawn.kind in ("row", "split") else sum(lines)


@pytest.mark.parametrize("height, lines, commits", [(LOW, 6, True), (HIGH, 10, False)])
def test_on_a_laptop_there_is_room_for_takes_below_the_direction(
    blender, shot, height, lines, commits
):
    """Five takes are seen at 1366 × 768, and the button that commits one is above them."""
    blender.context.window_manager.thunder_part = "DIRECT"
    context, direction = Sidebar(blender.context, height), Measured()
    Shown(blender.types.THUNDER_PT_direction, direction).draw(context)
    assert rows_of(direction) == lines
    takes = Layout()
    Shown(blender.types.THUNDER_PT_takes, takes).draw(context)
    assert ("thunder.commit_take" in takes.of("operator")) == commits
    assert takes.of("operator").count("thunder.flip_take") == 1


WORST = (
    Finding(SHIFTED, 50.0, 51.0, -0.36, 1.0, word="commercials", last_word="generally"),
    Finding(OPEN, 3.0, 3.1, 12.4, 1.0, "m", "commercials"),
    Finding(SIZE, 0.0, 9.0, 1.4, 1.0, whole=True),
    Finding(STILL, 3.0, 4.0, 1.0, 1.0, word="commercials"),
    Finding(MOVES, 3.0, 4.0, 1.0, 1.0),
    Finding(OTHER, 0.0, 9.0, 0.1, 4.0, whole=True),
    Finding(MUMBLED, 0.0, 9.0, 0.55, 1.1, whole=True),
)


def test_a_finding_is_written_once_and_whole_below_all_buttons(blender, shot):
    rig = head.find(shot)
    clock = Clock(1001.0, 25.0)
    shot.thunder.active_take = 0
    entry = shot.thunder.takes[0]
    entry.action[keying.PROPERTY] = keying.record_of(entry.action).to_dict() | (
        findings.record_of(WORST[:1])
    )
    entry.score = 61.0
    checking.show(shot, rig, "Anna 12", clock, list(WORST))
    context = Sidebar(blender.context, HIGH)
    for row in shot.thunder_check.findings:
        drawn = Measured()
        THUNDER_UL_findings.draw_item(None, context, drawn, None, row, 0, None, "")
        assert drawn.cut(LIST) == []
    assert cut(blender.types.THUNDER_PT_listen, context) == []
    for index, row in enumerate(shot.thunder_check.findings):
        shot.thunder_check.index = index
        layouts = [draw(each, blender.context, height=HIGH) for each in in_tab(blender)]
        said = [text for each in layouts for text in each.texts()]
        sentence = f"{row.first}: {row.sentence}"
        assert " ".join(said).count(sentence) == 1, said
        listed = draw(blender.types.THUNDER_PT_listen, blender.context)
        kinds = [kind for kind, *_ in listed.notes]
        assert {"operator", "prop"}.isdisjoint(kinds[-1:]) and kinds[-1] == "label"
        assert grades.of_take(entry).reason not in " ".join(said) or index == 0


def test_a_row_of_the_list_says_what_a_take_is(blender, shot):
    context = Sidebar(blender.context, LOW)
    for index, entry in enumerate(shot.thunder.takes):
        entry.name = f"Take {index + 1}"
        row = Measured()
        THUNDER_UL_takes.draw_item(None, context, row, None, entry, 0, None, "", index)
        assert row.cut(LIST) == []
        (column,) = row.inside
        assert len(column.inside) == 2, "lines"
        said = column.inside[1].inside[-1].inside[-1].words
        assert said == WORDS[index] or WORDS[index].startswith(f"{said}, ")
        assert len(said) >= 10


@pytest.mark.parametrize("width", [REGION, 411, 561])
def test_as_many_words_of_a_take_are_listed_as_the_row_has_room_for(blender, shot, width):
    entry, context = shot.thunder.takes[0], Sidebar(blender.context, LOW)
    entry.words = "hits boxes and front, looks away in the pause, " + ", ".join(WORDS)
    context.region.width = width
    row = Measured()
    THUNDER_UL_takes.draw_item(None, context, row, None, entry, 0, None, "", 0)
    said = row.inside[0].inside[1].inside[-1].inside[-1].words
    parts, room = entry.words.split(", "), LIST + width - REGION
    count = len(said.split(", "))
    assert row.cut(room) == [] and said == ", ".join(parts[:count]), "no part of a part"
    assert wide(", ".join(parts[: count + 1])) + EDGE > room, f"“{parts[count]}” has room"
    entry.words = f"hits {' and '.join(['boxes'] * 20)}, looks away"
    THUNDER_UL_takes.draw_item(None, context, row := Measured(), None, entry, 0, None, "", 0)
    said = row.inside[0].inside[1].inside[-1].inside[-1].words
    assert row.cut(room) == [] and said.endswith(" …") and entry.words.startswith(said[:-2])


@pytest.mark.parametrize("width, order", [(REGION, "READ"), (REGION, "SCORE"), (561, "READ")])
def test_a_takes_name_is_read_whole_in_the_list_and_in_mix(blender, shot, width, order):
    shot.thunder.sort = order
    entry, context = shot.thunder.takes[0], Sidebar(blender.context, LOW)
    context.region.width = width
    for name in ("Take 1", "Take 1.1.8", "Take 1.16"):
        entry.name, entry.words = name, "retake of blue, a little later"
        THUNDER_UL_takes.draw_item(None, context, row := Measured(), None, entry, 0, None, "", 0)
        said = row.inside[0].inside[1].inside[-1].inside[-1].words
        assert row.cut(LIST + width - REGION) == []
        # beside what is read the name's own field has room for “Take 1”, else for all
        is_cut = width == REGION and order == "READ" and name != "Take 1"
        assert said.startswith(f"{name}: ") == is_cut
        assert len(row.inside[0].inside[0].inside) == 4 + (order == "READ"), "what is read is there"
        assert "retake of blue" in said
    (item, *_) = shown_take._takes(None, blender.context)
    assert item[1] == "Take 1.16: retake of blue"


@pytest.mark.parametrize("width", [REGION, 561])
def test_words_of_a_cut_piece_have_as_much_room_as_the_row_has(blender, shot, monkeypatch, width):
    text = "can forgive such a foolish thief who took the last of the boxes and ran off with them"
    monkeypatch.setattr(transcript, "text_of", lambda *_: text)
    context = Sidebar(blender.context, LOW)
    context.region.width = width
    drawn = Shown(sidebar.THUNDER_PT_main, Measured())
    drawn.draw(context)
    (said,) = (words for words in words_in(drawn.layout) if words.startswith("can forgive"))
    shown = said.removesuffix(" …")
    assert drawn.layout.cut(PANEL + width - REGION) == [] and text.startswith(shown + " ")
    more = f"{shown} {text[len(shown) :].split()[0]} …"
    buttons = 2 * UNIT  # beside it
    assert wide(more) + EDGE + ICON > PANEL + width - REGION - buttons, f"“{more}” has room"


def words_in(drawn):
    """The words of all buttons and labels in a layout."""
    if not isinstance(drawn, Measured):
        return [drawn.words]
    return [words for each in drawn.inside for words in words_in(each)]


@pytest.mark.parametrize("width, rows", [(REGION, (2, 2, 3)), (411, (2, 2, 2)), (561, (1, 1, 1))])
def test_names_of_sounds_are_whole_and_below_most_words_nothing_moves(
    blender, monkeypatch, width, rows
):
    monkeypatch.setattr(word_places, "sound_at", lambda context, place: "B" * (place == 2))
    context = Sidebar(blender.context, LOW)
    context.region.width = width
    for count, expected in zip((0, 5, listen.MOST_SOUNDS), rows):
        layout = Measured()
        sounds = [(number, "M B P", 0.5) for number in range(count)]
        listen.THUNDER_PT_words._sounds(None, layout, context, sounds)
        assert layout.cut(PANEL + width - REGION) == []
        (grid,) = layout.inside
        said = [each.words for each in grid.inside]
        names = [*["M B P?"] * 2, "= M B P", *["M B P?"] * 5][:count]
        assert said == names + [""] * (listen.USUAL_SOUNDS - count)
        assert -(-len(said) // grid.how["columns"]) == expected, count


def test_names_that_differ_at_their_ends_are_cut_in_the_middle(blender):
    context, room = Sidebar(blender.context, LOW), 4.5  # icon buttons
    names = [tab.shorten(f"Sample Voice{end}", room, context) for end in ("", ".001", ".002")]
    assert names[0] == "Sample Voice" and len(set(names)) == 3
    assert all(wide(name) <= room * UNIT for name in names) and names[1].endswith(".001")
    assert wide(names[1][:6] + "e" + names[1][6:]) > room * UNIT, "as much as has room"


# ---- few panels and controls


CONTROLS = (
    "prop",
    "operator",
    "menu",
    "popover",
    "prop_enum",
    "operator_menu_enum",
    "prop_search",
    "template_ID",
)
MOST_PANELS, MOST_CONTROLS = 8, 12


def visible(blender):
    """The controls of all panels of the tab that are open by themselves."""
    controls = []
    for each in in_tab(blender):
        if getattr(each, "poll", lambda _: True)(
            blender.context
        ) and "DEFAULT_CLOSED" not in getattr(each, "bl_options", ()):
            panel = Shown(each)
            for draw in ("draw_header_preset", "draw"):
                if hasattr(each, draw):
                    getattr(panel, draw)(Context(blender.context))
            controls += [
                " ".join(words) for kind, words, _ in panel.layout.notes if kind in CONTROLS
            ]
    return controls


def test_few_panels_and_controls_are_shown_before_the_first_take(blender, tmp_path):
    assert 4 <= len(in_tab(blender)) <= MOST_PANELS
    empty = visible(blender)
    assert {"thunder.add_head", "thunder.sample_voice", "thunder.generate"} <= set(empty) and len(
        empty
    ) <= MOST_CONTROLS, empty
    blender.ops.thunder.add_head()
    assert len(visible(blender)) <= MOST_CONTROLS
    if blender.ops.thunder.sample_voice.poll():
        blender.ops.thunder.sample_voice()
        [known] = blender.context.scene.thunder_transcripts
        assert known.text == SAMPLE_TEXT and known.is_typed
    ready = visible(blender)
    assert "thunder.generate" in ready and len(ready) <= MOST_CONTROLS, " | ".join(ready)


def test_a_character_is_mapped_in_the_data_of_its_own_objects(blender, stage):
    panel = blender.types.THUNDER_PT_character
    assert (panel.bl_space_type, panel.bl_context) == ("PROPERTIES", "data")
    face = make_hero(blender, "jawOpen")
    scene, ours = stage[0], stage[1].mesh
    scene.thunder.head = face

    def there(area, obj):
        return panel.poll(SimpleNamespace(scene=scene, object=obj, area=SimpleNamespace(type=area)))

    assert there("PROPERTIES", face) and not there("PROPERTIES", ours) and there("VIEW_3D", ours)
    scene.thunder.head = ours
    assert not there("PROPERTIES", ours), "a head that comes with Thunder needs no mapping"


def test_a_note_that_comes_during_work_moves_nothing_and_is_read_in_the_header(blender, stage):
    panel = blender.types.THUNDER_PT_main
    note = "Nobody speaks in “line”, so takes show an idle face"

    def drawn():
        header = Shown(panel)
        header.draw_header_preset(Context(blender.context))
        rows = [(kind, words) for kind, words, _ in draw(panel, blender.context).notes]
        return rows, "THUNDER_PT_notes" in header.layout.of("popover")

    steps = (jobs.Step(part, "Sampling", note=said) for part, said in ((0.1, None), (0.2, note)))
    job = jobs.begin("Generating takes", steps)
    try:
        job.advance(0.0)
        before, is_told = drawn()
        assert not is_told
        while job.note != note:
            job.advance(0.0)
        assert drawn() == (before, True)
    finally:
        jobs.end_job()
    said = draw(blender.types.THUNDER_PT_notes, blender.context).texts()
    assert " ".join(said) == note
