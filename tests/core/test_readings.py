# SPDX-License-Identifier: GPL-3.0-or-later
"""Readings: a function of the seed, spread evenly around what is asked and what is heard, never beyond
what a style may be; the seed that a voice has; marks on words; moods that are keyed."""

from dataclasses import replace

import numpy as np
import pytest

from research.heard_arousal import analyse, change_voice, CHANGES
from thunder_core.direction import (
    AS_HEARD,
    AXES,
    CLOSED,
    Direction,
    DIRECTION_NAMES,
    DirectionRequest,
    HELD,
    Mark,
    MOOD_NAMES,
    MOODS,
    MOVED,
    OPEN,
    read_mark,
    read_marks,
    SOUND,
    split_moods,
    STRESSED,
    Style,
    THROWN_AWAY,
)
from thunder_core.engine.performance import (
    add_stresses,
    draw_style,
    follow_voice,
    mark_direction,
    perform,
    Performance,
    POINTS,
    target_size,
)
from thunder_core.engine.speech.cues import Arousal, axis_deviations, read_arousal
from thunder_core.engine.speech.encoder import softmax, SpeechEncoder
from thunder_core.engine.speech.transcript import LATE, recognise
from thunder_core.engine.voice import held_points, mark_voice, SPOKEN
from thunder_core.errors import BadRequest
from thunder_core.filters import gaussian
from thunder_core.request import DRAFT, Request, seed_of_voice
from thunder_core.spoken import BILABIALS, PHONES, SILENCE
from thunder_core.types import BLINKS, FPS, in_group, pack, RATE, Speech
from thunder_core.weight_files import SHIPPED

USUAL = Direction().vector()[None]


def test_eight_takes_differ_as_speakers_do_at_the_usual_spread():
    takes = np.concatenate([draw_style(USUAL, seed, 0.5) for seed in range(64)])
    assert takes.shape == (64, len(DIRECTION_NAMES))
    assert 0.8 < takes[:, : len(AXES)].std(0).mean() < 1.1  # in deviations between speakers
    moods = takes[:, len(AXES) :]
    assert (
        ((moods > 0).sum(1) <= 1).all()
        and 0.3 < (moods > 0.05).any(1).mean() < 0.7
        and moods.max() <= 0.41
    )


def test_a_mood_that_is_asked_for_stays_and_only_varies_in_strength():
    asked = Direction(mood="angry", strength=0.6).vector()[None]
    takes = np.concatenate([draw_style(asked, seed, 1.0) for seed in range(32)])[:, len(AXES) :]
    angry = DIRECTION_NAMES.index("mood.angry") - len(AXES)
    assert (np.delete(takes, angry, 1) == 0).all()
    most = Direction(mood="angry", strength=1.0).vector()[None]
    assert max(draw_style(most, seed, 1.0)[:, len(AXES) :].max() for seed in range(8)) == 1.0
    assert 0.85 * 0.6 - 1e-6 <= takes[:, angry].min() < 0.55 and 0.75 < takes[:, angry].max() <= 0.9


@pytest.mark.parametrize("mood", MOOD_NAMES)
def test_no_reading_takes_back_the_mood_that_was_asked_for(mood):
    asked = Direction(mood=mood, strength=0.7).vector()[None]
    changes = np.array([0.7 * MOODS[mood].changes.get(axis.name, 0.0) for axis in AXES])
    takes = np.concatenate([draw_style(asked, seed, 1.0) for seed in range(64)])[:, : len(AXES)]
    left = (np.sign(changes) * (takes + changes))[:, changes != 0]
    assert (left >= 0.6 * np.abs(changes[changes != 0]) - 1e-5).all()
    assert left.max() > 2.0, "a reading may go beyond it"
    others = np.concatenate([draw_style(USUAL, seed, 1.0) for seed in range(64)])[:, : len(AXES)]
    assert np.allclose(takes[:, changes == 0], others[:, changes == 0], atol=1e-5)


