# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions in a real window with undo, redo, Esc, saving and reloading at any moment: each key in
the middle of each long work, and a seeded one of random legal actions.

THUNDER_RANDOM = "SEED ACTIONS" chooses the session. After each action the file is compared with how
it was before: a take, a key or a strip that the action had no right to touch must be there
unchanged, and undo followed by redo must change nothing. Each action is written to
FOLDER/actions.log before it runs, so that the last line tells what a crash was caused by.
"""

import os
import random
import time
from dataclasses import dataclass, field
from inspect import isgenerator
from pathlib import Path

import bpy
import numpy as np
from deleting import DELETIONS
from performances import trim_end, write_wav
from played_engine import Asked, PlayedClient
from scenarios import PATIENCE, scene_with_voice_and_head, until
from thunder.operators import base
from thunder.scene.animation import display, keying
from thunder.scene.engine import connection
from thunder.scene.heads import head
from thunder.scene.host import compat, jobs
from thunder.scene.host.jobs import session
from thunder.scene.media import grid
from thunder.scene.takes import mix, take_list
from thunder.scene.takes.direction import sliders
from thunder.scene.takes.direction.live import live
from thunder.scene.voice import strip
from thunder.thunder_core.errors import BadRequest, ThunderError

KEYS = {
    "undo": {"key": "Z", "ctrl": True},
    "redo": {"key": "Z", "ctrl": True, "shift": True},
    "escape": {"key": "ESC"},
}
_EVENT_SECONDS = 0.03  # between two events of the engine


class PacedClient(PlayedClient):
    """An engine without a process whose events come one by one, so that a window is drawn and keys
    are pressed between them."""

    running, pid = True, 0

    def request(self, verb, **args):
        unscored = {"event": "error", "error": BadRequest("This engine scores nothing")}
        asked = Asked([unscored]) if verb == "score" else super().request(verb, **args)
        poll, last = asked.poll, [time.monotonic()]

        def paced():
            if time.monotonic() - last[0] < _EVENT_SECONDS:
                return []
            last[0] = time.monotonic()
            return poll()

        asked.poll = paced
        return asked

    def close(self, *_):
        pass


def play_engine(hand):
    """Answer all requests without an engine's process, and advance work in small slices, so that
    keys come between them."""
    client = PacedClient(hand.folder)
    connection.client = lambda *_: client
    jobs.SLICE_SECONDS = jobs.BUSY_SECONDS = 0.008
    base.TICK_SECONDS = 0.01
    return client


@dataclass
class Ends:
    """How each job ended: "done", or the sentence. bugs: errors that are none of an animator's."""

    all: list[str] = field(default_factory=list)
    bugs: list[str] = field(default_factory=list)


def watch_ends():
    """The `Ends` of all jobs from now on."""
    ends, advance = Ends(), jobs.Job.advance

    def watched(self, *arguments):
        try:
            over = advance(self, *arguments)
        except Exception as error:
            ends.all.append(str(error))
            if not isinstance(error, ThunderError):
                ends.bugs.append(repr(error))
            raise
        if over:
            ends.all.append("done")
        return over

    jobs.Job.advance = watched
    return ends


def treasure(hand, by="session_uid"):
    """What may not be lost: of each take and each other action the name and the keys, by id, or by
    the action's name, which a file keeps."""
    scene = hand.scene
    takes = {
        getattr(entry.action, by): (
            entry.name,
            entry.voice,
            entry.star,
            keying.checksum_of(entry.action),
        )
        for entry in scene.thunder.takes
        if entry.action is not None
    }
    others = (
        action
        for action in bpy.data.actions
        if getattr(action, by) not in takes and not action.name.startswith(display.STILL_TRACK)
    )
    return {
        "takes": takes,
        "named": {take[:3]: take[:3] for take in takes.values()},
        "own": {getattr(action, by): keying.checksum_of(action) for action in others},
    }


def lost(before, after, of=("takes", "own")):
    """What of a treasure is not as it was."""
    return [
        f"{kind}: {value}"
        for kind in of
        for uid, value in before[kind].items()
        if after[kind].get(uid) != value
    ]


# ---- sessions

turns: list[str] = []  # each undo and redo that Blender has done


@bpy.app.handlers.persistent
def _note_turn(*_):
    turns.append("")


LONG_WORK = (
    "generate",
    "more_like_this",
    "resample_rest",
    "mix_takes",
    "commit_take",
    "commit_all",
    "play_grid",
    "resync",
)
ALWAYS_POSSIBLE = (
    *("undo", "undo_redo", "escape", "play_back", "key_marker", "save", "move_strip"),
    *("purge", "delete"),
)


