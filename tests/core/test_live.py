# SPDX-License-Identifier: GPL-3.0-or-later
"""A face that performs a voice while it is spoken: what it does, how far it is behind, and what
its worker sends, of a sound and of a microphone, which plays a file."""

import os
import queue
import sys
import threading
import time
import tracemalloc

import numpy as np
import pytest
import soundfile
from played_microphone import engine_with
from timing import until

from thunder_core import errors
from thunder_core.animation.live_motion import LiveMotion
from thunder_core.client import Client
from thunder_core.direction import Direction
from thunder_core.engine import live, microphone
from thunder_core.face.moving.mouth_shape import MouthShape, OPENING
from thunder_core.shipped import SAMPLE
from thunder_core.types import BLINKS, FPS, in_group, Motion, pack, RATE

HOP, AHEAD = 4 * live._STEP, 5
STYLE = Direction().vector()[None]


@pytest.fixture
def perform(engine):
    """perform(samples) → the motions of a face's hops and their first frames, and the face."""

    def run(samples, hop=HOP, style=STYLE):
        face = live.LiveFace(engine.thunder, style, AHEAD / FPS, seed=3)
        hops = []
        for at in range(0, len(samples), hop):
            face.feed(samples[at : at + hop])
            hops += [made] if (made := face.advance()) else []
        return hops, face

    return run


@pytest.fixture
def openings(engine):
    mouth = MouthShape.of(engine.head)
    return lambda motion: mouth.measure(motion.expression, motion.jaw)[:, OPENING]


def test_every_frame_is_performed_once_and_as_the_whole_voice_asks(
    engine, perform, openings, sample
):
    sound = sample.samples[: 5 * RATE]
    hops, face = perform(sound)
    assert all(a + made.frames == b for (a, made, _), (b, *_) in zip(hops, hops[1:]))
    assert hops[0][0] == 0 and face.done == 5 * int(FPS) - AHEAD + 1
    motion = Motion.join([made for _, made, _ in hops])
    whole = engine.thunder.expect(engine.thunder.analyse(sound, 5 * int(FPS)), STYLE)
    r = np.corrcoef(openings(motion), openings(whole)[: motion.frames])[0, 1]
    assert r > 0.85 and motion.expression.min() >= 0 and motion.expression.max() <= 1
    lids = motion.expression[:, in_group(engine.thunder.channel_names, BLINKS)]
    assert lids.max() > 0.5 and np.degrees(motion.head).std(0).max() > 0.5, "it only speaks"
    steps, seams = np.abs(np.diff(openings(motion))), [first - 1 for first, *_ in hops[1:]]
    assert steps[seams].mean() < 1.3 * np.delete(steps, seams).mean(), "it jumps from hop to hop"


