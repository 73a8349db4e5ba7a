# SPDX-License-Identifier: GPL-3.0-or-later
"""The score of a take's lip-sync, what is found in it, and whether that is of its present keys."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TYPE_CHECKING

from ...thunder_core import findings
from ...thunder_core.animation.timing import Clock
from ...thunder_core.direction_words import choice_of_take, of_part, words_of_take
from ...thunder_core.errors import attempt
from ...thunder_core.types import SPEAKS
from ..animation import display, keying
from ..engine import connection
from ..heads import head
from ..host.jobs import Memory, Recent, session
from ..voice import changes, fingerprint
from . import take_record, transcript

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import IconItems

    from ..properties.settings import ThunderTake


SCORED_BY = "scored_by"  # of a take scored later than made: fingerprint of the weights that did
OF_SCORE = ("parts", "findings", "read")  # of a take, as `LipSyncScore.to_record`
SCORED_TEXT = "scored_text"  # likewise: what the voice said when it was


def keep_score(entry: ThunderTake, **about: Any) -> None:
    """Store what is known of the score of a take's keys as they are now. about: by the names of its
    provenance."""
    for action in display.actions_of(entry):
        if record := keying.record_of(action):
            record.update(about | {take_record.SCORED_KEYS: keying.checksum_of(action)})


def replace_scored_text(entry: ThunderTake, before: str, now: str) -> None:
    """Keep the score of a take whose voice was cut: where it was scored with the text from before,
    note the text that is left."""
    for action in display.actions_of(entry):
        if (record := keying.record_of(action)) and _scored_text(record) == before.strip():
            record[SCORED_TEXT] = now


def has_old_score(entry: ThunderTake) -> bool:
    """Whether other weights than those in use, or an earlier version, have scored a take, or not
    with what its voice is now said to say, so that its score cannot be compared with new ones.
    Quick: for every redraw."""
    about, in_use = keying.record_of(entry.action), connection.weights_in_use()
    if not (about and in_use and entry.role == SPEAKS.upper() and math.isfinite(entry.score)):
        return False
    if about.get(SCORED_BY, about.get("weights")) != in_use or "findings" not in about:
        return True
    said, of_voice = _scored_text(about), (entry.id_data, entry.voice)
    return said != transcript.text_of(*of_voice) and (
        said != transcript.text_of(*of_voice, fingerprint.of_take(entry))
    )


def _scored_text(about: Mapping) -> str:
    """What the voice of a take said when it was scored, from its provenance."""
    return str(about.get(SCORED_TEXT, about.get("text", ""))).strip()


def has_no_score(entry: ThunderTake) -> bool:
    """Whether a take that speaks is not scored, as while it arrives and once that was stopped."""
    is_there = entry.action is not None
    return is_there and entry.role == SPEAKS.upper() and not math.isfinite(entry.score)


def rank(entry: ThunderTake) -> tuple[bool, float]:
    """How good a take is by its score, more is better: scores of the weights in use are above
    others, takes without a score last."""
    score = entry.score if math.isfinite(entry.score) else -1.0
    return score >= 0 and not has_old_score(entry), score


def words_of(entry: ThunderTake) -> str:
    """What the list says of a take; where its strip was trimmed since, of the part that is left.
    Quick: for every redraw."""
    changed = None if entry.action is None else changes.change(entry.id_data, entry)
    if changed is None or changed.kind != "CUT":
        return entry.words
    then, now = fingerprint.of_take(entry), changed.now
    assert then is not None and now is not None  # of a strip that is still there
    begin, end = now.seconds
    about = take_record.about_of(entry.action)
    left = of_part(about, begin - then.seconds[0], end - begin)
    whole, part = (sum(map(len, choice_of_take(each)[:3])) for each in (about, left))
    return entry.words if part == whole else words_of_take(left)


_ICONS: dict[str, IconItems] = {
    findings.GOOD: "CHECKMARK",
    findings.CHECK: "QUESTION",
    findings.POOR: "ERROR",
}


@dataclass(frozen=True)
class Grade:
    """The verdict on a lip-sync.

    name: good, check or poor.  icon: Blender's name.  reason: what is most noticeable, "" of good
    ones.  spans: scene frames, first and last, of what is found, most noticeable first.
    """

    name: str
    icon: IconItems
    reason: str = ""
    spans: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, found: Sequence[findings.Finding], clock: Clock, rig: head.Rig | None) -> "Grade":
        """The grade of what was found in a head's animation whose sound begins at clock.start."""
        name, found = findings.grade(found), in_own_millimetres(found, rig)
        spans = tuple(each.frames(clock.frame) for each in found)
        reason = found[0].sentence(clock.fps, "frames {}–{}".format(*spans[0])) if found else ""
        return cls(name, _ICONS[name], reason, spans)

    @property
    def text(self) -> str:
        """As it is shown."""
        return self.name.capitalize() + (f": {self.reason}" if self.reason else "")


def in_own_millimetres(
    found: Sequence[findings.Finding], rig: head.Rig | None
) -> list[findings.Finding]:
    """Findings of the engine, in millimetres of a head's own lips where the head is known."""
    return [
        replace(each, size=each.size * rig.meter.scale)
        if each.kind == findings.OPEN and rig
        else each
        for each in found
    ]


def scored(answer: Mapping) -> dict:
    """What the provenance of an animation says of the engine's answer to “score”."""
    by = {SCORED_BY: answer["weights"], SCORED_TEXT: answer.get("text", "")}
    return {name: answer[name] for name in OF_SCORE if name in answer} | by


def move_findings(answer: dict, seconds: float) -> dict:
    """An answer to “score” whose findings are so many seconds later."""
    if not seconds:
        return answer
    moved = [
        replace(each, start=each.start + seconds, end=each.end + seconds)
        for each in findings.findings_of(answer) or ()
    ]
    return answer | findings.record_of(moved)


def parts_of(entry: ThunderTake) -> dict[str, float]:
    """The parts of a take's score, by the names of `findings.PARTS`; those that are not known are
    left out."""
    known = keying.record_of(entry.action).get("parts")
    known = known.to_dict() if hasattr(known, "to_dict") else {}
    return {
        name: float(known[name])
        for name in findings.PARTS
        if isinstance(known.get(name), (int, float))
    }


def heard_of(entry: ThunderTake) -> float | None:
    """How much mesh-to-speech reads off a take, by what it reads off the expected mouth; None where
    that is not known or says nothing. Quick: for every redraw."""
    about = None if entry.action is None or entry.of_whole else keying.record_of(entry.action)
    return findings.heard_of(about or {})


# grades of takes, by their action, first frame and what is found
_grades = session.add(Memory(Recent(256)))


def of_take(entry: ThunderTake) -> Grade | None:
    """The grade of a take that speaks; None if it is not known, or is of a longer line. Quick: for
    every redraw of a list."""
    if entry.action is None or entry.of_whole or entry.role != "SPEAKS":
        return None
    about = keying.record_of(entry.action) or {}
    key = entry.action.session_uid, entry.first, about.get("findings")
    if key not in _grades.known:
        found, grade = findings.findings_of(about), None
        if found is not None:
            with suppress(TypeError, ValueError, OverflowError):  # of a damaged record
                rig, _ = attempt(head.resolve, entry.head) if entry.head else (None, "")
                grade = Grade.of(found, take_record.clock_of_take(entry), rig)
        _grades.known[key] = grade
    return _grades.known[key]