@pytest.mark.parametrize(
    "mood, axis",
    [
        ("warm", "smile"),
        ("amused", "smile"),
        ("sad", "smile"),
        ("angry", "frown"),
        ("surprised", "frown"),
    ],
)
@pytest.mark.parametrize("spread", [0.5, 1.0])
def test_a_mood_is_told_from_the_face_of_every_reading(mood, axis, spread):
    takes = np.concatenate(
        [draw_style(Direction(mood=mood).vector()[None], seed, spread) for seed in range(64)]
    )
    does = MOODS[mood].changes[axis]
    shows = (
        takes[:, DIRECTION_NAMES.index(axis)] / does
        + takes[:, DIRECTION_NAMES.index(f"mood.{mood}")]
    )
    assert 0.85 - 1e-5 <= shows.min() < 0.86, "of strength and axis together"
    assert shows.std() > 0.2, "takes differ in it nevertheless"


def test_no_reading_takes_back_what_is_asked_of_a_slider_by_much():
    axis = next(axis for axis in AXES if axis.name == "energy")

    def energies(asked: float) -> np.ndarray:
        vector = Direction(Style(energy=asked)).vector()[None]
        return np.array([draw_style(vector, seed, 1.0)[0, AXES.index(axis)] for seed in range(64)])

    loud, quiet, little = energies(2.0), energies(0.5), energies(1.02)
    assert (
        loud.min() >= 0.4 * axis.deviations(2.0) - 1e-5
        and quiet.max() <= 0.4 * axis.deviations(0.5) + 1e-5
    )
    assert np.abs(little - energies(1.0) - axis.deviations(1.02)).max() < 0.5, (
        "a little is no demand"
    )


def test_a_direction_that_changes_within_a_line_is_followed_by_every_take():
    asked = np.stack([Direction(Style(energy=e)).vector() for e in np.linspace(0.8, 1.1, 50)])
    assert np.allclose(np.diff(draw_style(asked, 6, 0.5)[:, 0]), np.diff(asked[:, 0]), atol=1e-5)


def test_no_reading_and_no_emphasis_leaves_the_range_of_a_style():
    asked = Direction(Style(energy=2.0, smile=-1.0)).vector()[None]
    takes = np.concatenate([draw_style(asked, seed, 1.0) for seed in range(64)])
    vector = Direction(Style(energy=2.0, brows=0.1)).vector()[None]
    stressed = add_stresses(vector, 1.0, ACCENTS, ACCENTS)
    for column, axis in enumerate(AXES):
        values = np.concatenate([takes[:, column], stressed[:, column]])
        assert (
            axis.deviations(axis.least) - 1e-4 <= values.min()
            and values.max() <= axis.deviations(axis.most) + 1e-4
        )


# ---- stressed words


SILENT = np.zeros(200)
ACCENTS = np.exp(-0.5 * ((np.arange(200)[:, None] - [30, 80, 150]) / 2.5) ** 2).max(1)


def test_words_that_are_hit_are_louder_and_brows_and_head_do_more_on_them():
    stress = np.where(ACCENTS > 0.5, -0.6, 0.0)
    stress[74:86] = 1.0
    played = add_stresses(USUAL, 0.5, SILENT, stress)
    column = {name: played[:, i] for i, name in enumerate(DIRECTION_NAMES)}
    moved = ("energy", "articulation", "brows", "head")
    assert np.array_equal(played.any(0), np.isin(DIRECTION_NAMES, moved))
    assert np.corrcoef(column["articulation"], column["energy"])[0, 1] > 0.95
    energy = AXES[0].speakers * column["energy"]
    assert energy[80] - energy[110] == pytest.approx(0.56, abs=0.01)
    assert energy[30] < energy[110], "thrown away"
    accented = add_stresses(USUAL, 0.5, ACCENTS, SILENT)
    for name in ("brows", "head"):
        own = accented[:, DIRECTION_NAMES.index(name)]
        assert own[80] > 0.5 > 0 > own[110] and abs(own.mean()) < 0.05
        assert column[name][80] > 0.5 > 0 > column[name][30]
    asked = Direction(Style(energy=1.3)).vector()[None]
    assert np.array_equal(add_stresses(asked, 0.5, SILENT, SILENT), np.repeat(asked, 200, 0))


