# SPDX-License-Identifier: GPL-3.0-or-later
"""Movement of jaw, lips, teeth and tongue in speech: the teacher and takes, on the default head and
on a realistic one.

`python -m research articulation --data DATA [--takes FOLDER] [--quick]` in the engine's
environment; DATA is a folder with `lips/` (voices with aligned phones) and `heads/ict_facekit`. A
take of every voice is generated (seed 1; kept in FOLDER, outside of a repository), the teacher
performs the aligned phones. The realistic head is driven by the names of its keys: as it is
(ARKit's names), and with no more than 15 visemes (silence among them). To stdout and
research/results/articulation.txt.

Rest is the head as it is: mouth shut, the edges of the incisors past each other. A sound counts as made where any of its
frames, one to either side, makes it; the words of these voices were recognised, not given, so that
some of the phones were never spoken: the second share of f, v and th is that of the phones that the
engine's encoder recognises too. How far apart lips are on w, u and other vowels is asked of the
sound's own frames, of filmed lips too, whose rest is their clip's least opening but for 2 % of
frames.
"""

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from research.commit import generate_missing
from research.faces.lip_clips import aligned_phones, read_clips, SILENT, spoken_phones
from research.harness import add_shared, columns_of, RESULTS, ROOT, write_table
from research.measures.map_features import map_features
from research.train.teacher import perform
from thunder_core.acoustics import loudness
from thunder_core.direction import Direction
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import softmax, SpeechEncoder
from thunder_core.face import mapping
from thunder_core.face.head import load_head
from thunder_core.face.moving import driving
from thunder_core.face.moving.mouth_shape import OPENING
from thunder_core.face.points import Articulators, bundled_articulators
from thunder_core.face.reading import conventions, jaw_balance
from thunder_core.rotation import rotvec_to_matrix
from thunder_core.spoken import phone_index
from thunder_core.types import CLOSED_MM, FPS, Motion, TOUCH_MM
from thunder_core.weight_files import SHIPPED

SIBILANTS = "S Z SH ZH CH JH".split()
LABIODENTALS = ["F", "V"]
DENTALS = ["TH", "DH"]
BILABIALS = ["M", "B", "P"]
U = ["UW"]
OTHER_VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH".split()
_PARTED_MM = 2.0  # gap up to which lips are rounded on w, and not open
_MOST_ROLL = 0.61  # of the lower lip, at which its red is still seen
_AT_REST = 0.02  # share of frames in which filmed lips are closer than at rest
_FAST = 2  # frames within which a sound is fast
_ALONG = 13  # points along the sides of a tooth's faces, which are 3 mm long, 10 mm at most


def lip_to_teeth(articulators: Articulators, expression: np.ndarray, jaw: np.ndarray) -> np.ndarray:
    """Distance of the lower lip from the upper incisors over a motion, [T] mm."""
    return articulators.bite(expression, jaw)


def tongue_between_teeth(
    articulators: Articulators, expression: np.ndarray, jaw: np.ndarray
) -> np.ndarray:
    """Millimetres [T] by which the tongue's tip is in front of the upper incisors' edges; minus
    infinity above or below them."""
    placed = 1e3 * articulators.points.place(
        np.asarray(expression, np.float64), rotvec_to_matrix(np.asarray(jaw, np.float64))
    )
    tip = placed[:, 2]
    upper = placed[:, articulators.upper_edge].mean(1)
    lower = placed[:, articulators.lower_edge].mean(1)
    between = (tip[:, 1] < upper[:, 1]) & (tip[:, 1] > lower[:, 1] - 0.5)
    return np.where(between, tip[:, 2] - upper[:, 2], -np.inf)


@dataclass(frozen=True)
class Measured:
    """Movement of a face over a motion.

    gap [T]: between the lips.  edges [T]: between the incisors' edges over rest, negative where
    they pass each other.  lip [T]: lower lip to upper teeth.  tongue [T]: tip in front of the upper
    edges while between the rows.
    """

    gap: np.ndarray
    edges: np.ndarray
    lip: np.ndarray
    tongue: np.ndarray