def test_a_microphone_is_heard_up_to_its_last_sample(engine, perform, openings, sample):
    sound = sample.samples[: 2 * RATE]
    face, block = live.LiveFace(engine.thunder, STYLE, AHEAD / FPS, 3, microphone.RATE), 960
    spoken, motions = np.repeat(sound, microphone.RATE // RATE), []
    for at in range(0, len(spoken), block):
        face.feed(spoken[at : at + block])
        assert face.heard == (at + block) // face._frame
        if face.heard % 4 == 0 and (made := face.advance()) is not None:
            motions.append(made[1])
    opening = openings(Motion.join(motions))
    same = openings(Motion.join([made for _, made, _ in perform(sound)[0]]))
    assert np.corrcoef(opening, same[: len(opening)])[0, 1] > 0.98


def test_lips_rest_in_the_noise_of_a_room_before_and_after_somebody_speaks(
    perform, openings, sample
):
    noise = 2e-3 * np.random.default_rng(1).standard_normal(6 * RATE).astype(np.float32)
    hops, _ = perform(np.concatenate([noise, sample.samples[: 3 * RATE], noise]), hop=2 * HOP)
    opening = openings(Motion.join([made for _, made, _ in hops]))
    last = int(FPS)
    assert opening[: 5 * last].std() < 0.3 and opening[-4 * last :].std() < 0.3
    assert opening[6 * last : 9 * last].std() > 1.0


def test_a_face_that_comes_late_leaves_frames_out_and_goes_on(perform, sample):
    hops, face = perform(np.tile(sample.samples, 2)[: 14 * RATE], hop=7 * RATE)
    (first, one, phones), (second, other, _) = hops
    end = 7 * int(FPS)
    begins = end - live.WINDOW + live._KEPT + live._CONTEXT
    assert (first, first + one.frames) == (begins, end - AHEAD + 1)
    assert len(phones) == one.frames and len(set(phones)) > 5
    assert second + other.frames == 2 * end - AHEAD + 1 == face.done


def test_a_mood_of_the_direction_is_on_the_live_face(engine, perform, sample):
    smile = in_group(engine.thunder.channel_names, ("mouthSmile",))
    happy = Direction(mood="warm", strength=0.9).vector()[None]
    calm, glad = (
        Motion.join([made for _, made, _ in perform(sample.samples[: 2 * RATE], style=style)[0]])
        for style in (STYLE, happy)
    )
    assert glad.expression[:, smile].mean() > 0.1 + calm.expression[:, smile].mean()


def test_plans_of_many_minutes_are_made_one_after_the_other(engine, sample, monkeypatch):
    monkeypatch.setattr(live, "_PLANNED", 150)
    face, plans = live.LiveFace(engine.thunder, STYLE, 0.2), set()
    for end in range(0, 600, 50):
        plan, start = face._plan(end)
        plans.add(id(plan.events))
        assert start + live.WINDOW <= len(plan.events) == 150 + live.WINDOW
    assert face._planned[0] == 3


def test_ten_minutes_need_no_more_memory_than_four(engine, sample, monkeypatch):
    thunder, frames = engine.thunder, live.MOST_HOP
    face, shown, held = live.LiveFace(thunder, STYLE, 0.2), LiveMotion(), []
    voice = thunder.analyse(sample.samples[: 4 * RATE], live.WINDOW, quickly=True)
    x = thunder.expect_events(voice, face.take, face._plan(0)[0].events[: live.WINDOW])
    monkeypatch.setattr(thunder, "analyse", lambda *_, **__: voice)
    monkeypatch.setattr(thunder, "expect_events", lambda *_: x)
    monkeypatch.setattr(thunder.pipeline, "finish", lambda made, *_: made)
    shown.began, minute = 0.0, 60 * int(FPS)
    tracemalloc.start()
    while face.done < 10 * minute:
        face.feed(sample.samples[: frames * live._STEP])
        if (made := face.advance()) is not None:
            first, motion, phones = made
            event = {
                "event": "curves",
                "first": first,
                "values": pack(motion).tolist(),
                "phones": phones,
            }
            shown.add(event | {"hop": frames / FPS, "made": face.done / FPS})
            assert shown.at(face.done / FPS) is not None
        if face.done > (4 + 6 * len(held)) * minute - 2 * frames:
            held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert len(held) == 2 and held[1] - held[0] < 200_000


def test_hops_lengthen_where_they_take_longer():
    class Slow:
        heard, now, done = 0, 0.0, 0

        def feed(self, samples):
            self.heard += len(samples) / live._STEP
            self.now = max(self.now, self.heard / FPS)

        def advance(self):
            self.now += 0.25
            self.done += 1
            return self.done, Motion(*(np.zeros((1, 3), np.float32) for _ in range(2))), ["M"]

        def get(self):
            return bytes(2 * 2 * live._STEP) if self.heard < 12 * FPS else None

        def empty(self):
            return self.heard / FPS >= self.now

    slow, events = Slow(), []
    live.follow(slow, slow, events.append, lambda: slow.now)
    hops = [event["hop"] for event in events]
    assert hops[0] == live.HOP / FPS and hops[-1] > 0.25 and max(hops) <= live.MOST_HOP / FPS
    assert slow.now < 12.8, "it is further behind at the end than a hop"


def test_what_arrived_while_a_hop_was_made_is_performed_at_the_end():
    class Late:
        heard, shown = 0, 0

        def feed(self, samples):
            self.heard += len(samples) // live._STEP

        def advance(self):
            self.shown = self.heard

    blocks, late = queue.SimpleQueue(), Late()
    for block in (*[bytes(2 * live._STEP)] * 30, None):
        blocks.put(block)
    live.follow(late, blocks, print)
    assert late.shown == late.heard == 30


# -- its worker


def curves_of(pending, least):
    """Events of a request until so many are curves."""
    events = []
    until(
        lambda: (
            events.extend(pending.poll())
            or pending.done
            or sum(each["event"] == "curves" for each in events) >= least
        )
    )
    assert sum(each["event"] == "curves" for each in events) >= least, pending.error
    return events


def test_the_worker_performs_a_sound_at_its_own_pace():
    with Client(sys.executable) as client:
        pending = client.request("live", sound=str(SAMPLE), ahead=0.2, seed=5)
        events = curves_of(pending, 3)
        began = next(event["began"] for event in events if event["event"] == "level")
        assert 0 < time.perf_counter() - began < 60
        curves = [event for event in events if event["event"] == "curves"]
        assert curves[0]["first"] == 0 and len(curves[0]["values"][0]) > 50
        client.request("finish").wait(timeout=10)
        assert pending.wait(timeout=10) == {"ended": ""}


@pytest.mark.skipif(os.name == "nt", reason="the engine's Python is a shell script here")
def test_the_worker_records_what_it_performs(tmp_path):
    noise = np.random.default_rng(1).integers(-9000, 9000, 2 * microphone.RATE).astype("<i2")
    spoken, out = tmp_path / "spoken.wav", tmp_path / "out.wav"
    soundfile.write(spoken, noise, microphone.RATE)
    with Client(engine_with(tmp_path, spoken)) as client:
        pending = client.request("live", path=str(out), ahead=0.2)
        curves_of(pending, 2)
        client.request("finish").wait(timeout=10)
        result = pending.wait(timeout=10)
    kept, _ = soundfile.read(out, dtype="int16")
    assert len(kept) == round(result["seconds"] * microphone.RATE)
    assert (kept[: len(noise)] == noise[: len(kept)]).all()


@pytest.mark.skipif(os.name == "nt", reason="the engine's Python is a shell script here")
def test_a_microphone_that_comes_back_is_heard_again_and_its_pause_is_silence(tmp_path):
    noise = np.random.default_rng(1).integers(-9000, 9000, microphone.RATE).astype("<i2")
    spoken, out = tmp_path / "spoken.wav", tmp_path / "out.wav"
    soundfile.write(spoken, noise, microphone.RATE)
    with Client(engine_with(tmp_path, spoken, "back:0.4")) as client:
        pending, levels = client.request("live", path=str(out), ahead=0.2), []
        until(
            lambda: (
                levels.extend(each for each in pending.poll() if each["event"] == "level")
                or pending.done
                or any(each["away"] for each in levels)
                and levels[-1]["seconds"] > 1.6
            )
        )
        assert not pending.done, pending.error
        client.request("finish").wait(timeout=10)
        assert pending.wait(timeout=10)["ended"] == ""
    kept, _ = soundfile.read(out, dtype="int16")
    assert (kept[: int(0.4 * microphone.RATE)] == noise[: int(0.4 * microphone.RATE)]).all()
    gap = np.flatnonzero(np.abs(kept[int(0.4 * microphone.RATE) :]) > 0)[0] / microphone.RATE
    assert 0.4 < gap < 1.5, "the pause is not as long as it was"
    begins = [each["began"] for each in levels]
    assert np.ptp(begins) < 0.15, "what comes after the pause is at another time"


def test_a_face_that_fails_ends_the_recording_with_its_sentence():
    class Failing:
        heard = 0

        def feed(self, samples):
            self.heard += live.WINDOW

        def advance(self):
            raise errors.OutOfMemory("There is too little memory for this: close other programs")

    def listen(stop, on_level, on_block):
        on_block(bytes(1280))
        assert stop.wait(5), "nobody ends it"
        kept.append(True)
        return {}

    kept = []
    with pytest.raises(errors.OutOfMemory):
        live.perform(Failing(), listen, print, threading.Event())
    assert kept


# -- as it is seen


def test_what_is_shown_never_goes_back_and_is_as_late_as_it_must_be():
    shown, now, seen = LiveMotion(), 100.0, []
    shown.began, rng = now, np.random.default_rng(2)
    arrivals = [
        (now + (first + 9) / FPS + 0.06 + 0.03 * rng.random(), first) for first in range(0, 400, 4)
    ]
    assert shown.at(now) is None
    while now < 115:
        while arrivals and arrivals[0][0] <= now:
            made, first = arrivals.pop(0)
            values = [[float(frame)] for frame in range(first, first + 4)]
            event = {"event": "curves", "first": first, "values": values, "phones": ["M"] * 4}
            shown.add(event | {"hop": 4 / FPS, "made": made})
        row = shown.at(now)
        seen += [] if row is None else [(now, float(row[0]))]
        now += 0.02
    times, frames = np.array(seen).T
    assert (np.diff(frames) >= 0).all() and np.diff(frames).max() < 1.0
    behind = (times - 100 - frames / FPS)[50:-100]
    assert 0.35 < behind.min() and behind.max() < 0.52 and np.diff(frames)[50:-100].min() > 0.2


def late_by(lateness, hops):
    """The delays that are told while frames of hops arrive late, s: (when, delay) each."""
    shown, told, queue_, step = LiveMotion(), [], [], 4 / FPS
    shown.began = 0.0
    for number in range(hops):
        first = 4 * number
        event = {
            "event": "curves",
            "first": first,
            "values": [[float(first + i)] for i in range(4)],
        }
        made = (first + 4) / FPS + lateness(number)
        queue_.append((made, event | {"phones": ["M"] * 4, "hop": step, "made": made}))
    for now in np.arange(0.0, hops * step, 0.02):
        while queue_ and queue_[0][0] <= now:
            shown.add(queue_.pop(0)[1])
        if (row := shown.at(now)) is not None:
            told.append((now, shown.delay, now - row[0] / FPS))
    return np.array(told)


def test_the_delay_does_not_creep_where_some_frames_come_late_and_is_the_one_that_was():
    rng = np.random.default_rng(3)
    now, told, was = late_by(lambda n: 0.3 + 0.9 * (rng.random() < 0.1), 400).T
    assert told == pytest.approx(was), "what is told is not what was"
    usual = [told[(now > begin) & (now < begin + 8)] for begin in range(10, 50, 8)]
    assert np.ptp([np.median(each) for each in usual]) < 0.05
    assert np.median(told[now > 10]) < 0.3 + 2 * 4 / FPS


def test_the_clock_of_a_sound_card_does_not_make_the_delay_grow():
    blocks, stop, levels = queue.SimpleQueue(), threading.Event(), []
    size, drift = 2 * 960, 2e-4  # 20 ms each, by a clock that is slow, and half a second lost
    for number in range(1, 3000):
        at = 100.0 + 0.02 * number * (1 + drift) + 0.5 * (number > 2000)
        blocks.put((at + 0.005 * (number % 7 != 0), bytes(size)))

    def note(level):
        levels.append(level)
        if level["seconds"] > 59.9:
            stop.set()

    microphone._write("", blocks, stop, note)
    seconds, began = (np.array([each[name] for each in levels]) for name in ("seconds", "began"))
    behind = 100.0 + seconds * (1 + drift) + 0.5 * (seconds > 40.0) - (began + seconds)
    assert np.abs(behind[seconds < 40]).max() < 0.01
    assert np.abs(behind[seconds > 46]).max() < 0.01


def test_it_is_over_when_the_last_frame_is_shown_or_waited_for_too_long():
    shown = LiveMotion()
    assert shown.is_over(0.0), "nothing has arrived"
    shown.began = 0.0
    event = {"event": "curves", "first": 0, "values": [[0.0]] * 25, "phones": ["M"] * 25}
    shown.add(event | {"hop": 0.16, "made": 3.0})
    shown.at(3.0)
    assert not shown.is_over(3.0) and shown.is_over(8.1)
    assert shown.at(3.3) is not None and shown.is_over(3.3)


def test_frames_that_were_left_out_are_jumped_over():
    shown = LiveMotion()
    shown.began = 0.0
    event = {"event": "curves", "first": 0, "values": [[0.0]] * 4, "phones": ["M"] * 4}
    event["hop"] = 0.16
    shown.add(event | {"made": 0.4})
    shown.at(0.5)
    later = {"first": 40, "values": [[1.0]] * 4, "phones": ["SIL", "AA", "AA", "SIL"]}
    shown.add(event | later | {"made": 2.0})
    assert shown.at(2.1)[0] == 1.0
    said, at = shown.sounds()
    assert said == [("AA", pytest.approx(1 / FPS), pytest.approx(3 / FPS))] and 0 <= at <= 3 / FPS
