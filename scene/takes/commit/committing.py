# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit: writes the shown take into the animator's own animation with few keys; earlier actions stay in the file."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import bpy
import numpy as np

from ....thunder_core.animation import keyframes, posing, reduction
from ....thunder_core.animation.commit import line_keys, line_names, line_scores
from ....thunder_core.animation.keys import SAMPLES, times_of
from ...animation import display
from ...animation.keying import PROPERTY, record_of
from ...heads import head, head_state, rna_paths
from ...host.jobs import stage, Step
from ...voice import fingerprint
from .. import provenance
from ..shape import sliders
from ..shape.strength import STRENGTH
from . import backups, naming, new_keys, own_curves, values
from .choice import Choice, Report
from .new_keys import NewCurve
from .own_curves import by_path
from .putting import Putting, remove_strips


def commit(rig: head.Rig, entry, line: str, choice: Choice) -> Generator[Step, None, Report]:
    """Steps that commit a take of the line `name` to the animator's own animation. Returns the Report.

    The animator's previous actions stay in the file: unchanged, or, if the take was written into one of them, as a backup copy. The rig is
    changed in the last step only; closed earlier, nothing has changed.
    Raises BadHead or BadRequest.
    """
    if not display.is_shown(rig, entry):
        display.show(rig, entry)
    work = _Commit(rig, entry, line, choice)
    work.regions = yield from stage(posing.regions(rig.meter), "Reading the take", 0.0, 0.0)
    yield from work.replace_earlier()
    work.add_leads()
    yield from work.read()
    yield from work.fit()
    yield from work.draw()
    return (yield from work.put())