class DefaultHead:
    """The bundled head."""

    name = "default head"

    def __init__(self):
        self.articulators = bundled_articulators()

    def measure(self, motion: Motion) -> Measured:
        """Measure a motion on this head."""
        x, jaw = motion.expression, motion.jaw
        shape = self.articulators.shape(x, jaw)
        return Measured(
            shape.gap,
            shape.incisors - self.articulators.overlap,
            self.articulators.bite(x, jaw),
            tongue_between_teeth(self.articulators, x, jaw),
        )


class Mesh(NamedTuple):
    """A head with keys of ARKit's kind, millimetres: vertices [V, 3], shapes {name: offsets [V,
    3]}, ids of the vertices of its skin and of its teeth, and the teeth's faces [F, 4]."""

    vertices: np.ndarray
    shapes: dict[str, np.ndarray]
    skin: np.ndarray
    teeth: np.ndarray
    faces: np.ndarray


class KeyedHead:
    """A mesh with shape keys, driven by the names of its keys as scene.heads.character does.

    keys: from the head's channels {channel: offsets} to the keys of the character {name:
    offsets}.  Artists' keys start at 0: lower values are clamped to rest, as in Blender.
    """

    def __init__(self, name, mesh: Mesh, keys, channels):
        vertices, shapes, skin, teeth, faces = mesh
        self.name, self.channels = name, list(channels)
        full = conventions.find(tuple(shapes))
        channel_keys = {
            channel: sum(weight * shapes[key] for key, weight in parts.items())
            for channel, parts in full.shapes.items()
            if channel not in full.fallbacks
        }
        character_keys = keys(channel_keys)
        self.rules = self._rules(conventions.find(tuple(character_keys)).shapes, character_keys)
        self.parts = self._parts(vertices, skin, teeth, channel_keys["jawOpen"])
        self.rest = vertices[self.parts["all"]]
        self.offsets = {key: moved[self.parts["all"]] for key, moved in character_keys.items()}
        # Teeth have a vertex every three millimetres: distances to these alone would miss the
        # surface that a lip touches.
        of_row = faces[np.isin(faces, self.parts["all"][self.parts["upper"]]).all(1)]
        self.teeth = cKDTree(_points_in_quads(vertices[of_row]))
        upper, lower = (
            self.rest[self.parts[part], 1].mean() for part in ("upper_edge", "lower_edge")
        )
        self.overlap = float(lower - upper)

    @staticmethod
    def _rules(shapes: dict, keys: dict) -> list[tuple[str, str, float]]:
        """(channel, key, weight): by name, then as the character's keys need it."""
        targets = {key: mapping.Target("KEY", key) for key in keys}
        rules = tuple(
            mapping.Rule(channel, targets[key], weight)
            for channel, parts in shapes.items()
            for key, weight in parts.items()
        )
        plan = jaw_balance.fit_to_keys(
            mapping.Mapping("", rules), {target: keys[name] for name, target in targets.items()}
        )
        return [(rule.source, rule.target.name, rule.weight) for rule in plan.rules]

    @staticmethod
    def _parts(v, skin, teeth, jaw) -> dict:
        """Places of the points that are measured among those that are kept ("all")."""
        middle = skin[(np.abs(v[skin, 0]) < 0.5) & (np.abs(jaw[skin, 1]) > 0.5)]
        follows = np.abs(jaw[middle, 1]) > np.abs(jaw[skin, 1]).max() / 2
        upper, lower = middle[~follows], middle[follows]
        pairs = np.linalg.norm(v[upper][:, None] - v[lower][None], axis=2)
        front = v[upper, 2][:, None] + v[lower, 2][None]
        one, other = np.unravel_index((pairs - 0.2 * front).argmin(), pairs.shape)
        follows = np.abs(jaw[teeth, 1]) > np.abs(jaw[teeth, 1]).max() / 2
        rows = []
        for row, side in ((teeth[~follows], -1), (teeth[follows], 1)):
            row = row[(np.abs(v[row, 0]) < 9) & (v[row, 2] > v[row, 2].max() - 12)]
            rows.append(row)
            rows.append(row[side * v[row, 1] > (side * v[row, 1]).max() - 0.35])
        lip = skin[
            (np.abs(v[skin, 0]) < 8)
            & (np.linalg.norm(v[skin] - v[lower[other]], axis=1) < 9)
            & (np.abs(jaw[skin, 1]) > np.abs(jaw[skin, 1]).max() / 2)
        ]
        groups = {
            "mids": np.array([upper[one], lower[other]]),
            "upper_edge": rows[1],
            "lower_edge": rows[3],
            "upper": rows[0],
            "lip": lip,
        }
        ends = np.cumsum([0, *map(len, groups.values())])
        return {
            "all": np.concatenate(list(groups.values())),
            **{name: slice(a, b) for name, a, b in zip(groups, ends, ends[1:])},
        }

    def measure(self, motion: Motion) -> Measured:
        """Measure a motion on this head."""
        given = driving.sources(motion, self.channels)
        placed = np.tile(self.rest, (motion.frames, 1, 1))
        for key, offset in self.offsets.items():
            value = sum(
                weight * np.asarray(given[source], np.float64)
                for source, name, weight in self.rules
                if name == key and source in given
            )
            if np.any(value):
                placed += np.maximum(value, 0.0)[:, None, None] * offset
        height = (placed - self.rest)[..., 1]
        mids = height[:, self.parts["mids"]]
        upper, lower = (
            height[:, self.parts[part]].mean(1) for part in ("upper_edge", "lower_edge")
        )
        lip = placed[:, self.parts["lip"]]
        # that row is stiff, and hardly moves
        teeth = (placed - self.rest)[:, self.parts["upper"]].mean(1)
        near = self.teeth.query(lip - teeth[:, None])[0].min(1)
        return Measured(
            mids[:, 0] - mids[:, 1],
            upper - lower - self.overlap,
            near,
            np.full(motion.frames, -np.inf),
        )


