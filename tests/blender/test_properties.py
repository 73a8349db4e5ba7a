# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold for any scene, tried on many: frames and seconds, resampling, strips, and a commit
that is undone."""

import numpy as np
import pytest
from hypothesis import assume, given, HealthCheck, Phase, settings, strategies as st
from performances import performance, trim_end, trim_start, write_wav
from thunder.scene.host import compat
from thunder.scene.takes import provenance, take_list
from thunder.scene.voice import strip
from thunder.thunder_core import errors
from thunder.thunder_core.animation import timing

many = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=60,
    suppress_health_check=list(HealthCheck),
)
# to shrink what fails there takes minutes
in_blender = settings(many, phases=(Phase.explicit, Phase.generate))
# fps, fps_base
RATES = st.tuples(
    st.sampled_from((12, 24, 25, 30, 48, 60, 120)), st.sampled_from((1.0, 1.001, 0.5, 1.25))
)


@pytest.fixture
def sequencer(needs_sound, blender, tmp_path):
    """A scene and the file of four seconds of sound."""
    return blender.context.scene, write_wav(
        tmp_path / "voice.wav", 0.3 * np.sin(np.arange(64_000) * 0.05)
    )


@settings(in_blender, max_examples=10)
@given(
    rate=RATES,
    start=st.integers(-200, 5000),
    left=st.integers(0, 60),
    right=st.integers(0, 60),
    preview=st.tuples(st.integers(-300, 5100), st.integers(0, 400)),
)
def test_a_strips_voice_is_what_lies_between_its_handles(
    sequencer, rate, start, left, right, preview
):
    scene, path = sequencer
    scene.render.fps, scene.render.fps_base = rate
    for old in strip.sound_strips(scene):
        compat.strips(scene.sequence_editor).remove(old)
    sound = strip.add(scene, path, "voice", start)
    whole = compat.strip_span(sound)
    assert whole[0] == start == compat.content_start(sound)
    assert abs(whole[1] - whole[0] - 4 * rate[0] / rate[1]) <= 1
    trim_start(sound, left)
    trim_end(sound, right)
    first, last = compat.strip_span(sound)
    fps = rate[0] / np.float32(rate[1])
    assume(last - first >= 2 and (last - first) / fps > 0.31)
    voice = strip.of_strip(scene, sound)
    assert (voice.clock.start, voice.last) == (first, last)
    assert (first, last) == (whole[0] + left, whole[1] - right)
    assert abs(voice.clock.fps - fps) < 1e-4
    assert abs(voice.clock.seconds(voice.last) - (last - first) / fps) < 1e-4
    low, high = max(first, preview[0]), min(last, sum(preview))
    if high - low >= 2 and (high - low) / fps > 0.31:
        part = strip.part_of(voice, preview[0], sum(preview))
        assert (part.clock.start, part.last, part.clock.fps) == (low, high, voice.clock.fps)
        assert strip.part_of(part, preview[0], sum(preview)) == part
    elif high - low < 2:
        with pytest.raises(errors.BadSound):
            strip.part_of(voice, preview[0], sum(preview))


@pytest.mark.parametrize(
    "name, value",
    [
        ("version", 99),
        ("channels", None),
        ("channels", "a\nb"),
        ("frames", 0),
        ("frames", 10**6),
        ("fps", 0.0),
        ("start", float("nan")),
        ("jaw", None),
        ("opening", [0.5] * 60),
    ],
)
def test_a_record_that_does_not_fit_together_is_no_performance(blender, name, value):
    action = blender.data.actions.new("damaged")
    made = performance(seconds=0.4, closed_at=())
    provenance.store(action, made, timing.Clock(1.0, 24.0), "line")
    assert provenance.load(action) is not None
    assert take_list.unlisted_actions(blender.context.scene) == [action]
    if value is None:
        action[provenance.SOURCE].pop(name)
    else:
        action[provenance.SOURCE][name] = value
    assert provenance.load(action) is provenance.clock_of(action) is None
    assert provenance.opening_of(action) is None
    assert take_list.unlisted_actions(blender.context.scene) == []