@pytest.mark.parametrize(
    "names",
    [
        ("dialogue_03", "dialogue_03.wav", "Dialogue_03.WAV"),
        ("rec.wav.001", "rec.001", "rec.wav", "rec"),
        ("rec.001.wav.002", "rec.001.wav"),
    ],
)
def test_a_voice_and_both_parts_of_a_line_that_was_cut_have_the_same_seed_everywhere(names):
    assert len(set(map(seed_of_voice, names))) == 1
    assert seed_of_voice("dialogue_03") == 30648 and seed_of_voice("rec.001.wav") != seed_of_voice(
        "rec"
    )


def test_lines_and_characters_of_a_scene_are_played_by_different_people():
    names = [f"line_{i:02d}.wav" for i in range(20)] + ["rec.001.wav", "rec.002.wav", "rec"]
    seeds = [seed_of_voice(name) for name in names]
    assert len(set(seeds)) == len(names) and all(
        0 <= seed <= POINTS - 8 and seed % 8 == 0 for seed in seeds
    )
    one, other = (draw_style(USUAL, seed + 1, 0.5) for seed in seeds[:2])
    assert abs(one - other).max() > 0.3
    seeds = [seed_of_voice("scene_3.wav", character) for character in range(20)]
    assert (
        len(set(seeds)) == 20
        and seeds[0] == seed_of_voice("scene_3")
        and seed_of_voice("scene_3.wav.001", 1) == seeds[1]
    )


@pytest.mark.parametrize("name", ["", ".wav", "日本語.wav", "a\ud800", "x" * 300])
def test_any_name_has_a_seed(name):
    assert seed_of_voice(name) >= 0


LIVELY = axis_deviations(Arousal(2.0, 2.0, 2.0))
SLIDERS = [DIRECTION_NAMES.index(name) for name in ("energy", "brows", "head")]
OTHERS = np.delete(np.arange(len(DIRECTION_NAMES)), SLIDERS)


@pytest.fixture(scope="module")
def hear():
    encoder = SpeechEncoder.load(SHIPPED)
    return lambda samples: read_arousal(*analyse(encoder, samples))


# ---- what is heard


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_the_voice_moves_its_own_value_the_right_way(name, hear, sample):
    how, field, side = CHANGES[name]
    before, after = (
        getattr(hear(samples), field)
        for samples in (sample.samples, change_voice(sample.samples, **how))
    )
    assert side * (after - before) > 0.1


@pytest.mark.parametrize("gain", [0.01, 0.3, 3.0])
def test_the_level_of_a_recording_does_not_count(gain, hear, sample):
    assert np.allclose(hear(sample.samples), hear(gain * sample.samples), atol=0.02)


@pytest.mark.parametrize("samples", [
    np.zeros(0, np.float32), np.zeros(2 * RATE, np.float32), np.ones(1, np.float32),
    np.random.default_rng(1).normal(0, 0.1, 3 * RATE).astype(np.float32),
], ids=["no samples", "silence", "one sample", "noise"])  # fmt: skip
def test_a_sound_without_speech_says_nothing(samples, hear):
    assert np.abs(hear(samples)).max() == 0


def test_what_is_usual_stays_usual_and_nothing_goes_far():
    assert not axis_deviations(Arousal()).any()
    assert np.abs(axis_deviations(Arousal(0.5, -0.5, 0.5))).max() < 0.1
    most = axis_deviations(Arousal(2.5, 2.5, 2.5))
    assert 1.5 < most[most != 0].min() and most.max() < 2.1
    assert np.array_equal(axis_deviations(Arousal(-2.5, -2.5, -2.5)), -most)
    assert {axis.name for axis, by in zip(AXES, most) if by} == {"energy", "brows", "head"}


# ---- takes that are asked to follow it


