# SPDX-License-Identifier: GPL-3.0-or-later
"""Generates takes from a voice: asks the engine for performances, and keys them on the head.

`perform` is the one recipe for takes of a line, whoever asks for them: its words, its direction and
a seed make a request, whose takes are listed."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing, ExitStack, suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import NamedTuple, TYPE_CHECKING

import bpy

from ...thunder_core.animation.gaze import GazeTarget
from ...thunder_core.animation.timing import Clock
from ...thunder_core.client import Client, temporary_arrays
from ...thunder_core.direction_words import words_of_takes
from ...thunder_core.errors import NoVoice, ThunderError
from ...thunder_core.progress import map_progress, result
from ...thunder_core.protocol import note_of, SCORE
from ...thunder_core.request import OFF_EXPECTED, Request
from ...thunder_core.types import LISTENS, Motion
from ..animation import display, keying
from ..engine import connection
from ..heads import head
from ..host.jobs import restart_after_undo, session, stage, Step
from ..voice import fingerprint, mixdown, strip
from . import browsing, last_look, seeds, take_list, take_record, transcript, word_places
from .direction import head_direction

if TYPE_CHECKING:
    from ..properties.settings import ThunderTake


_SAMPLING = (0.05, 0.99)  # part of the progress bar for the engine's progress
OnTake = Callable[[keying.TakeData], None]  # gets each take on arrival


class Receiver(NamedTuple):
    """Gets takes on arrival: `take` each take, not scored; `score` its seed and its score later,
    fields of its performance."""

    take: OnTake
    score: Callable[[int, dict], None]


def sample_takes(
    client: Client, sound: str, request: Request, receiver: Receiver, name: str = ""
) -> Generator[Step, None, None]:
    """Steps that sample the takes of a request of a sound file. receiver gets takes in the order of
    seeds, at most one per step, so that the caller never holds two unprocessed takes.

    name: of the voice; with it, a step before the first take has a note if nobody speaks in the
    sound, or not clearly. Closing the generator cancels the request.
    """
    arrived: deque = deque()
    seeds: set[int] = set()
    notes: list[str] = []

    def on_event(event: dict) -> None:
        if name and (note := note_of(event, name)):
            notes.append(note)
        if event["event"] == "take" and event["take"]["seed"] not in seeds:
            seeds.add(event["take"]["seed"])
            arrived.append(event)
        if event["event"] == SCORE:
            arrived.append(event)

    before = Step(_SAMPLING[0], "Starting engine")
    folder = client.new_folder()
    try:
        with temporary_arrays(client) as put:
            args = {"folder": folder, "sound": sound, **request.to_record(put)}
            with closing(
                connection.ask(client, "generate", _SAMPLING, before.message, on_event, **args)
            ) as answers:
                # after its end too: takes may have arrived at last
                for step in chain(answers, [None]):
                    while notes:
                        yield replace(step or before, note=notes.pop(0))
                    while arrived:
                        event = arrived.popleft()
                        if event["event"] == SCORE:
                            receiver.score(event["take"]["seed"], _score(client, event, request))
                            continue
                        receiver.take(_performance(client, event, request))
                        yield step or before
                    if step is not None:
                        yield step
                        before = step
    finally:
        # whether read or cancelled, or the arrays would accumulate until Blender ends
        client.delete_folder(folder)


def sample_voice(
    client: Client, voice: strip.Voice, request: Request, quietly: bool = False
) -> Generator[Step, None, list[keying.TakeData]]:
    """Steps that sample takes of a voice and list none. quietly: as of `mixdown.mix_down`, of a
    voice that is as it was for the request. Returns them, best first."""
    with mixdown.sound_for_engine(client, voice, quietly) as (sound, mixing):
        yield from mixing
        if request.phones and not quietly:
            request = yield from _with_phones(client, sound, request)
        takes: dict[int, keying.TakeData] = {}
        receiver = Receiver(
            lambda take: takes.update({take.seed: take}),
            lambda seed, score: takes.update({seed: add_score(takes[seed], score)}),
        )
        yield from sample_takes(client, sound, request, receiver, "" if quietly else voice.name)
        return rank(takes.values())


def _with_phones(client: Client, sound: str, request: Request) -> Generator[Step, None, Request]:
    """Steps that find the sounds of a voice. Returns the request with them, for a character with
    mouths of its own."""
    rows = []
    with suppress(NoVoice):  # an idle face
        answer = yield from connection.ask(
            client, "spoken", (0.0, 0.0), "Finding sounds", sound=sound, text=""
        )
        rows = [[phone, round(a, 3), round(b, 3)] for phone, a, b, *_ in answer["sounds"]]
    return replace(request, phones=json.dumps(rows))


def add_score(take: keying.TakeData, score: dict) -> keying.TakeData:
    """A take that has arrived, with its score as `Receiver` gets it."""
    return replace(take, **score | {"provenance": take.provenance | score["provenance"]})


def rank(takes: Iterable[keying.TakeData]) -> list[keying.TakeData]:
    """Takes, best first: by score, those of which a part is new by that part; equal ones by
    seed."""
    return sorted(takes, key=_rank_key)


def _rank_key(take: keying.TakeData) -> tuple[float, int]:
    points = take.score if math.isfinite(take.score) else 0.0
    return take.provenance.get(OFF_EXPECTED, -points), take.seed


def _performance(client: Client, event: dict, request: Request) -> keying.TakeData:
    """The take of an engine event."""
    take = event["take"]
    *parts, opening, width = (
        client.get_array(event, take.get(name))
        for name in ("expression", "jaw", "head", "eyes", "opening", "width")
    )
    score = _score(client, event, request)
    about = {
        "engine": event.get("engine", "thunder"),
        "weights": event.get("weights", ""),
        "audio": event.get("audio", ""),
        "head": "thunder",
        **score.pop("provenance"),
    }
    return keying.TakeData(
        Motion(*parts, fps=float(event["fps"])),
        tuple(event["channels"]),
        opening,
        width,
        int(take["seed"]),
        provenance=about,
        **score,
    )


def _score(client: Client, event: dict, request: Request) -> dict:
    """The fields of a performance that the score in an engine event gives."""
    take = event["take"]
    # none: the face is silent, or the take is not scored yet
    return {
        "score": math.nan if take.get("score") is None else float(take["score"]),
        "sync_per_frame": client.get_array(event, take.get("drift")),
        "provenance": take_record.of_made(request, take.get("provenance", {})),
    }


class TakeCollector(take_list.PendingBatch):
    """Lists the takes of one request on arrival, and gives each its score when that arrives.

    All data are looked up again on each use, actions by the id that they keep through undo, because
    the animator continues working meanwhile and may undo. Takes that an undo or redo removes are
    listed again; those that the animator deleted are not. Always `close` it.

    was_undone: whether there was an undo or redo.  lost: takes to be listed again.  count: takes
    that were asked for.  batch: theirs; None: a new one.
    """

    def __init__(
        self,
        scene: bpy.types.Scene,
        rig: head.Rig,
        voice: strip.Voice,
        on_take: OnTake | None = None,
        show: bool = True,
        batch: int | None = None,
    ) -> None:
        self.scene = scene.name
        self.mesh = rig.mesh.name
        self.voice, self.of = voice, (rig.mesh.name, voice.name)
        self.on_take = on_take
        self.may_show = show
        # session id of a take's first action → its performance; but for those that were deleted
        self.made: dict[int, keying.TakeData] = {}
        # all listed so far, including those that the animator has deleted since
        self.takes: list[keying.TakeData] = []
        self.shown_before = _id(display.shown_action(rig))
        self.shown = None
        self.was_undone = False
        self.lost: deque[keying.TakeData] = deque()
        self.count = 0
        self.batch = take_list.next_batch(scene) if batch is None else batch
        self.target: GazeTarget | None = None
        session.add(self)

    def release(self) -> None:
        if not self.was_undone:  # those that are missing were deleted by the animator
            for uid in self._missing():
                del self.made[uid]
        self.was_undone = True

    def _missing(self) -> set[int]:
        """The ids of the takes' actions that are not in the file."""
        return set(self.made) - {_id(action) for action in bpy.data.actions}

    def close(self) -> None:
        """Sort the takes that have arrived; no more will."""
        session.parts.remove(self)
        scene = bpy.data.scenes.get(self.scene)
        if scene is not None:
            with suppress(ThunderError):  # the head was removed: there is nothing to list them on
                result(self.restore(0.0))
            self._order(scene)

    def gather(
        self, client: Client, request: Request
    ) -> Generator[Step, None, list[keying.TakeData]]:
        """Steps that sample takes of the voice, list each on arrival and sort all at the end.
        Returns the takes, best first. Raises ThunderError."""
        self.check()
        self.count = request.takes
        waiting: list[keying.TakeData] = []
        with ExitStack() as used:
            sound, mixing = used.enter_context(mixdown.sound_for_engine(client, self.voice))
            yield from mixing
            _, rig = head.look_up(self.scene, self.mesh)
            if rig.driver.leads and not request.listening:
                request = yield from _with_phones(client, sound, request)
            receiver = Receiver(waiting.append, self.score)
            steps = sample_takes(client, sound, request, receiver, self.voice.name)
            for step in used.enter_context(closing(steps)):
                # half of the time takes are sampled, half of it keyed, or time left would grow
                done = (step.fraction + _SAMPLING[1] * len(self.made) / self.count) / 2
                yield from self.restore(done)
                if waiting:
                    yield from self.add(waiting.pop(), done)
                    # not busy, even if the next take waits
                    yield Step(done, f"Keyed {len(self.made)} of {self.count}")
                else:
                    yield replace(step, fraction=done)
        yield from self.settle()
        return rank(self.takes)

    def restore(self, fraction: float) -> Generator[Step, None, None]:
        """Steps that list the takes again that an undo or redo has removed."""
        while self.was_undone or self.lost:
            if self.was_undone:
                self.was_undone = False
                missing = self._missing()
                self.shown = None if self.shown in missing else self.shown
                self.lost += [self.made.pop(uid) for uid in list(self.made) if uid in missing]
                self._store_scores()  # those that the undo took away
            else:
                yield from self.add(self.lost[0], fraction)

    def add(self, performance: keying.TakeData, fraction: float) -> Generator[Step, None, None]:
        """Steps that key a take and list it under those that came before."""
        message = f"Writing keys of take {len(self.made) + 1} of {self.count}"
        is_lost = bool(self.lost) and performance is self.lost[0]
        performance = yield from restart_after_undo(
            lambda: self.key(performance, message, fraction)
        )
        scene, rig = head.look_up(self.scene, self.mesh)
        entries = scene.thunder.takes
        uid = _id(entries[-1].action)
        take_list.open_batch(entries[-1])
        entries.move(len(entries) - 1, sum(_id(entry.action) in self.made for entry in entries))
        self.made[uid] = performance
        if is_lost:
            self.lost.popleft()
        self._describe(entries)
        # appears twice: an undo removed it
        if all(take.seed != performance.seed for take in self.takes):
            self.takes.append(performance)
            if self.on_take is not None:
                self.on_take(performance)
        if (
            self.shown is None
            and self.may_show
            and _id(display.shown_action(rig)) == self.shown_before
        ):
            self._show(uid)  # at once, so that no row moves

    def score(self, seed: int, score: dict) -> None:
        """Store the score of the take of a seed, which was listed before (`Receiver`)."""

        def scored(take: keying.TakeData) -> keying.TakeData:
            return add_score(take, score) if take.seed == seed else take

        self.takes = [scored(take) for take in self.takes]
        self.made = {uid: scored(take) for uid, take in self.made.items()}
        self._store_scores()

    def _store_scores(self) -> None:
        """Give the listed takes the scores that they lack, and their words."""
        scene = bpy.data.scenes.get(self.scene)
        entries = scene.thunder.takes if scene is not None else ()
        for entry in entries:
            performance = self.made.get(_id(entry.action))
            if performance is not None and not math.isfinite(entry.score):
                take_list.set_score(entry, performance)
        self._describe(entries)

    def key(
        self, performance: keying.TakeData, message: str, fraction: float
    ) -> Generator[Step, None, keying.TakeData]:
        """Steps that key a take and list it last. Returns it, with eyes that are aimed."""
        performance = yield from stage(self.aim(performance), "Aiming the eyes", fraction, fraction)
        _, rig, clock = self._place()
        values = yield from stage(
            keying.values_of(rig, performance, clock), message, fraction, fraction, busy=False
        )
        place = rig.driver.tracks, clock
        yield from stage(self.enter(performance, values, place), message, fraction, fraction)
        return performance

    def _place(self) -> tuple[bpy.types.Scene, head.Rig, Clock]:
        """The scene, the head, and where the voice is, looked up again."""
        scene, rig = head.look_up(self.scene, self.mesh)
        return scene, rig, Clock.of(scene, self.voice.clock.start)

    def check(self) -> None:
        """Raise BadRequest if the takes cannot follow the head's direction."""
        head_direction.check_target(*head.look_up(self.scene, self.mesh))

    def aim(self, performance: keying.TakeData) -> Generator[float, None, keying.TakeData]:
        """Let the eyes of a take look at the target in the head's direction. Returns the take."""
        if performance.look is not None:
            return performance
        scene, rig, clock = self._place()
        if self.target is None or len(self.target.points) != performance.motion.frames:
            self.target = yield from head_direction.target_of(
                scene, rig, clock, performance.motion.frames
            )
        return head_direction.aim_eyes(performance, self.target)

    def enter(
        self, performance: keying.TakeData, values: keying.TrackValues | None, place: tuple
    ) -> Generator[float, None, None]:
        """Key a take, a piece at a time, and list it last of all. Closed before its end it leaves
        nothing.

        values: of its tracks, computed for a `place`: the head's tracks, and the clock. If these
        were changed meanwhile, they are computed again."""
        scene, rig, clock = self._place()
        head.check_animatable(rig)
        values = values if (rig.driver.tracks, clock) == place else None
        name = take_list.next_name(scene, rig.mesh, self.voice.name)
        actions = yield from keying.write_take(
            rig, performance, clock, f"{self.voice.name} · {name}", values
        )
        kind = "RESAMPLED" if "moved" in performance.provenance else "SAMPLED"
        take_list.add_to_list(
            scene, rig, actions, performance, self.voice.name, clock, kind
        ).batch = self.batch
        seeds.remember(scene, rig.mesh, self.voice, performance.seed)
        fingerprint.remember(actions[0], self.voice.state_in(scene))
        if not self.voice.path and take_record.role_of(performance.provenance) != LISTENS:
            strip.keep_speaker(scene, self.voice.name, rig.mesh)

    def settle(self) -> Generator[Step, None, None]:
        """Final steps when all takes have arrived: show the best."""
        yield Step(_SAMPLING[1], "Showing the best take")
        yield from self.restore(_SAMPLING[1])
        scene, rig = head.look_up(self.scene, self.mesh)
        self._order(scene)
        best = next(
            (_id(entry.action) for entry in scene.thunder.takes if _id(entry.action) in self.made),
            None,
        )
        if (
            best is not None
            and self.shown is not None
            and _id(display.shown_action(rig)) == self.shown != best
        ):
            self._show(best)
        entry = take_list.by_uid(scene, best) if best is not None else None
        if entry is not None and display.is_shown(rig, entry):
            made = self.made[best]
            clock = Clock.of(scene, self.voice.clock.start)
            wrong = yield from stage(
                last_look.look(
                    self.scene, rig, clock, made.opening, made.provenance.get(keying.SAID, "[]")
                ),
                "Looking at the lips",
                _SAMPLING[1],
                1.0,
            )
            if wrong := wrong or rig.vanished:
                yield Step(1.0, "Looking at the lips", note=wrong)

    def _show(self, uid: int) -> None:
        scene, rig = head.look_up(self.scene, self.mesh)
        entry = take_list.by_uid(scene, uid)
        if entry is not None:
            display.show(rig, entry)
            self.shown = uid

    def _describe(self, entries: Sequence[ThunderTake]) -> None:
        """Describe how each take that has arrived differs from the others."""
        ours = [entry for entry in entries if _id(entry.action) in self.made]
        abouts = [self.made[_id(entry.action)].provenance for entry in ours]
        for entry, said in zip(ours, words_of_takes(abouts)):
            entry.words = said

    def _order(self, scene: bpy.types.Scene) -> None:
        """Sort the best first, above the list's previous takes. Rows move unless the animator has
        chosen one meanwhile."""
        entries = scene.thunder.takes
        ours = [_id(entry.action) for entry in entries if _id(entry.action) in self.made]
        for index, key in enumerate(sorted(ours, key=lambda key: _rank_key(self.made[key]))):
            entries.move(
                next(i for i, entry in enumerate(entries) if _id(entry.action) == key), index
            )
        with suppress(ThunderError):
            _, rig = head.look_up(self.scene, self.mesh)
            if self.shown is not None and _id(display.shown_action(rig)) == self.shown:
                browsing.sort_again(self.made)