def lives(hand):
    """Act SEED's session of so many ACTIONS."""
    seed, count = (int(word) for word in os.environ.get("THUNDER_RANDOM", "1 20").split())
    player = yield from begin(hand, seed)
    for name in ("generate", *[""] * (count - 1)):  # most other actions need takes
        yield from player.act(name)
    yield from player.finish_work()
    assert player.count == count and player.ends.bugs == [], player.ends.bugs


def presses_keys(hand, rounds=1, ways=("undo", "undo_redo", "escape")):
    """Every key in the middle of every work, at places that a seed chooses; afterwards Generate
    still works. At last the window closes in the middle of it."""
    player = yield from begin(hand, rounds)
    play_engine(hand)
    strips = compat.strips(hand.scene.sequence_editor)
    strips.remove(strips["dialogue"])
    # two seconds: what is long is not the test
    noise = 0.3 * np.random.default_rng(0).standard_normal(32000)
    strip.add(hand.scene, write_wav(Path(hand.folder) / "noise.wav", noise), "dialogue", 1)
    yield from player.act("generate")
    for name in LONG_WORK * rounds:
        for how in ways:
            yield from player.act(name, how)
            yield from player.act("tidy")
        yield from player.act("direct")
    yield from player.act("generate", "wait")
    assert player.ends.bugs == [] and player.ends.all[-1] == "done", player.ends.all[-3:]
    # some works end before the place that the dice choose, or are refused on the frame they draw
    assert player.interrupted > 0.65 * len(ways) * len(LONG_WORK) * rounds
    hand.scene.thunder.count, hand.scene.thunder.seed = 8, 500
    hand.button(bpy.ops.thunder.generate)
    yield from until(lambda: session.job and session.job.step.fraction > 0.5, "half of the work")


def purges(hand):
    """Purge Unused Data in the middle of every work, which goes on: a menu gets its clicks first."""
    yield from presses_keys(hand, 1, ("purge",))


def presses_keys_forty_five_times(hand):
    yield from presses_keys(hand, 45)


def begin(hand, seed):
    """Steps that make a shot with animation of the animator's own; who plays in it."""
    yield from scene_with_voice_and_head(hand, "takes", "direction", "mix", "commit")
    animate_own(hand)
    for noted in (bpy.app.handlers.undo_post, bpy.app.handlers.redo_post):
        noted.append(_note_turn)
    return Player(hand, random.Random(seed), watch_ends())


def animate_own(hand):
    """Keys of the animator's own: an empty that moves, and the head turned by hand."""
    marker = bpy.data.objects.new("Marker", None)
    hand.scene.collection.objects.link(marker)
    for frame, place in ((1, 0.0), (50, 1.0)):
        marker.location.x = place
        marker.keyframe_insert("location", frame=frame)
    bone = head.find(hand.scene).armature.pose.bones["neck"]
    bone.rotation_mode = "XYZ"
    for frame, angle in ((1, 0.0), (80, 0.2)):
        bone.rotation_euler.y = angle
        bone.keyframe_insert("rotation_euler", frame=frame)
    hand.call(bpy.ops.ed.undo_push, message="Own animation")


# ---- what must not be lost


def state_of(hand, objects: frozenset[str]) -> dict:
    """What may not be lost (`treasure`), strips with their sounds, but for generated speech, and
    those `objects` that are there with their shape keys."""
    scene = hand.scene
    assert all(entry.action is not None for entry in scene.thunder.takes), "a take has no action"
    # generated speech goes where Re-sync finds that its voice plays another part
    strips = {
        each.name: getattr(each, "sound", None) is not None
        for each in compat.strips_all(scene.sequence_editor)
        if not each.name.startswith(strip.LISTEN_MARK)
    }
    return treasure(hand, by="name") | {
        "strips": strips,
        "objects": {
            name: getattr(getattr(scene.objects[name].data, "shape_keys", None), "name", "")
            for name in objects & set(scene.objects.keys())
        },
    }


def compare(before: dict, after: dict, what: str, may_change=(), may_go=()) -> None:
    """Assert that nothing of `before` is gone or differs. may_change, may_go: names of actions that
    may."""
    # a take of the list that became the animator's own is not lost
    keys = {name: take[-1] for name, take in after["takes"].items()} | after["own"]
    for name, value in {**before["takes"], **before["own"]}.items():
        if name not in may_go:
            assert name in keys, f"{what}: “{name}” is gone"
            checksum = value[-1] if isinstance(value, tuple) else value
            assert name in may_change or keys[name] == checksum, (
                f"{what}: the keys of “{name}” changed"
            )
    gone = lost(before, after, ("strips", "objects"))
    assert not gone, f"{what}: {gone}"