def test_a_direction_as_heard_moves_three_sliders_by_its_strength_and_within_their_ends():
    asked = DirectionRequest.of(Direction(Style(smile=0.3), AS_HEARD, 0.6))
    style = follow_voice(asked, LIVELY, 50).vectors
    assert np.allclose((style - asked.vectors)[0, : len(AXES)], 0.6 * LIVELY, atol=1e-6)
    assert np.array_equal(style[:, OTHERS], asked.vectors[:, OTHERS])
    high = DirectionRequest.of(Direction(Style(energy=1.95, head=2.5), AS_HEARD, 1.0))
    [ends] = follow_voice(high, LIVELY, 50).vectors
    assert all(by <= axis.deviations(axis.most) + 1e-4 for axis, by in zip(AXES, ends))
    plain = DirectionRequest.of(Direction(mood="warm", strength=0.6))
    assert follow_voice(plain, LIVELY, 50) is plain, "without As Heard a request is itself"


def test_a_direction_may_follow_the_voice_in_a_part_of_its_line():
    asked = DirectionRequest(USUAL, as_heard=np.repeat([0.0, 1.0], [30, 20]).astype(np.float32))
    style = follow_voice(asked, LIVELY, 60).vectors
    assert style.shape == (60, len(DIRECTION_NAMES)), "held to the end of the sound"
    assert not style[:30].any() and np.allclose(style[30:, : len(AXES)], LIVELY, atol=1e-6)
    assert asked.from_frame(30).as_heard.tolist() == [1.0] * 20