def _points_in_quads(quads: np.ndarray) -> np.ndarray:
    """Points [P, 3] all over quads [F, 4, 3]."""
    u, v = (
        part.ravel()[:, None]
        for part in np.meshgrid(np.linspace(0, 1, _ALONG), np.linspace(0, 1, _ALONG))
    )
    a, b, c, d = (quads[:, None, corner] for corner in range(4))
    return ((1 - u) * (1 - v) * a + u * (1 - v) * b + u * v * c + (1 - u) * v * d).reshape(-1, 3)


def _visemes(channels: dict) -> dict:
    """Keys as artists sculpt them for visemes, of a head's channels: {viseme: offsets}."""

    def pose(**amounts):
        return sum(
            amount
            * sum(
                channels[side] for side in (name, name + "Left", name + "Right") if side in channels
            )
            for name, amount in amounts.items()
        )

    return {
        "aa": pose(jawOpen=0.7, mouthLowerDown=0.2, mouthUpperUp=0.1),
        "E": pose(jawOpen=0.3, mouthStretch=0.5, mouthLowerDown=0.3, mouthUpperUp=0.2),
        "I": pose(jawOpen=0.2, mouthStretch=0.6, mouthSmile=0.2, mouthLowerDown=0.3),
        "O": pose(jawOpen=0.45, mouthFunnel=0.7),
        "U": pose(jawOpen=0.2, mouthPucker=0.8, mouthFunnel=0.2),
        "PP": pose(mouthPress=0.6, mouthRollLower=0.3, mouthRollUpper=0.2),
        "FF": pose(jawOpen=0.05, mouthRollLower=0.7, mouthUpperUp=0.2),
        "TH": pose(jawOpen=0.15, mouthLowerDown=0.2),
        "DD": pose(jawOpen=0.12, mouthLowerDown=0.3), "kk": pose(jawOpen=0.2, mouthLowerDown=0.2),
        "CH": pose(jawOpen=0.05, mouthFunnel=0.6),
        "SS": pose(jawOpen=0.05, mouthStretch=0.4, mouthLowerDown=0.4),
        "nn": pose(jawOpen=0.12, mouthLowerDown=0.2),
        "RR": pose(jawOpen=0.15, mouthFunnel=0.4),
    }  # fmt: skip