def unused_actions() -> set[str]:
    return {action.name for action in bpy.data.actions if not action.users}


class Player:
    """Chooses legal actions, interrupts them, and checks what is left."""

    def __init__(self, hand, dice: random.Random, ends: Ends):
        self.hand, self.dice, self.ends = hand, dice, ends
        self.count = self.interrupted = 0  # actions, and those that were interrupted
        self.objects = frozenset(hand.scene.objects.keys())
        # actions of takes that were made to follow the sliders of the direction
        self.copies: set[str] = set()
        self.file = os.path.join(hand.folder, "session.blend")
        self.log = open(os.path.join(hand.folder, "actions.log"), "w", buffering=1)
        # Action → how often it is chosen relative to the others.
        self.weights = {
            "generate": 4, "more_like_this": 3, "resample_rest": 3, "mix_takes": 3,
            "commit_take": 4, "commit_all": 1, "resync": 2,
            "play_grid": 2, "listen": 1, "show_next": 6, "flip_take": 4, "star_take": 3,
            "duplicate_take": 2, "delete_take": 1,
            "own_animation": 3, "direct": 6, "shape": 4, "key_marker": 4, "move_strip": 2,
            "undo": 8, "undo_redo": 8, "escape": 4,
            "play_back": 3, "save": 2, "reload": 2, "purge": 2, "delete": 3,
        }  # fmt: skip

    @property
    def scene(self):
        return self.hand.scene

    @property
    def settings(self):
        return self.scene.thunder

    def state(self) -> dict:
        return state_of(self.hand, self.objects)

    def act(self, name: str = "", *how: str):
        """Steps of one action that is possible now, chosen by the dice; how long work is
        interrupted."""
        while not name:
            (drawn,) = self.dice.choices(list(self.weights), list(self.weights.values()))
            name = drawn if self.is_possible(drawn) else ""
        self.count += 1
        self.log.write(f"{self.count} {name}\n")
        before = self.state()
        done = getattr(self, name)() if hasattr(self, name) else self.press_button(name, *how)
        allowed = (yield from done) if isgenerator(done) else done
        yield 0.2
        after = self.state()
        if allowed is not None:
            compare(before, after, name, **allowed)

    def is_possible(self, name: str) -> bool:
        if name in ALWAYS_POSSIBLE:
            return True
        if name == "reload":
            return os.path.exists(self.file)
        if name == "direct":
            return sliders.of(head.find(self.scene).owner) is not None
        if name in ("shape", "delete_take"):
            return take_list.shown_take(self.settings) is not None
        with self.hand.context():
            op = {"show_next": "select_take", "own_animation": "select_take"}.get(name, name)
            return getattr(bpy.ops.thunder, op).poll()

    # ---- work that runs for a while

    def press_button(self, name: str, how: str = ""):
        """Press an operator's button and let it run, or interrupt it."""
        self.prepare(name)
        ways = (
            *("wait", "escape", "undo", "undo_redo", "undo_by_script"),
            *("show", "frame", "reload", "purge", "delete"),
        )
        how = how or self.dice.choice(("wait", *ways))
        # before an undo the animator's own last step, which is the one to be undone
        steps_back = how.startswith("undo") or how == "delete"
        allowed = self.key_marker() if steps_back else {"may_change": set()}
        if how == "purge":
            allowed["may_go"] = unused_actions()
        before = self.state()
        yield 0.1
        options = {"again": True} if name == "commit_all" else {}
        if self.button(getattr(bpy.ops.thunder, name), **options) and session.job is not None:
            undone = yield from self.interrupt(how, before)
            yield from self.finish_work()
            if undone:
                return None
        if name == "resync":  # keys takes again, and those that it had keyed stay after Esc
            assert not lost(before, self.state(), ["named"])
            committed = {each for each in before["own"] if not each.startswith("Marker")}
            allowed["may_change"] |= before["takes"].keys() | committed
            allowed["may_go"] = allowed.get("may_go", set()) | before["takes"].keys()
        return allowed

    def button(self, operator, **options) -> bool:
        """Press a button; whether the operator did something rather than say what it lacks."""
        try:
            self.log.write(f"  {self.hand.button(operator, **options)}\n")
        # an error that an operator reports is an exception for a script
        except RuntimeError as error:
            self.log.write(f"  said: {error}\n")
            return False
        return True

    def prepare(self, name: str) -> None:
        if name == "generate":
            self.settings.count = self.dice.choice((1, 2, 3))
            self.settings.listen_play = False
        if name == "resync":
            trim_end(strip.by_name(self.scene, "dialogue"), 2 + self.count % 7)  # not as before
        if name == "resample_rest":
            self.scene.thunder_keep.ranges.clear()
            self.scene.thunder_keep.count = 1
            self.scene.frame_set(self.dice.randrange(10, 45))  # inside the shortest take
            self.button(bpy.ops.thunder.keep_frames, which="AROUND")
        if name == "mix_takes":
            with self.hand.context():
                # an earlier take is one to choose only while a part is of it
                for part in ("mouth", "upper_face", "head"):
                    actions = [candidate.action.name for candidate in mix.candidates(bpy.context)]
                    self.button(
                        bpy.ops.thunder.choose_part, part=part, take=self.dice.choice(actions)
                    )

    def interrupt(self, how: str, before: dict):
        """Steps that do something while the job runs, at a place of it that the dice choose; a
        deletion is undone until all that was there `before` is again.
        Returns whether more was undone than the animator's own step: another file, or the work."""
        place, ended = self.dice.choice((0.0, self.dice.random())), len(self.ends.all)
        yield from until(lambda: session.job is None or session.job.step.fraction >= place)
        if session.job is None:
            return False
        self.interrupted += 1
        self.log.write(f"  {how} at {session.job.step.fraction:.2f} “{session.job.step.message}”\n")
        if how == "escape":
            self.hand.press(**KEYS["escape"])
        elif how in ("undo", "undo_redo"):
            if (yield from self.step_back()) and how == "undo_redo":
                yield from self.turn("redo")
        elif how == "undo_by_script":
            with self.hand.context():
                if bpy.ops.ed.undo.poll():
                    bpy.ops.ed.undo()
        elif how == "show" and len(self.settings.takes):
            self.hand.button(
                bpy.ops.thunder.select_take, index=self.dice.randrange(len(self.settings.takes))
            )
        elif how == "reload" and os.path.exists(self.file):
            yield from self.reload()
        elif how == "purge":
            self.purge()
        elif how == "delete":
            self.delete_something()
            yield from self.finish_work()
            yield from self.undo_deletion(before)
        elif how == "frame":
            self.scene.frame_set(self.dice.randrange(1, 120))
        is_complete = "done" in self.ends.all[ended:]
        yield 0.2
        return how in ("reload", "delete") or how.startswith("undo") and is_complete

    def finish_work(self):
        """Steps that wait until no job runs and no take follows a slider."""
        end = time.monotonic() + PATIENCE
        while session.job is not None or live.task.due is not None or grid.is_running():
            if session.job is None and self.hand.window.screen.is_animation_playing:
                self.hand.press(**KEYS["escape"])  # leaves a grid that plays
            assert time.monotonic() < end, f"work does not end: {session.job and session.job.step}"
            yield 0.1
        yield 0.2

    def delete_something(self):
        """Delete data of some kind, all of it or some, as a step that undo can take back."""
        what = self.dice.choice(sorted(set(DELETIONS) - {"purge"}))
        self.log.write(f"  deletes {what}\n")
        random.seed(self.dice.random())  # which of several
        DELETIONS[what](bpy)
        self.hand.call(bpy.ops.ed.undo_push, message="Delete")

    def undo_deletion(self, before: dict):
        """Steps back, over the work's own step too, until all that was there `before` is again."""
        for _ in range(4):
            self.hand.press(**KEYS["escape"])  # closes the sentence that the work ended with
            yield 0.3
            yield from self.turn("undo")
            yield from self.finish_work()
            if all(entry.action is not None for entry in self.settings.takes) and not lost(
                before, self.state(), ("takes", "own", "strips", "objects")
            ):
                return
        compare(before, self.state(), "a deletion taken back")

    # ---- short actions: what each gives is what may change or go by it, None where steps were undone

    def show_next(self):
        self.hand.button(bpy.ops.thunder.select_take, step=self.dice.choice((-1, 1)))
        return {}

    def own_animation(self):
        self.hand.button(bpy.ops.thunder.select_take, index=-1)
        return {}

    def delete_take(self):
        shown = display.actions_of(take_list.shown_take(self.settings))
        gone = {action.name for action in shown}
        self.hand.button(bpy.ops.thunder.delete_take)
        return {"may_go": gone}

    def tidy(self):
        """Leave some takes, so that hundreds of rounds stay as quick as the first."""
        gone = {
            each.name
            for entry in list(self.settings.takes)[8:]
            for each in display.actions_of(entry)
        }
        for place in reversed(range(8, len(self.settings.takes))):
            self.hand.button(bpy.ops.thunder.delete_take, index=place)
        return {"may_go": gone}

    def direct(self):
        """Drag a slider of the direction; the shown take may follow, or a copy of it."""
        before, shown = self.state()["takes"], take_list.shown_take(self.settings)
        mine = {each.name for each in display.actions_of(shown)} if shown is not None else set()
        direction = sliders.of(head.find(self.scene).owner)
        for _ in range(3):
            direction.energy = self.dice.uniform(0.5, 1.6)
            yield 0.05
        self.hand.call(bpy.ops.ed.undo_push, message="Energy")
        undone = self.dice.random() < 0.4
        if undone:
            yield self.dice.uniform(0.0, 0.8)
            yield from self.step_back()
        yield from self.finish_work()
        allowed = {
            "may_change": mine & self.copies
        }  # any other take stays, and a copy of it follows
        if not undone:
            self.copies |= set(self.state()["takes"]) - set(before)
        return None if undone else allowed

    def shape(self):
        """Drag the jaw's slider of the shown take."""
        entry = take_list.shown_take(self.settings)
        entry.action.thunder_shape.jaw = self.dice.uniform(0.6, 1.5)
        self.hand.call(bpy.ops.ed.undo_push, message="Jaw")
        yield from self.finish_work()
        return {"may_change": {action.name for action in display.actions_of(entry)}}

    def purge(self):
        """Purge Unused Data."""
        gone = unused_actions()
        self.hand.call(bpy.ops.outliner.orphans_purge, do_recursive=True)
        return {"may_go": gone}

    def delete(self):
        """Delete something, look, press a button, and take all back."""
        self.key_marker()
        yield 0.2
        before = self.state()
        self.delete_something()
        yield 1.0  # the tab is drawn
        self.button(getattr(bpy.ops.thunder, self.dice.choice(LONG_WORK)))
        yield from self.finish_work()
        yield from self.undo_deletion(before)

    def key_marker(self):
        """A key of the animator's own, as a step that undo can take back."""
        marker = bpy.data.objects["Marker"]
        marker.location.x = self.dice.uniform(-1, 1)
        marker.keyframe_insert("location", frame=self.dice.randrange(1, 100))
        self.hand.call(bpy.ops.ed.undo_push, message="Key")
        return {"may_change": {marker.animation_data.action.name}}

    def move_strip(self):
        """Move the voice, so that takes can be re-synced."""
        strip = compat.strips_all(self.scene.sequence_editor)[0]
        strip.frame_start = max(1, strip.frame_start + self.dice.randrange(-10, 11))
        self.hand.call(bpy.ops.ed.undo_push, message="Move")
        return {}

    def play_back(self):
        """Play for a moment."""
        self.hand.call(bpy.ops.screen.animation_play)
        yield self.dice.uniform(0.2, 1.0)
        self.hand.call(bpy.ops.screen.animation_cancel, restore_frame=False)
        return {}

    def escape(self):
        """Esc where nothing runs: what follows must work all the same."""
        self.hand.press(**KEYS["escape"])
        return {}

    def undo(self):
        """One to three steps back; what was undone is the animator's will."""
        for _ in range(self.dice.randrange(1, 4)):
            yield from self.step_back()
        yield from self.finish_work()

    def turn(self, key: str):
        """Steps that undo or redo by the keys, and wait until Blender has done so, or has nothing
        to do. Returns whether it has done so."""
        before, end = len(turns), time.monotonic() + 2.0
        self.hand.press(**KEYS[key])
        while len(turns) == before and time.monotonic() < end:
            yield 0.05
        yield 0.1
        return len(turns) > before

    def step_back(self):
        """Steps that press Ctrl-Z. A step before the session's first is done again. Returns whether
        one of the session's was undone: after a file was opened there is none at first, while a
        redo may bring back a later one."""
        if not (yield from self.turn("undo")):
            return False
        if "Marker" in self.scene.objects and bpy.data.objects["Marker"].animation_data is not None:
            return True
        yield from self.turn("redo")
        return False

    def undo_redo(self):
        """One step back and forth again changes nothing."""
        if not (yield from self.step_back()):
            return None
        yield from self.turn("redo")
        yield from self.finish_work()
        return {}

    def save(self):
        self.hand.call(bpy.ops.wm.save_as_mainfile, filepath=self.file)
        self.saved = self.state()
        return {}

    def reload(self):
        """Open the saved file again: all that was saved is there."""
        self.hand.call(bpy.ops.wm.open_mainfile, filepath=self.file, load_ui=False)
        yield 1.0
        yield from self.finish_work()
        compare(self.saved, self.state(), "opening the saved file")
