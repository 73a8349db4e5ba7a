# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells where a face looks, and which of its channels do the opposite of their names."""

import numpy as np

from .bones import jaw_rules
from .measured_face import Face, LEAST_MM, LEAST_OPEN_MM, STRONG, TOWARDS, unit

_SQUARE = 1.5  # how much further a direction goes along one axis than along the others
_FRONT = 0.05  # share of a head's largest side below which its smallest is that of a sheet
# what tells where a face looks: shares of a vote, the least of all together, and the share of a
# head's height from which on a distance is a whole vote
_SIDES_VOTE, _LEAST_VOTE, _FAR = 0.5, 0.25, 0.2
_CURVED = 8.0  # how much less lips are before their corners than before the middle of the head


def front(face: Face) -> tuple[np.ndarray, np.ndarray, float] | None:
    """(ahead [3], up [3], left): where the face looks and what is above it, as measured, and how
    far keys of the left are on its left, −1 to 1, 0 if unknown. None without a jaw.

    Up is from the mouth to the eyes. Ahead is what most measures say: the mouth is before the
    middle of the head, before the bone that opens it and before its own corners; the chin goes back
    as it opens; keys of the left are on the left."""
    if not face.far.any():
        return None
    mouth, up = face.points[face.far > STRONG * face.far.max()].mean(0), face.up
    has_hinge = bool(jaw_rules(face.plan))
    eyes = None if face.is_up_told else face.middle(("eyeBlink", "eyeWide", "brow"))
    if eyes is not None and (above := main_axis(eyes - mouth)) is not None:
        # from the tip of a beak eyes are behind rather than above, and its key goes down
        opens = np.zeros(3) if has_hinge else -face.opened.sum(axis=0)
        if opens @ above >= opens @ up:
            up = above
    head = face.points[face.points @ up >= (face.points[face.far > 0] @ up).min()]
    size = np.ptp(head, axis=0)
    middle, far = (head.min(0) + head.max(0)) / 2, _FAR * np.abs(size @ up)
    left, right = (face.middle(("eye", "mouth", "brow"), side) for side in ("Left", "Right"))
    apart = np.zeros(3) if left is None or right is None else left - right
    facts = [(1.0, mouth - middle), (_SIDES_VOTE, face.hand * np.cross(apart, up))]
    sides = (face.middle(("mouthSmile", "mouthStretch"), side) for side in ("Left", "Right"))
    corners = [corner for corner in sides if corner is not None]
    if face.lips and len(corners) == 2:
        lips = face.points[np.concatenate(face.lips)].mean(axis=0)
        facts.append((1.0, _CURVED * (lips - np.mean(corners, axis=0))))
    facts += [(1.0, mouth - hinge) for hinge in _hinges(face)]
    if not has_hinge:  # a bone turns about what is taken for the left
        opened = face.opened.sum(axis=0)
        facts.append((1.0, -far * opened / max(np.linalg.norm(opened), 1e-12)))
    level = [(vote, way - (way @ up) * up) for vote, way in facts]
    ahead = sum(vote * way / max(np.linalg.norm(way), far) for vote, way in level)
    # a sheet has no front
    if size.min() < _FRONT * size.max() or np.abs(ahead).max() < _LEAST_VOTE:
        return None
    lengths = np.linalg.norm(apart) * np.linalg.norm(ahead)
    side = face.hand * float(apart @ np.cross(up, ahead))
    return ahead, up, side / float(lengths) if lengths else 0.0


def is_mirrored(measured: tuple[np.ndarray, np.ndarray, float] | None) -> bool:
    """Whether keys of the left are on the right of what `front` measured."""
    return measured is not None and measured[2] < -TOWARDS


def aside(face: Face) -> float:
    """The angle by which the face looks past the axes of its mapping, or is on its side, degrees; 0
    if unknown, as of half a face, whose middle is at its side."""
    ahead, up = face.plan.axes
    measured = None if face.is_half else front(face)
    level = ahead if measured is None else unit(measured[0] - (measured[0] @ up) * up)
    along = min(level @ ahead, face.left @ (face.hand * np.cross(up, ahead)))
    return float(np.degrees(np.arccos(np.clip(along, -1.0, 1.0))))


def _hinges(face: Face) -> list[np.ndarray]:
    """Where bones are that open the jaw and deform a mesh, or those that copy them, [3] each."""
    return [
        (np.linalg.inv(rig.inward) @ [*rig.bones[rule.target.bone].head, 1.0])[:3]
        for rule in jaw_rules(face.plan)
        for rig in face.meter.rigs
        if rule.target.object == rig.name and rule.target.bone in rig.bones
        for bone in [rig.follower(rule.target.bone)]
        if any(bone in mesh.groups for mesh in face.meter.meshes)
    ]


def inverted(face: Face) -> dict[str, str]:
    """Channels whose keys do the opposite of their names, with what they do."""
    up = face.up
    ways = {} if face.lips else {"jawOpen": (-up, "goes up and parts no lips")}
    measured = front(face)  # without which it is not known what is left
    known = 0.0 if measured is None else -1.0 if is_mirrored(measured) else 1.0
    left = face.left * known
    for side, out in (("Left", left), ("Right", -left)):
        ways[f"eyeBlink{side}"] = -up, "opens the eye"
        if face.lips:
            ways[f"mouthFrown{side}"] = -up, "raises the corner of the mouth"
        # of a smile that opens the mouth the lower lip may go down
        if face.lips and abs(face.gap({f"mouthSmile{side}": 1.0})) < LEAST_OPEN_MM:
            ways[f"mouthSmile{side}"] = up, "lowers the corner of the mouth"
        for way, axis in (("Up", up), ("Down", -up), ("Out", out), ("In", -out)):
            ways[f"eyeLook{way}{side}"] = axis, "turns the eye the other way"
    result = {source: words for source, (axis, words) in ways.items() if _goes(face, source, -axis)}
    if face.narrowing({"mouthPucker": 1.0}) < -LEAST_MM:
        result["mouthPucker"] = "widens the mouth"
    return result


def _goes(face: Face, source: str, axis: np.ndarray) -> bool:
    """Whether a channel brings the front of what it moves along an axis."""
    along = far = 0.0
    for part, moved in enumerate(face.moved({source: 1.0})):
        lengths = np.linalg.norm(moved, axis=1)
        ids = np.flatnonzero(lengths > STRONG * lengths.max(initial=0.0))
        depth = face.meter.meshes[part].places[ids] @ face.forward
        ids = ids[depth >= np.median(depth)] if len(ids) else ids
        along, far = along + float((moved[ids] @ axis).sum()), far + float(lengths[ids].sum())
    return along > TOWARDS * far


def letter(axis: np.ndarray) -> str:
    """The name of the axis along which a vector [3] goes most: "-Y"."""
    index = int(np.argmax(np.abs(axis)))
    return ("-" if axis[index] < 0 else "") + "XYZ"[index]


def main_axis(vector: np.ndarray) -> np.ndarray | None:
    """The axis along which a direction clearly goes, [3]; None for a slanting one."""
    far = np.abs(vector)
    axis = int(far.argmax())
    if far[axis] <= _SQUARE * np.delete(far, axis).max():
        return None
    return np.eye(3)[axis] * np.sign(vector[axis])