def fifteen_visemes(channels: dict) -> dict:
    """A character with keys for visemes alone."""
    return {f"viseme_{name}": offset for name, offset in _visemes(channels).items()}


def realistic_heads(data: Path, channels) -> list[KeyedHead]:
    """ICT-FaceKit's head as it is, and with fewer keys; none if it is not there."""
    path = data / "heads" / "ict_facekit" / "head.npz"
    if not path.is_file():
        return []
    with np.load(path) as archive:
        v, faces = 10.0 * archive["vertices"].astype(np.float64), archive["faces"]
        shapes = {
            str(name): 10.0 * offset.astype(np.float64)
            for name, offset in zip(archive["names"], archive["shapes"])
        }
    # Polygon and vertex ranges of the published mesh, from its documentation.
    skin, teeth = np.arange(9409), np.unique(faces[17006:21496])
    quads = faces[17006:21496]
    teeth = teeth[teeth >= 0]
    key_sets = {"ICT-FaceKit": dict, "ICT, 15 visemes": fifteen_visemes}
    return [
        KeyedHead(name, Mesh(v, shapes, skin, teeth, quads), rules, channels)
        for name, rules in key_sets.items()
    ]


# ---- the phones of the voices


# symbol, first frame, behind last
Phones = list[tuple[str, int, int]]


def read_phones(lips: Path, frames: dict[str, int]) -> dict[str, Phones]:
    """The phones of each clip by its alignment. frames: of each clip."""
    result, aligned = {}, spoken_phones(lips)
    for clip in frames:
        phones = []
        for spoken, start, end, _ in aligned.get(clip, ()):
            a, b = max(0, int(start * FPS) - 1), min(frames[clip], int(np.ceil(end * FPS)) + 1)
            if b > a and spoken not in SILENT:
                phones.append((spoken, a, b))
        result[clip] = phones
    return result


# ---- the table


def rows_of(
    motions: dict[str, Motion], voices: dict[str, Phones], head, beliefs: dict[str, np.ndarray]
) -> dict[str, str]:
    """{measure: figures} of motions of one kind on one head."""
    measured = {clip: head.measure(motion) for clip, motion in motions.items()}

    def instances(symbols, value, best=np.min, recognised_only=False) -> np.ndarray:
        rows = [
            best(value(measured[clip])[a:b])
            for clip in motions
            for symbol, a, b in voices[clip]
            if symbol in symbols
            and (
                not recognised_only
                or beliefs[clip][a:b][:, [phone_index(s) for s in symbols]].sum(1).max() > 0.4
            )
        ]
        return np.array(rows) if rows else np.array([np.nan])

    def share_of(symbols, value, made, best=np.min) -> str:
        alone = made(instances(symbols, value, best)).mean()
        return f"{alone:.0%} ({made(instances(symbols, value, best, True)).mean():.0%})"

    tongue = (
        "no key"
        if isinstance(head, KeyedHead)
        else share_of(DENTALS, lambda m: m.tongue, lambda v: v > 0, np.max)
    )
    sibilants = instances(SIBILANTS, lambda m: np.abs(m.edges))
    bilabials = instances(BILABIALS, lambda m: m.gap)
    roll = list(load_head().expression_names).index("mouthRollLower")
    rolls = [
        motions[clip].expression[a:b, roll].max()
        for clip in motions
        for symbol, a, b in voices[clip]
        if symbol in LABIODENTALS
    ]
    return {
        "m, b, p: lips meet": f"{(bilabials <= TOUCH_MM).mean():.0%}",
        "f, v: lip to teeth ≤ .5 mm": share_of(LABIODENTALS, lambda m: m.lip, lambda v: v <= 0.5),
        "f, v: lower lip rolled in by more than .6": f"{(np.array(rolls) > _MOST_ROLL).mean():.0%}",
        "th: tongue between the teeth": tongue,
        "sibilants with edges ≤ 2 mm": f"{(sibilants <= 2).mean():.0%}",
        **gaps_of({clip: each.gap for clip, each in measured.items()}, voices),
    }