class _Commit:
    """A commit in progress: one instance per commit; the generator methods are its stages.

    One entry per target of the rig:
    own, own_states: the animator's action (or None) and how it was played.
    take_curves, animator_curves: f-curves of the take and of the animator, by (path, index).
    under: curves played by the animator's NLA strips.  by_strips: keys of take curves that these strips move too.
    over: those of them that go into a new strip above.  owned: the animator's curves without replaced keys (OwnCurve).
    written, strips: the new curves, and those of them that go into the new strip.

    spans: frames of the take on curves that lose one of its leads.  values: the take at sub-frames, [S, tracks].
    touched [tracks]: whether the take moves a track.
    """

    regions: list[str]  # region of each track
    values: np.ndarray
    touched: np.ndarray

    def __init__(self, rig: head.Rig, entry, line: str, choice: Choice):
        self.rig, self.entry, self.line = rig, entry, line
        self.own, self.own_states = display.own_actions(rig), display.own_targets(rig)
        if choice.to == "OWN":
            own_curves.check_local(self.own)
            if not any(self.own):
                choice = replace(choice, to="NEW", how="REPLACE")
        parts = [display.part_of(display.actions_of(entry), rig, index) for index in range(len(rig.targets))]
        self.take_curves = [by_path(action, slot) for action, slot in parts]
        self.animator_curves = [by_path(action, state.get("slot", "")) for action, state in zip(self.own, self.own_states)]
        # A whole line that was a strip before, and is one again, is replaced.
        whole = (choice.first, choice.last) == (entry.first, entry.last)
        again = whole and choice.to == "STRIP"
        self.old_strips = [own_curves.strips_of_line(target, line, choice, entry) if again else [] for target in rig.targets]
        gone = [[strip for _, strip in strips] for strips in self.old_strips]
        self.under = [own_curves.strip_curves(target, without) for target, without in zip(rig.targets, gone)]
        self.by_strips = [set(under) & set(curves) for under, curves in zip(self.under, self.take_curves)]
        self.dropped = self.own if choice.to == "NEW" else []
        if any(self.by_strips) and (choice.to == "NEW" or (choice.to == "COPY" and not any(self.own))):
            # an active action would hide the strips on all frames: the take becomes one of them
            choice, self.own = replace(choice, to="STRIP", how="ADD" if choice.how == "ADD" else "REPLACE"), [None] * len(self.own)
        if choice.to == "STRIP":
            self.over: list[set] = [set()] * len(self.own)
        else:
            self.over = [moved - set(curves) for moved, curves in zip(self.by_strips, self.animator_curves)]
        self.choice = self.of_line = choice  # the latter without leads
        self.alone = choice.to in ("NEW", "STRIP")
        self.spans: dict = {}
        self.fitted = self.posed = None
        self.edited = [0] * len(rig.targets)  # keys of the animator's that are replaced, as own_curves.edited counts them
        self.written: list[list[NewCurve]] = [[] for _ in rig.targets]
        self.strips: list[list[NewCurve]] = [[] for _ in rig.targets]
        self.added_to: list = []  # earlier commits of the line that this one adds to
        self.as_it_was: list = []  # tracks without a curve, and their values

    def replace_earlier(self) -> Generator[Step, None, None]:
        """Steps that find earlier commits of the same line, which this one replaces."""
        into = naming.named_after(self.choice, self.own)
        self.puts, self.earlier = line_keys.of(into), []
        whole = (self.choice.first, self.choice.last) == (self.entry.first, self.entry.last)  # for a part, the other parts stay
        if self.choice.how == "REPLACE" and whole and self.line in self.puts:
            self.earlier = own_curves.earlier_commits(self.line, self.choice, self.entry, line_names.of(into))
        elif self.choice.how == "ADD":
            self.added_to = own_curves.earlier_commits(self.line, self.choice, self.entry, line_names.of(into))
        lines = [there.lines if (there := line_names.of(action)) is not None else () for action in self.own]
        self.owned: list[dict] = [{} for _ in self.animator_curves]
        for block, curves in enumerate(self.animator_curves):
            for key, curve in curves.items():
                name = line_keys.name_of(block, *key)
                self.owned[block][key] = own_curves.own_curve(curve, self.line, name, self.earlier, lines[block], self.puts, self.choice)
                yield Step(0.0, "Reading your animation", busy=True)

    def add_leads(self) -> None:
        """Add the take's lead in and lead out where the animator's curves leave room for them."""
        tracks_of_take, together = {}, set()
        for track, region in zip(self.rig.driver.tracks, self.regions):
            if not self.is_chosen(track, region):
                continue
            block, key = track.block, (track.path, track.index)
            into_strip = self.choice.to == "STRIP" or key in self.over[block]
            own = None if self.own[block] is None or self.choice.to == "NEW" else self.owned[block].get(key)
            under = [*self.under[block].get(key, ())] if into_strip else []
            tracks_of_take[block, *key] = (under if own is None else [*under, own]), region
            if into_strip:
                together.add((block, *key))
        self.choice, self.spans = own_curves.with_leads(self.choice, self.entry, tracks_of_take, together, self.puts)

    def is_chosen(self, track, region: str) -> bool:
        """Whether the take moves a track in one of the chosen regions."""
        return (track.path, track.index) in self.take_curves[track.block] and region in self.choice.regions

    def read(self) -> Generator[Step, None, None]:
        """Steps that read the take's values, added to the animator's own where that was chosen."""
        rig, choice, tracks = self.rig, self.choice, self.rig.driver.tracks
        self.frames = np.arange(choice.first, choice.last + 1)
        times = times_of(self.frames)
        self.values = yield from values.sampled(rig, self.take_curves, times)
        self.touched = np.array([self.is_chosen(track, region) for track, region in zip(tracks, self.regions)])
        if choice.how == "ADD" and choice.to != "STRIP":
            above = np.array([(track.path, track.index) in self.over[track.block] for track in tracks])
            off = np.abs(self.values - [track.rest for track in tracks]).max(0) > own_curves.STILL
            moving = self.touched & off & ~above
            summed = yield from values.added(rig, self.values, moving, self.animator_curves, self.own_states, times)
            self.values, self.touched = np.where(above, self.values, summed), moving | (self.touched & above)

    def fit(self) -> Generator[Step, None, None]:
        """Steps that find the few keys whose curves are the same; none where every key stays."""
        rig, choice = self.rig, self.choice
        if choice.error <= 0:
            return
        if choice.keys == "POSES":
            steps = posing.fit(rig.meter, self.frames, self.values, self.touched, self.regions, choice.error)
            self.fitted = self.posed = yield from stage(steps, "Finding poses", 0.2, 0.8)
        else:
            steps = reduction.fit(rig.meter, self.frames, self.values, choice.error)
            self.fitted = yield from stage(steps, "Reducing keys", 0.2, 0.8)

    def draw(self) -> Generator[Step, None, None]:
        """Steps that place the new keys of each curve among the animator's."""
        self.horizon = new_keys.horizon_of(self.choice, [curve for curves in self.animator_curves for curve in curves.values()])
        self.stays = 0 if self.alone else own_curves.key_count(self.own)  # the animator's own keys
        for place, track in enumerate(self.rig.driver.tracks):
            inner = self._inner(place, track)
            if inner is None:
                self.as_it_was.append((track, values.still_value(self.own_states[track.block], track)))
                continue
            if (track.path, track.index) in self.over[track.block]:
                inner = new_keys.trimmed(inner, self._span(track), self.take_curves[track.block].get((track.path, track.index)))
                self.strips[track.block].append(NewCurve(track.path, track.index, self.regions[place], inner, self._span(track)))
                continue
            inner = new_keys.trimmed(inner, self._span(track), self.take_curves[track.block].get((track.path, track.index)))
            self._add(track.block, track, self.regions[place], inner, self._span(track), self._around(track))
            if place % 2 == 0:
                yield Step(0.85, "Drawing handles", busy=True)
        if self.choice.regions == frozenset(posing.REGIONS):
            self._draw_others()
        if self.choice.how == "INSERT" and not self.alone:
            self._open_gaps()

    def _span(self, track):
        """The frames of the take on a track."""
        return self.spans.get((track.block, track.path, track.index), self.choice.span)

    def _around(self, track) -> float | None:
        """The value before and after the take where no curve of the animator's is; None in a strip, which ends there."""
        if self.choice.to == "STRIP":
            return None
        return track.rest if self.choice.to == "NEW" else values.still_value(self.own_states[track.block], track)

    def _inner(self, place: int, track) -> dict | None:
        """The take's own keys of a track, None if the take does not visibly move it."""
        if not self.touched[place]:
            return None
        key, span = (track.path, track.index), self._span(track)
        ends = self.values[[(frame - self.choice.first) * SAMPLES for frame in (span.first, span.last)], place]
        if not self.posed:
            curve = self.take_curves[track.block].get(key)
            reduced = self.fitted and self.fitted.keys[place]
            return new_keys.inner_keys(self.choice, self.frames, self.values[::SAMPLES, place], reduced, curve)
        if self.posed.curves[place] is None and key not in self.owned[track.block] and key not in self.by_strips[track.block]:
            stood = values.still_value(self.own_states[track.block], track)
            if not posing.is_seen(self.posed, place, ends - stood, self.choice.error):
                return None
        return new_keys.pose_keys(self.posed, place, self.regions[place], self.frames, ends)

    def _add(self, block: int, curve, group: str, inner: dict, span, still: float | None) -> None:
        """Place a curve's new keys. curve: any object with a path and an index.  still: see new_keys.placed."""
        own = None if self.alone else self.owned[block].get((curve.path, curve.index))
        name = line_keys.name_of(block, curve.path, curve.index)
        self.stays -= new_keys.replaced(self.choice, span, own, name, self.puts.get(self.line))
        if self.choice.how == "REPLACE":
            lines = line_names.of(naming.named_after(self.choice, self.own))
            self.edited[block] += own_curves.edited(own, name, self.puts, lines, span, bool(self.earlier))
        keys = new_keys.placed(self.choice, span, inner, own, still, self.horizon)
        put = new_keys.put_by(self.choice, span, keys, own)
        ends = keyframes.select(own.keys, own.ends) if own is not None and own.ends is not None else None
        self.written[block].append(NewCurve(curve.path, curve.index, group, keys, span, put, ends))

    def _draw_others(self) -> None:
        """Add curves of the take besides the rig's tracks, such as one that the animator added by hand."""
        for block, target in enumerate(self.rig.targets):
            of_rig = {(track.path, track.index) for _, track in self.rig.tracks_of(target)}
            for (path, index), curve in self.take_curves[block].items():
                # The take's emotion strength is left out, since its keys contain it already.
                if path != STRENGTH and (path, index) not in of_rig:
                    inner = new_keys.part_of(curve, self.choice.first, self.choice.last)
                    one = NewCurve(path, index, "", inner, self.choice.span)
                    self._add(block, one, curve.group.name if curve.group else "", inner, self.choice.span, None)

    def _open_gaps(self) -> None:
        """Hold properties that the take does not move during the take, and let them continue after it."""
        for block, curves in enumerate(self.animator_curves):
            done = {(one.path, one.index) for one in (*self.written[block], *self.strips[block])}
            for (path, index), curve in curves.items():
                if (path, index) not in done:
                    keys = new_keys.opened(self.choice, curve, self.horizon)
                    self.written[block].append(NewCurve(path, index, "", keys, self.choice.span))

    def put(self) -> Generator[Step, None, Report]:
        """Steps that write the curves into the file. Returns the Report."""
        rig, choice = self.rig, self.choice
        source = display.actions_of(self.entry)[0]
        about = record.to_dict() if (record := record_of(source)) else {}
        names = naming.naming_of(self.line, self.of_line, choice, self.own, self.earlier)
        puts = naming.puts_after(self.puts, self.line, names, choice, self.written)
        yield Step(0.9, "Writing keys", busy=True)
        score = None  # of a line whose lips come only from the take
        whole = (self.of_line.first, self.of_line.last) == (self.entry.first, self.entry.last)
        if choice.how != "ADD" and {"Mouth", "Jaw"} <= choice.regions and whole:
            score = line_scores.of_take(self.entry.score, provenance.sync_of(source), choice.error)
        putting = Putting(rig, self.entry, choice, self.own, self.own_states, names, any(self.edited))
        actions = yield from putting.put(self.written, self.strips)
        for target, strips in zip(rig.targets, self.old_strips):
            remove_strips(target, strips)
        for action in filter(None, self.dropped):
            action.use_fake_user = True  # without a user the next save would drop it
        for action in actions:
            action[PROPERTY] = about
            line_names.remember(action, names.lines)
            line_keys.remember(action, puts)
            if choice.regions & {"Mouth", "Jaw"}:
                line_scores.remember(action, self.line, score)
            provenance.forget(action)
            sliders.forget(action)
        if "Mouth" in choice.regions:
            self._unmark(actions[0])
            if self.posed and choice.markers:
                self._mark(actions[0])
        for action in actions:
            backups.remember(action)
        for track, stood in self.as_it_was:
            if rna_paths.exists(rig.targets[track.block], track.path):
                rna_paths.put(rig.targets[track.block], track.path, track.index, stood)
        head_state.ensure(rig.owner).shown = None
        display.remember_own(rig)
        edited_in = next((action for action, edited in zip(self.own, self.edited) if edited), next(filter(None, self.own), None))
        return self._report(actions, putting.earlier(edited_in))

    def _unmark(self, action) -> None:
        """Remove the labels of poses that are replaced; pose markers of other names stay."""
        for marker in list(action.pose_markers):
            if marker.name in posing.LABELS and any(old.start <= marker.frame <= old.end for old in self.earlier):
                action.pose_markers.remove(marker)

    def _mark(self, action) -> None:
        """Add pose markers for the mouth's poses to an action; other markers stay."""
        render, line = bpy.context.scene.render, (self.of_line.first, self.of_line.last)
        labels = posing.labels(self.rig.meter, self.frames, self.values, self.posed.columns[0], render.fps / render.fps_base, line)
        marked = {marker.frame for marker in action.pose_markers}
        for frame, text in labels:
            if frame not in marked:
                action.pose_markers.new(text).frame = frame

    def _report(self, actions: list, earlier) -> Report:
        """The report; earlier: the action that still has replaced keys, or None."""
        choice = self.choice
        times = np.concatenate([np.zeros(0), *(one.keys["co"][:, 0] for curves in self.written + self.strips for one in curves)])
        on_take = times[(times > choice.first - 0.5) & (times < choice.last + 0.5)]
        total = own_curves.key_count(actions)
        return Report(
            tuple(action.name for action in actions),
            total - self.stays,
            total,
            len(np.unique(np.rint(on_take))),
            choice.first,
            len(self.frames),
            self.posed.columns[0] if self.posed and "Mouth" in choice.regions else None,
            self.fitted.error if self.fitted is not None and choice.regions & {"Mouth", "Jaw"} else None,
            sum(self.edited),
            earlier.name if earlier is not None else "",
            self.line if self.added_to else "",
            changed.sentence if (changed := fingerprint.change(bpy.context.scene, self.entry)) is not None else "",
        )