def _id(action: bpy.types.Action) -> int | None:
    """Identifier of an action during the session, through undo and renaming."""
    return None if action is None else action.session_uid


# ---- takes of a line


_WORDS = 0.3  # how much of the work recognising words is


@dataclass(frozen=True)
class How:
    """How takes of a line are made.

    request: without a direction they follow that of the head.  seed: finds their first one; None:
    the request's.  collector: lists them, of (scene, rig, voice, on_take).  on_take: gets each once
    it is listed.  recogniser: `recogniser.arguments` by which words must be recognised, {}: none
    are; None: as the scene says (`word_places.is_to_recognise`).
    finds_words: whether words and sounds are found afterwards, for the timeline.  said: receives
    sentences for the end of the work.
    """

    request: Request
    seed: Callable[..., Request] | None = seeds.with_unused
    collector: Callable[..., TakeCollector] = TakeCollector
    on_take: OnTake | None = None
    recogniser: dict[str, str] | None = None
    finds_words: bool = True
    said: list[str] = field(default_factory=list)


def perform(
    client: Client, scene: bpy.types.Scene, rig: head.Rig, voice: strip.Voice, how: How,
    open_until: ExitStack | None = None,
) -> Generator[Step, None, list[keying.TakeData]]:  # fmt: skip
    """Steps that sample takes of a voice and list each, keyed as new actions, on arrival.

    They are a new batch; earlier ones are folded. The first is shown on arrival, the best when all
    are complete, unless the animator chose another meanwhile. If stopped or failed before that, the
    takes that have arrived stay.

    open_until: takes that an undo removes are listed again until it is closed; None: until all are
    complete. Returns the takes, best first. Raises ThunderError.
    """
    names, begun = (scene.name, rig.mesh.name), 0.0
    head.check_animatable(rig)
    request = complete(how.request, scene, rig, voice)  # what is wrong with it is said at once
    if not request.listening and word_places.is_to_recognise(scene, voice, how.recogniser):
        begun = _WORDS
        steps = word_places.recognise_before(client, voice, how.recogniser, how.said)
        yield from map_progress(steps, lambda step: replace(step, fraction=begun * step.fraction))
        scene, rig = head.look_up(*names)
        request = complete(request, scene, rig, voice)
    if how.seed is not None:
        request = how.seed(scene, rig.mesh, voice, request)
    with ExitStack() as until_complete:
        collector = how.collector(scene, rig, voice, how.on_take)
        (open_until or until_complete).enter_context(closing(collector))
        takes = yield from map_progress(
            collector.gather(client, request),
            lambda step: replace(step, fraction=begun + (1.0 - begun) * step.fraction),
        )
    if takes[0].provenance.get("unclear") and (scene := bpy.data.scenes.get(names[0])):
        transcript.ensure(scene, voice.name)  # the panel has the field for it
    if how.finds_words:
        yield from word_places.find_if_unknown(client, voice)
    return takes


def complete(
    request: Request, scene: bpy.types.Scene, rig: head.Rig, voice: strip.Voice
) -> Request:
    """A request with what the scene says of a line: its direction unless the request has one, the
    words. Raises BadRequest."""
    direction = request.direction
    if direction is None:
        direction = head_direction.direction_over(rig.owner, voice.clock, voice.last)
    direction = transcript.add_words(direction, scene, voice)
    return replace(request, direction=direction, sums=rig.sums)