def gaps_of(gaps: dict[str, np.ndarray], voices: dict[str, Phones]) -> dict[str, str]:
    """{measure: figures} of how far apart lips [T] mm are on sounds."""

    def least(symbols, beside=0, most=100) -> np.ndarray:
        rows = [
            np.nanmin(gap[a + 1 - beside : b - 1 + beside])
            for clip, gap in gaps.items()
            for symbol, a, b in voices[clip]
            if symbol in symbols and b - a - 2 <= most and np.isfinite(gap[a + 1 : b - 1]).any()
        ]
        return np.array(rows) if rows else np.array([np.nan])

    w, u, vowels = (least(symbols) for symbols in (["W"], U, OTHER_VOWELS))
    return {
        "m, b, p of up to 80 ms: lips ≤ .6 mm": f"{(least(BILABIALS, 1, _FAST) <= CLOSED_MM).mean():.0%}",
        "w: lips .6 to 2 mm apart": f"{((w > CLOSED_MM) & (w <= _PARTED_MM)).mean():.0%}",
        "w, u, other vowels: lips ≤ .6 mm": ", ".join(
            f"{(each <= CLOSED_MM).mean():.0%}" for each in (w, u, vowels)
        ),
    }


def performances(data: Path, takes: Path, quick: bool):
    """(motions of takes, of the teacher, phone probabilities [T, 40] of the encoder) by voice."""
    lips = data / "lips"
    generate_missing(lips, takes)
    encoder = SpeechEncoder.load(SHIPPED)
    phones = aligned_phones(lips)
    channels = list(load_head().expression_names)
    sampled, taught, beliefs = {}, {}, {}
    for wav in sorted(lips.glob("*.wav")):
        with np.load(takes / f"{wav.stem}.npz") as archive:
            motion = Motion(archive["expression"], archive["jaw"])
        if quick and motion.frames > 300:
            continue
        sound = read_sound(wav).samples
        belief = softmax(encoder.analyse(sound)[1])
        at = np.minimum(2 * np.arange(motion.frames)[:, None] + [0, 1], len(belief) - 1)
        sampled[wav.stem], beliefs[wav.stem] = motion, belief[at].max(1)
        loud, features = loudness(sound, motion.frames), map_features(encoder, sound, motion.frames)
        taught[wav.stem] = perform(
            phones[wav.stem],
            loud,
            channels,
            np.random.default_rng(1),
            Direction(),
            features=features,
        )
    return sampled, taught, beliefs


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", results=RESULTS / "articulation.txt")
    p.add_argument(
        "--takes",
        type=Path,
        default=ROOT / "out" / "articulation",
        help="folder in which takes are kept",
    )
    p.add_argument("--quick", action="store_true", help="voices of up to 12 s only")


def run(args: Namespace) -> None:
    """Print the table and write it to research/results."""
    sampled, taught, beliefs = performances(args.data, args.takes, args.quick)
    voices = read_phones(
        args.data / "lips", {clip: motion.frames for clip, motion in sampled.items()}
    )
    clips = [clip for clip in read_clips(args.data) if clip.name in voices]
    filmed = {clip.name: clip.mouth[:, OPENING] for clip in clips}
    rest = {clip: np.nanquantile(gap, _AT_REST) for clip, gap in filmed.items()}
    columns = {"people": gaps_of({clip: gap - rest[clip] for clip, gap in filmed.items()}, voices)}
    heads: list[Any] = [DefaultHead(), *realistic_heads(args.data, load_head().expression_names)]
    for kind, motions in (("teacher", taught), ("takes", sampled)):
        for head in heads[: 2 if kind == "teacher" else None]:
            columns[f"{kind}, {head.name}"] = rows_of(motions, voices, head, beliefs)
    lines = [
        f"{len(sampled)} voices, {sum(m.frames for m in sampled.values()) / FPS:.0f} s, one take "
        f"each; f, v and th: share of "
        "the aligned phones (of those that the encoder hears too)",
        "",
        *columns_of(columns),
    ]
    print(write_table(args.results, lines))