def test_takes_follow_the_voice_once_where_a_part_of_the_line_already_does(engine, sample):
    voice = engine.analyse(sample)
    heard = np.repeat([0.0, 1.0], [voice.frames // 2, voice.frames - voice.frames // 2])
    for seed in range(1, 5):
        in_part, throughout = (
            perform(DirectionRequest(USUAL, as_heard=each), voice, seed, 0).style
            for each in (heard, np.ones_like(heard))
        )
        assert np.array_equal(in_part, throughout)
    assert target_size(Performance(1)) == 1.0, "as the voice opens"


# ---- takes that are free to


def test_every_other_reading_of_no_mood_follows_the_voice_by_half_at_the_usual_spread():
    free, led = (
        np.concatenate([draw_style(USUAL, seed, 0.5, heard) for seed in range(64)])
        for heard in (None, 0.5 * LIVELY)
    )
    by, in_a_mood = led - free, (free[:, len(AXES) :] > 0).any(1)
    assert 0.4 < in_a_mood.mean() < 0.6 and not by[in_a_mood].any(), (
        "no take is given a mood and the voice"
    )
    within = np.abs(free[~in_a_mood][:, SLIDERS]) < 1
    assert np.allclose(
        by[~in_a_mood][:, SLIDERS][within],
        np.broadcast_to(0.25 * LIVELY[SLIDERS], within.shape)[within],
        atol=1e-5,
    )
    assert not by[:, OTHERS].any()


def test_no_reading_of_a_mood_and_none_without_spread_follows_the_voice():
    warm = Direction(mood="warm", strength=0.6).vector()[None]
    assert all(
        np.array_equal(draw_style(warm, seed, 0.5, LIVELY), draw_style(warm, seed, 0.5))
        for seed in range(16)
    )
    assert all(np.array_equal(draw_style(USUAL, seed, 0.0, LIVELY), USUAL) for seed in range(16))


# ---- the engine


@pytest.fixture(scope="module")
def raised(sample):
    """The sample, said faster, louder and with more intonation."""
    return Speech(
        change_voice(sample.samples, wider=1.8, faster=1.25, louder=10.0, rises=6.0), RATE
    )


def test_a_take_as_heard_moves_more_for_a_lively_voice_where_the_engine_follows_sliders(
    engine, raised
):
    asked = DirectionRequest.of(Direction(mood=AS_HEARD, strength=1.0), 0.0)
    (take,), (plain,) = (
        engine.generate(raised, Request(1, 3, DRAFT, direction=each))
        for each in (asked, DirectionRequest(USUAL, 0.0))
    )
    assert (
        take.provenance["voice_sounds"]
        == plain.provenance["voice_sounds"]
        == pytest.approx(engine.analyse(raised).arousal, abs=1e-3)
    )
    by = np.subtract(take.provenance["reading"], plain.provenance["reading"])[: len(AXES)]
    assert by == pytest.approx(axis_deviations(engine.analyse(raised).arousal), abs=1e-3)
    assert (
        take.provenance["requested"] == take.provenance["reading"]
        and "requested" not in plain.provenance
    )
    assert take.opening.mean() > plain.opening.mean()
    assert engine.score(raised, take.motion, asked, 3).total == pytest.approx(
        take.score.total, abs=0.05
    )


MARKS = [Mark(STRESSED, 0.4, 0.7), Mark(SOUND, 1.0, 1.1, "B"), Mark(MOVED, 2.0, 2.4, to=(2.1, 2.5))]


@pytest.fixture(scope="module")
def voice(engine, sample):
    return engine.analyse(sample)


def vowels(voice, seconds=0.4):
    """(start, end) of a stretch of the voice without silence, m, b and p that has a vowel to
    hold."""
    phones, length = voice.logits.argmax(1), round(50 * seconds)
    for start in range(0, len(phones) - length, 5):
        if not np.isin(phones[start : start + length], (SILENCE, *BILABIALS)).any():
            word = (start / 50, start / 50 + seconds)
            if held_points(voice.logits, Mark(HELD, *word)):
                return word
    raise AssertionError("the sample has none")


@pytest.mark.parametrize(
    "row",
    [None, [], "stressed", ["loud", 0, 1], ["held", 0], ["held", 1, 1], ["held", 0, float("nan")],
    ["sound", 0, 1], ["sound", 0, 1, ""],
     ["moved", 0, 1], ["moved", 0, 1, 2, 2], ["stressed", 0, 1, "B"], ["held", "0", 1]],
)  # fmt: skip
def test_what_is_no_mark_is_refused(row):
    with pytest.raises(BadRequest, match="is no mark of a word"):
        read_mark(row)


def test_rows_hold_all_of_a_mark():
    assert list(read_marks([mark.row() for mark in reversed(MARKS)])) == MARKS
    with pytest.raises(BadRequest, match="must be a list"):
        DirectionRequest.of_record({"direction": Direction().vector(), "marks": '"stressed"'})


def test_a_line_that_begins_later_has_its_marks_earlier():
    moved = DirectionRequest(marks=tuple(MARKS)).from_frame(10).marks
    assert [mark.start for mark in moved] == pytest.approx(
        [mark.start - 10 / FPS for mark in MARKS]
    )
    assert moved[2].to == pytest.approx((1.7, 2.1))


def test_a_direction_changes_on_marked_words_alone():
    usual = np.repeat(Direction().vector()[None], 100, axis=0)
    energy = DIRECTION_NAMES.index("energy")
    played = mark_direction(usual.copy(), [Mark(STRESSED, 1.0, 1.4), Mark(THROWN_AWAY, 2.4, 2.8)])
    assert played[25:36, energy].min() > 1.5 and played[60:71, energy].max() < -1.5
    beside = np.r_[0:22, 39:57, 74:100]
    assert np.array_equal(played[beside], usual[beside])
    assert np.array_equal(mark_direction(usual.copy(), [Mark(SOUND, 1.0, 1.1, "B")]), usual)


def test_a_corrected_sound_is_sure_and_all_else_is_as_it_was(voice):
    start, end = vowels(voice)
    marked = mark_voice(voice, [Mark(SOUND, start - LATE, end - LATE, "B")])
    rows = slice(round(50 * start), round(50 * end))
    assert softmax(marked.logits[rows])[:, PHONES.index("B")].min() > 0.9
    inside = slice(round(25 * start) + 1, round(25 * end) - 1)
    # however far the mouth opened there
    assert min(marked.sounds.shut[inside].min(), marked.sounds.closed[inside].min()) > 0.9
    assert not mark_voice(voice, [Mark(SOUND, start, end, "AA")]).sounds.closed.any()
    others = np.r_[0 : rows.start, rows.stop : len(voice.logits)]
    assert np.array_equal(marked.logits[others], voice.logits[others])
    assert np.allclose(
        marked.features[: round(25 * start) - 1], voice.features[: round(25 * start) - 1], atol=1e-5
    )
    with pytest.raises(BadRequest, match="is no sound"):
        mark_voice(voice, [Mark(SOUND, start, end, "QQ")])


def test_a_corrected_sound_takes_the_whole_place_of_the_recognised_one(voice):
    """A row of 20 ms that is left of a b shuts the lips on what was chosen instead."""
    sounds = recognise(softmax(voice.logits))
    assert len(sounds) > 10
    for sound in sounds:
        other = "UW" if sound.phone != "UW" else "AA"
        marked = mark_voice(voice, [Mark(SOUND, sound.start, sound.end, other)])
        now = [each.phone for each in recognise(softmax(marked.logits))]
        at = sounds.index(sound)
        before, after = ([each.phone for each in some] for some in (sounds[:at], sounds[at + 1 :]))
        assert now[: at + 1] == [*before, other] or before[-1:] == [other]
        assert now[len(now) - len(after) :] == after


def test_a_moved_word_is_said_later_and_the_line_around_it_as_before(voice):
    start, end = vowels(voice)
    marked = mark_voice(voice, [Mark(MOVED, start, end, to=(start + 0.2, end + 0.2))])
    first, last = round(25 * start), round(25 * end)
    assert np.allclose(marked.features[first + 6 : last + 4], voice.features[first + 1 : last - 1])
    far = np.r_[0 : max(0, first - 9), last + 15 : voice.frames]
    assert np.array_equal(marked.features[far], voice.features[far])
    assert len(marked.units) == len(voice.units) and len(marked.logits) == len(voice.logits)


def test_takes_do_what_marks_ask_for(engine, sample, voice):
    start, end = vowels(voice)
    inside, wanted = slice(round(25 * start) + 1, round(25 * end) - 1), DirectionRequest(spread=0.0)

    def opening(*marks):
        [take] = engine.generate(sample, Request(1, 1, direction=replace(wanted, marks=marks)))
        assert take.provenance.get("marks", []) == [mark.row() for mark in marks]
        return take.opening[inside]

    usual = opening()
    assert opening(Mark(STRESSED, start, end)).mean() > 1.1 * usual.mean()
    assert opening(Mark(THROWN_AWAY, start, end)).mean() < 0.9 * usual.mean()
    assert opening(Mark(OPEN, start, end)).mean() > 1.1 * usual.mean()
    for word in ((start, end), (0.5, 1.0)):  # whatever its sounds
        inside = slice(round(25 * word[0]) + 1, round(25 * word[1]) - 1)
        assert opening(Mark(CLOSED, *word)).max() < 0.1
    inside = slice(round(25 * start) + 1, round(25 * end) - 1)
    said = opening(Mark(SOUND, start + 0.15, start + 0.25, "B"))[2:6]
    assert said.min() < 0.6 < 2 < usual[2:6].min()


def test_a_marked_take_is_scored_with_its_marks(engine, sample, voice):
    asked = replace(DirectionRequest(spread=0.0), marks=(Mark(CLOSED, *vowels(voice)),))
    [take] = engine.generate(sample, Request(1, 1, direction=asked))
    assert engine.score(sample, take.motion, asked, 1).total == pytest.approx(
        take.score.total, abs=0.5
    )
    assert (
        engine.score(sample, take.motion, replace(asked, marks=()), 1).total < take.score.total - 2
    )


FRAMES = 150
RAMP = np.clip((np.arange(FRAMES) - 50) / 60, 0, 1)


@pytest.fixture(scope="module")
def speech(sample):
    return Speech(sample.samples[: FRAMES * 640])


def keyed(**strengths) -> np.ndarray:
    """A direction [FRAMES, DIRECTION_NAMES] with moods of these strengths [FRAMES]."""
    vectors = np.repeat(Direction().vector()[None], FRAMES, 0)
    for mood, strength in strengths.items():
        vectors[:, DIRECTION_NAMES.index(f"mood.{mood}")] = strength
    return vectors


def take_of(engine, speech, vectors, **more):
    (take,) = engine.generate(
        speech, Request(1, 5, direction=DirectionRequest(vectors, 0.0), **more)
    )
    return take


def test_a_direction_whose_moods_stay_is_itself():
    for vectors in (keyed(), keyed(angry=1.0), keyed(warm=0.5), Direction().vector()[None]):
        [style], shares = split_moods(vectors, len(vectors))
        assert style is vectors and (shares == 1).all()


def test_moods_that_change_are_shares_of_directions_with_one_mood_each():
    styles, shares = split_moods(keyed(angry=0.8 * RAMP, sad=0.4 * (1 - RAMP)), len(RAMP))
    angry, sad = (DIRECTION_NAMES.index(f"mood.{name}") for name in ("angry", "sad"))
    assert len(shares) == len(styles), "none without a mood: one always shows"
    assert np.allclose(shares.sum(0), 1) and shares.min() >= 0
    strengths = sorted((style[0, angry].round(3), style[0, sad].round(3)) for style in styles)
    assert np.allclose(strengths, [(0, 0.4), (0.8, 0)])


@pytest.mark.parametrize(
    "mood",
    [
        pytest.param(name, marks=() if name in ("angry", "sad", "surprised") else pytest.mark.slow)
        for name in MOOD_NAMES
    ],
)
def test_a_mood_rises_with_its_curve_from_nothing_to_all_of_it(engine, speech, mood):
    plain, ramp, full = (
        pack(take_of(engine, speech, keyed(**{mood: strength})).motion)
        for strength in (0.0, RAMP, 1.0)
    )
    assert (ramp[:45] == plain[:45]).all(), "to the bit, with head, blinks and looks"
    assert np.allclose(ramp[118:], full[118:], atol=1e-6)
    names = engine.head.expression_names
    posed = ~np.append(in_group(names, BLINKS), [False] * 9)
    apart = np.linalg.norm((full - plain)[:, posed], axis=1)
    reached = np.linalg.norm((ramp - plain)[:, posed], axis=1) / np.maximum(apart, 1e-6)
    inside = slice(40, 120)
    assert np.corrcoef(reached[inside], RAMP[inside])[0, 1] > 0.98
    assert (np.diff(reached[inside]) > -1e-3).all(), "and never falls back"
    late = [np.corrcoef(reached[40 + by : 120 + by], RAMP[inside])[0, 1] for by in range(-3, 4)]
    assert abs(int(np.argmax(late)) - 3) <= 1


@pytest.mark.parametrize("blinks", [(), (58,), (60, 66), (72, 75), (63, 70, 90)])
def test_no_blink_is_halved_where_a_mood_comes_and_goes(engine, blinks):
    pipeline, t = engine.thunder.pipeline, np.arange(FRAMES)
    names = engine.thunder.channel_names
    moods = np.zeros((2, FRAMES, pipeline.columns.count), np.float32)
    for number, at in enumerate(blinks):  # of one mood, then of the other
        lid = np.exp(-0.5 * ((t - at) / 1.3) ** 2)
        for side in ("Left", "Right"):
            moods[number % 2, :, names.index(f"eyeBlink{side}")] += lid
    on = gaussian(((t >= 60) & (t < 75)).astype(float), 1.0)
    faded = pipeline.cross_fade(moods, np.stack([1 - on, on]), None)
    lid = faded[:, names.index("eyeBlinkLeft")]
    tops = [at for at in range(1, FRAMES - 1) if lid[at - 1] < lid[at] >= lid[at + 1]]
    assert all(lid[at] > 0.75 or lid[at] < 0.2 for at in tops), lid[50:90].round(2)
    assert (faded[:50] == moods[0, :50]).all() and (faded[85:] == moods[0, 85:]).all()


def test_a_jaw_is_measured_apart_from_how_far_the_mouth_opens(engine, sample, voice):
    def jaw(**style):
        asked = DirectionRequest(Direction(Style(**style)).vector()[None], spread=0.0)
        takes = engine.generate(sample, Request(4, 1, direction=asked))
        speaks = voice.presence > SPOKEN
        return np.mean([engine.meter.measure(take.motion, speaks)["jaw"] for take in takes])

    usual = jaw()
    by_energy, by_jaw = jaw(energy=1.5) - usual, jaw(jaw=1.3) - usual
    assert by_jaw > 0.08 and abs(by_energy) < by_jaw
