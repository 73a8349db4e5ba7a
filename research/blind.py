# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures for people who say which of two sides is better without knowing which is which.

`python -m research blind A --data DATA --tree TREE` in the engine's environment; TREE is a checkout
of an older commit, whose engine and weights make the other side. All is drawn on today's head.

A: film strips of mouths, ten of 1.2 s of a take as asked, today's and TREE's; with --teacher the
teacher's readings of voices that nothing was fitted to, and TREE's takes.  B: today's and the
person's, as `faces/read_people.py` reads it.  G: the person's own mouth by two readers, that of
filmed heads and that of the head's own shape.  Words and sounds are above the strips of A, B and G;
`--landmarks` draws the person's beside them.  C: eight takes of a line, today's and TREE's.  D: one take from its start, ten heads a second, cut above the mouth, today's and TREE's.
F: the same with whole heads.
E: eight takes of a line in no order, and words of the list: which row is each one's? `--votes FILE`
counts answers: a line “page, word, row” each of E, “page, A” (B, or = for a tie) each of the others,
which are also counted by sounds that the pages have, with 95 % limits. `study` shows such pairs as
films with sound.

Pictures go to OUT/A/001.png …, what is where to OUT/keys/A.json, takes to OUT/takes; what is there
is kept.
"""

import json
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from research.faces.landmarks import LIP_ACROSS
from research.faces.lip_clips import (
    encode_sound,
    fit_length,
    LipClip,
    read_clips,
    SILENT,
    spoken_phones,
)
from research.faces.real_faces import solve_missing
from research.harness import add_shared, discard_old_takes, ROOT, write_json
from research.lips import teacher_motion
from research.measures.told_apart import fill
from research.mouths import CloseUps, phones_at
from research.takes_of_tree import PARTS
from research.votes import draw_sides, read_key, read_votes, share, write_key
from research.words_aligned import lexicon, lines_of, starts_of
from thunder_core.animation.traits import seen
from thunder_core.direction_words import SEEN, stand_out
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.cues import LABELS_PER_SECOND
from thunder_core.engine.tracking import solve
from thunder_core.engine.tracking.mouth import tracked_mouth
from thunder_core.engine.tracking.spots import INNER_LIPS
from thunder_core.engine.voice import SPOKEN as VOICED
from thunder_core.face.head import load_head
from thunder_core.face.moving.mouth_shape import bundled_mouth
from thunder_core.spoken import phone_index
from thunder_core.types import FPS, Motion

INSIDE = ("Teeth", "Side Teeth", "Back Teeth", "Tongue", "Back Tongue", "Gums")
LONG, STRIP = 30, 10  # frames of a moment, and pictures of it
# outlines of outer and of inner lips: landmarks of upper and lower halves
LIPS_AROUND = tuple(
    tuple(LIP_ACROSS[f"{lip}_{half}"][0] for half in ("upper", "lower"))
    for lip in ("outer", "inner")
)
SOUNDS_OF = {  # by which votes are counted
    "w, oo, o": ("W", "UW", "OW", "AO", "OY", "UH"), "m, b, p": ("M", "B", "P"), "f, v": ("F", "V"),
    "s, sh": ("S", "Z", "SH", "ZH", "CH", "JH"), "a": ("AA", "AE", "AH", "AW", "AY"),
    "ee, i, e": ("IY", "IH", "EY", "EH"), "n, d, l, k": ("N", "D", "T", "L", "K", "G", "NG"),
}  # fmt: skip
SPOKEN = 0.8  # least share of them in which something is said
# lines of a voice of speech, the shortest, and seconds of one at least
LINES = {"A": (3, 4.5), "C": (15, 2.5), "D": (20, 3.0), "E": (10, 4.0), "F": (10, 4.0)}
# moments of each voice, by its group
MOMENTS = {
    "A": {"test": 5, "validation": 7, "check": 2, "fit": 1, "de": 6, "zh": 6},
    "B": {"check": 2, "fit": 1, "de": 4, "zh": 4},
    "G": {"check": 4, "de": 4, "zh": 4},
    # of voices that the map of the voice was not fitted to
    "teacher": {"test": 7, "validation": 6, "check": 3, "de": 7, "zh": 7},
}
WIDE = 1400  # pixels of a page
TEXT, PAPER, INK, WORDS = 15, (40, 40, 40), (255, 230, 120), (255, 255, 255)
# size in pixels, scale and place of a picture
MOUTH = (138, 118), 1950.0, 0.006
HEADS = (86, 105), 490.0, -0.045
FACES = (99, 90), 580.0, -0.088
EVERY, FACES_WIDE, FACES_LONG = 2.5, 14, 42  # frames from one to the next, side by side, of a take
TAKES, COLUMNS = 8, 8  # of a line beneath each other, and heads side by side
MANY = 15  # heads side by side where there is one side
# the eyes: size in pixels, scale and place; how many beside and beneath each other; frames between
EYES, BESIDE, BENEATH, APART = ((62, 26), 560.0, -0.076), 22, 4, 2
OF_EYES = set(SEEN["blinks"][1])


@dataclass(frozen=True)
class Voice:
    """A recording. said: the phone at each frame.  words: (frame of its start, word).  labels: the
    phones of its text as 10 ms labels, as the teacher reads them in training; None: those that the
    encoder hears."""

    name: str
    group: str
    path: Path
    said: list[str]
    words: list[tuple[int, str]]
    labels: np.ndarray | None = None

    def spoken(self, first: int, frames: int) -> bool:
        """Whether enough is said in the moment of so many frames from one on."""
        # sounds are a frame or two longer than their takes
        voiced = [phone not in ("", *SILENT) for phone in self.said[:-2][first : first + frames]]
        return len(voiced) == frames and np.mean(voiced) >= SPOKEN

    def moments(self, count: int, rng: np.random.Generator, frames: int = LONG) -> list[int]:
        """First frames of up to so many moments that do not overlap."""
        chosen: list[int] = []
        for first in rng.permutation(len(self.said)):
            if len(chosen) < count and self.spoken(first, frames):
                if all(abs(first - other) >= frames for other in chosen):
                    chosen.append(int(first))
        return chosen


def on_camera(data: Path) -> list[Voice]:
    """The voices with measured mouths."""
    voices = []
    for group in ("check", "fit"):
        for clip in read_clips(data, group):
            words: list[tuple[int, str]] = []
            for phone in spoken_phones(clip.folder).get(clip.name, []):
                word = phone.word.partition("(")[0].strip("<>/")
                if not words or words[-1][1] != word:
                    words.append((round(phone.start * FPS), word))
            words = [(at, word) for at, word in words if word not in ("s", "sil")]
            said = phones_at(clip.folder, clip.name, clip.frames)
            group_of = group if clip.language == "en" else clip.language
            voices.append(Voice(clip.name, group_of, clip.path, said, words))
    return voices


def readers(data: Path, most: int, shortest: float) -> dict[str, list[Voice]]:
    """Lines of at least so many seconds of each unseen voice of speech, by its name."""
    known, voices = lexicon(), defaultdict(list)
    for group in ("test", "validation"):
        for line in sorted(lines_of(data / "speech", group, 0), key=lambda x: x.phones[-1][2]):
            starts, seconds = starts_of(line, known), line.phones[-1][2]
            if starts and seconds >= shortest and len(voices[line.speaker]) < most:
                said = [""] * round(seconds * FPS)
                labels = np.zeros(round(seconds * LABELS_PER_SECOND), np.uint8)
                for phone, start, end in line.phones:
                    a, b = round(start * FPS), round(end * FPS)
                    said[a:b] = [phone] * (min(b, len(said)) - a)
                    a, b = round(start * LABELS_PER_SECOND), round(end * LABELS_PER_SECOND)
                    labels[a:b] = phone_index(phone)
                words = [(round(s * FPS), w) for s, w in zip(starts, line.text.split())]
                voices[line.speaker].append(
                    Voice(line.path.stem, group, line.path, said, words, labels)
                )
    return voices


def was_seen(person: LipClip, first: int, frames: int = LONG) -> bool:
    """Whether the tracker saw a person in all frames of a moment."""
    return set(range(first, first + frames)) <= set(person.held[2].tolist())


def read_aloud(voices: Iterable[Voice], folder: Path) -> None:
    """The teacher's reading of every voice; existing ones are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = {v.name: v for v in voices if not (folder / f"{v.name}.npz").exists()}
    engine = Engine.load(None) if missing else None
    for name, voice in missing.items():
        sound = read_sound(voice.path)
        features, phones = encode_sound(engine.thunder.encoder, sound.samples, sound.frames)
        if voice.labels is not None:
            phones = fit_length(voice.labels, LABELS_PER_SECOND * sound.frames // round(FPS))
        motion = teacher_motion(engine, features, phones)
        parts = (motion.expression, motion.jaw, *motion.turns)
        np.savez(folder / f"{name}.npz", **dict(zip(PARTS, parts)))


def sample(tree: Path, voices: Iterable[Voice], takes: int, folder: Path) -> None:
    """Takes 1 … of every voice by a tree's engine; existing ones are kept, of this tree those that
    its code and weights made."""
    if tree == ROOT:
        discard_old_takes(folder)
    missing = {
        folder / f"{v.name}.npz": v for v in voices if not (folder / f"{v.name}.npz").exists()
    }
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    sound, part = folder / "sound.npy", folder / "part.npz"
    np.save(sound, np.zeros(16000, np.float32))
    command = [
        sys.executable,
        str(ROOT / "research" / "takes_of_tree.py"),
        str(tree),
        str(sound),
        "1",
    ]
    with subprocess.Popen(
        command, cwd=tree, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as engine:
        for path, voice in missing.items():
            np.save(sound, read_sound(voice.path).samples)
            request = {"takes": takes, "seed": 1, "sound": str(sound), "save": str(part)}
            print(json.dumps(request), file=engine.stdin, flush=True)
            if not engine.stdout.readline():
                raise SystemExit(f"The engine of {tree} ended: see what it wrote above")
            part.rename(path)


class Page:
    """A picture with a title, written to a path."""

    def __init__(self, title: str, high: int):
        self.image = Image.new("RGB", (WIDE, high), PAPER)
        self.pen = ImageDraw.Draw(self.image)
        self.font = ImageFont.load_default(TEXT - 2)
        self.write(4, 2, title)

    def write(self, x: int, y: int, text: str, ink: tuple[int, int, int] = INK) -> None:
        """Write a line of text."""
        self.pen.text((x, y), text, ink, self.font)

    def paste(self, x: int, y: int, picture: np.ndarray) -> None:
        """Put a picture."""
        self.image.paste(Image.fromarray(picture), (x, y))

    def save(self, path: Path) -> None:
        """Write the page whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.image.save(path.with_suffix(".part"), "PNG")
        path.with_suffix(".part").rename(path)


def plan(
    voices: Iterable[list[Voice]], counts: dict[str, int], rng: np.random.Generator,
    frames: int = LONG,
) -> list[tuple[Voice, int]]:  # fmt: skip
    """Moments (voice, first frame) of the recordings of each voice, in no order."""
    chosen = []
    for lines in voices:
        count = counts.get(lines[0].group, 0)
        of_voice = [
            (line, first)
            for line in lines
            for first in line.moments(-(-count // len(lines)), rng, frames)
        ]
        chosen += of_voice[:count]
    return [chosen[number] for number in rng.permutation(len(chosen))]


def begin(part: str, out: Path, pages: list[dict], names: Sequence[str]) -> list[list[str]]:
    """Write the key of pages of which each has one side of these names as A, in half of them the
    first; returns the sides A, B of each page."""
    sides = draw_sides(names, len(pages), [len(pages), ord(part)])
    write_key(out / "keys" / f"{part}.json", pages, sides)
    return sides


def take_of(path: Path, number: int, rows: slice | list[int], parts: int) -> list[np.ndarray]:
    """The first of PARTS, of some frames of one of the takes in a file, or of the person in it."""
    with np.load(path) as file:
        whole = [file[part] for part in PARTS[:parts]]
    return [(part if part.ndim == 2 else part[number])[rows] for part in whole]


def draw_strips(
    part: str, moments: list[tuple[Voice, int]], sides: dict[str, Path], out: Path, draw: CloseUps,
    people: dict[str, LipClip],
) -> None:  # fmt: skip
    """A page of each moment: film strips of STRIP mouths of two sides, A above B, with words and
    sounds above. sides: name → folder of motions.  people: by their voices' names, whose landmarks
    are drawn between; none for no landmarks."""
    pages = [
        {"voice": v.name, "group": v.group, "first": first, "said": v.said[first : first + LONG]}
        for v, first in moments
    ]
    wide, high = draw.size
    for number, order in enumerate(begin(part, out, pages, list(sides))):
        path, (voice, first) = out / part / f"{number + 1:03d}.png", moments[number]
        if path.exists():
            continue
        shown = list(range(first, first + LONG, LONG // STRIP))
        rows = {
            letter: draw(*take_of(next(sides[name].glob(f"**/{voice.name}.npz")), 0, shown, 2))
            for letter, name in zip("AB", order)
        }
        if voice.name in people:
            seen = draw_landmarks(people[voice.name], shown, draw)
            rows = {"A": rows["A"], "person": seen, "B": rows["B"]}
        page = Page(f"Pair {part}{number + 1:03d}", 4 * TEXT + len(rows) * (high + 2))
        at = [(start - first) / LONG * STRIP * (wide + 2) for start, _ in voice.words]
        for x, (start, word) in zip(at, voice.words):
            if first <= start < first + LONG:
                page.write(2 + round(x), TEXT + 3, word, WORDS)
        for k, frame in enumerate(shown):
            page.write(k * (wide + 2) + wide // 2 - 8, 2 * TEXT + 4, voice.said[frame].lower())
        for row, (label, pictures) in enumerate(rows.items()):
            y = 3 * TEXT + 6 + row * (high + 2)
            for k, picture in enumerate(pictures):
                page.paste(k * (wide + 2), y, picture)
            page.write(4, y, label)
        page.save(path)


def draw_landmarks(person: LipClip, frames: Sequence[int], draw: CloseUps) -> list[np.ndarray]:
    """Pictures of a person's lips by their landmarks in some frames, as large as `draw`'s: light
    outer lips about a dark opening."""
    points, _, known = person.held
    middle = solve.resting_face(points)[INNER_LIPS[0], :2]
    (wide, high), scale = draw.size, draw.scale / solve.MM
    pictures = []
    for frame in frames:
        image = Image.new("RGB", draw.size, PAPER)
        pen = ImageDraw.Draw(image)
        if frame in known:
            place = (points[np.searchsorted(known, frame), :, :2] - middle) * (scale, -scale)
            place += (wide / 2, high / 2 - scale * solve.MM * MOUTH[2])
            for (upper, lower), ink in zip(LIPS_AROUND, ((190, 110, 105), (30, 12, 12))):
                pen.polygon([tuple(place[k]) for k in (*upper, *lower[::-1])], ink)
        pictures.append(np.asarray(image))
    return pictures


def write_readings(clips: Sequence[LipClip], sides: dict[str, Path]) -> None:
    """The people's own mouths as motions: by filmed heads, and by the head's own shape."""
    readers = {"filmed": tracked_mouth().read, "shape": bundled_mouth().solve}
    for name, folder in sides.items():
        folder.mkdir(parents=True, exist_ok=True)
        for clip in clips:
            shown = np.stack([fill(curve) for curve in clip.shown.T], 1)
            parts = (*readers[name](shown), *[np.zeros((len(shown), 3))] * 2)
            np.savez(folder / f"{clip.name}.npz", **dict(zip(PARTS, parts)))


def count_votes(votes: Path, part: str, out: Path) -> list[str]:
    """Lines: how often each side is liked, of the pages that were decided, with 95 % limits; and of
    the pages that have some sound."""
    key = read_key(out / "keys" / f"{part}.json")
    said = read_votes(votes, key, part)
    names = sorted({page[side] for page in key.values() for side in "AB"})
    lines = [
        f"{'':14s}"
        + "".join(f"{name:>10s}" for name in names)
        + f"{'ties':>6s}   first, of decided"
    ]
    for sound, phones in {"all": None, **SOUNDS_OF}.items():
        some = [v for v in said if phones is None or set(phones) & set(key[v.pair].get("said", ()))]
        counts = [sum(vote.liked == name for vote in some) for name in names]
        if sum(counts):
            lines.append(
                f"{sound:14s}" + "".join(f"{n:10d}" for n in counts)
                + f"{len(some) - sum(counts):6d}   {share(counts[0], sum(counts))}"
            )  # fmt: skip
    return lines


def column_frames(voice: Voice, engine: Engine) -> list[int]:
    """Frames of a line, the strongest accents first to be chosen, a third of a second apart."""
    prosody = engine.analyse(read_sound(voice.path)).prosody
    accents = FPS * prosody.accents[np.argsort(-prosody.weights)]
    chosen: list[int] = []
    for at in [*accents, *np.linspace(4, len(voice.said) - 5, 4 * COLUMNS)]:
        if len(chosen) < COLUMNS and all(abs(at - other) >= FPS / 3 for other in chosen):
            chosen.append(min(round(at), len(voice.said) - 4))
    return sorted(chosen)


def draw_lists(lines: list[Voice], sides: dict[str, Path], out: Path) -> None:
    """A page of each line: on either side a row of heads of each of eight takes."""
    (wide, high), scale, below = HEADS
    draw, engine = CloseUps(load_head(), (2 * wide, 2 * high), 2 * scale, below), Engine.load(None)
    pages = [{"voice": voice.name, "group": voice.group} for voice in lines]
    for number, order in enumerate(begin("C", out, pages, list(sides))):
        path, voice = out / "C" / f"{number + 1:03d}.png", lines[number]
        if path.exists():
            continue
        columns = column_frames(voice, engine)
        page = Page(f"Pair C{number + 1:03d}: {' '.join(word for _, word in voice.words)}", 900)
        for side, name in enumerate(order):
            left = side * (WIDE // 2 + 2)
            page.write(left + 2, TEXT + 3, "AB"[side])
            for k, frame in enumerate(columns):
                word = [word for at, word in voice.words if at <= frame + 2][-1:]
                page.write(left + k * (wide + 1) + 16, TEXT + 3, "".join(word)[:11], WORDS)
            for take in range(TAKES):
                motion = take_of(sides[name] / f"{voice.name}.npz", take, columns, 4)
                for k, picture in enumerate(draw(*motion)):
                    small = Image.fromarray(picture).resize((wide, high), Image.Resampling.BOX)
                    at = left + k * (wide + 1), 2 * TEXT + 6 + take * (high + 1)
                    page.paste(*at, np.asarray(small))
        page.save(path)


def draw_faces(
    part: str, lines: list[tuple[Voice, int]], sides: dict[str, Path], out: Path
) -> None:
    """A page of a take (its number) of each line: rows of heads (D: cut above the mouth), A above
    B."""
    (wide, high), scale, below = FACES if part == "D" else HEADS
    draw = CloseUps(load_head(), (2 * wide, 2 * high), 2 * scale, below)
    pages = [{"voice": voice.name, "group": voice.group, "take": take} for voice, take in lines]
    for number, order in enumerate(begin(part, out, pages, list(sides))):
        path, (voice, take) = out / part / f"{number + 1:03d}.png", lines[number]
        if path.exists():
            continue
        frames = [round(EVERY * k) for k in range(FACES_LONG) if EVERY * k < len(voice.said) - 3]
        step = 2 * high + TEXT + 8
        page = Page(f"Pair {part}{number + 1:03d}", TEXT + 6 + -(-len(frames) // FACES_WIDE) * step)
        for side, name in enumerate(order):
            motion = take_of(sides[name] / f"{voice.name}.npz", take, frames, 4)
            for k, picture in enumerate(draw(*motion)):
                x, y = k % FACES_WIDE * (wide + 1), TEXT + 6 + k // FACES_WIDE * step
                small = Image.fromarray(picture).resize((wide, high), Image.Resampling.BOX)
                page.paste(x, y + TEXT + 2 + side * (high + 2), np.asarray(small))
                said = [word for at, word in voice.words if at <= frames[k] < at + EVERY]
                page.write(x, y, "".join(said[:1]), WORDS)
                if not k % FACES_WIDE:
                    page.write(x + 3, y + TEXT + 3 + side * (high + 2), "AB"[side])
        page.save(path)


def draw_words(lines: list[Voice], folder: Path, out: Path) -> None:
    """Pages of each line that has words in the list: eight takes in no order, heads for the words
    of faces, eyes alone for theirs."""
    engine, rng = Engine.load(None), np.random.default_rng(ord("E"))
    (wide, high), scale, below = HEADS
    heads = CloseUps(load_head(), (2 * wide, 2 * high), 2 * scale, below)
    eyes, keys, number = CloseUps(load_head(), *EYES), {}, 0
    for voice in lines:
        spoken = engine.analyse(read_sound(voice.path)).presence > VOICED
        takes = [take_of(folder / f"{voice.name}.npz", n, slice(None), 4) for n in range(TAKES)]
        said = stand_out(
            [seen(engine.meter, Motion(*take), spoken) for take in takes], len(spoken) / FPS
        )
        order, frames = rng.permutation(TAKES), len(takes[0][0])
        for is_of_eyes in (False, True):
            asked = {
                word: 1 + int(np.flatnonzero(order == take)[0])
                for take, words in enumerate(said)
                for word in words
                if (word in OF_EYES) == is_of_eyes
            }
            if not asked:
                continue
            number += 1
            path = out / "E" / f"{number:03d}.png"
            keys[path.stem] = {"voice": voice.name, "words": asked}
            if path.exists():
                continue
            page = Page(f"E{number:03d}: which row is {', '.join(sorted(asked))}?", 910)
            shown = np.linspace(3, frames - 4, MANY).astype(int)
            if is_of_eyes:
                shown = np.arange(0, frames, APART)[: BESIDE * BENEATH]
            for row, take in enumerate(order):
                page.write(2, 40 + row * 107, str(row + 1))
                draw, size, beside = (
                    (eyes, EYES[0], BESIDE) if is_of_eyes else (heads, (wide, high), MANY)
                )
                expression, jaw, head, gaze = (part[shown] for part in takes[take])
                # eyes stay where they are seen
                parts = expression, jaw, head * (not is_of_eyes), gaze
                for k, picture in enumerate(draw(*parts)):
                    small = Image.fromarray(picture).resize(size, Image.Resampling.BOX)
                    at = 14 + k % beside * (size[0] + 1), k // beside * (size[1] + 1)
                    page.paste(at[0], 24 + row * 107 + at[1], np.asarray(small))
            page.save(path)
            write_json(out / "keys" / "E.json", keys)
    write_json(out / "keys" / "E.json", keys)


def reckon(votes: Path, out: Path) -> list[str]:
    """Lines: how often each word was found, of all answers."""
    keys = json.loads((out / "keys" / "E.json").read_text(encoding="utf-8"))
    found: dict[str, list[bool]] = defaultdict(list)
    for line in filter(None, votes.read_text(encoding="utf-8").splitlines()):
        page, word, row = (part.strip() for part in line.split(","))
        found[word].append(keys[page]["words"][word] == int(row))
    found["all"] = [each for answers in found.values() for each in answers]
    return [f"{word:16s}{np.mean(hits):5.0%} of {len(hits)}" for word, hits in found.items()]


def add_arguments(parser: ArgumentParser) -> None:
    """Add this bench's options."""
    parser.add_argument("part", choices="ABCDEFG")
    add_shared(parser, "data", "solved", "seed")
    parser.add_argument("--tree", type=Path, help="checkout of an older commit, for A, C, D and F")
    parser.add_argument("--teacher", action="store_true", help="its readings in place of takes (A)")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "blind")
    parser.add_argument("--votes", type=Path, help="answers, to be counted")
    parser.add_argument("--landmarks", action="store_true", help="draw the person's, too (A, B, G)")
    parser.add_argument("--most", type=int, default=120, help="pages")


def run(args: Namespace) -> None:
    """Draw the pages of a part."""
    rng, takes = np.random.default_rng([args.seed, ord(args.part)]), args.out / "takes"
    sides = {"today": takes / "today 1", "before": takes / "before 1"}
    if args.part in "ACDF" and args.tree is None:
        raise SystemExit(f"{args.part} compares with an older commit: name its checkout, --tree")
    if args.votes:
        count = reckon if args.part == "E" else partial(count_votes, part=args.part)
        print("\n".join(count(args.votes, out=args.out)))
        return
    if args.part in "ABG":
        clips = read_clips(args.data, "check" if args.teacher or args.part == "G" else None)
        known = {clip.name for clip in clips}
        voices = [voice for voice in on_camera(args.data) if voice.name in known]
        of_each = [[voice] for voice in voices]
        if args.part == "A":
            of_each += list(readers(args.data, *LINES["A"]).values())
        elif args.part == "B":
            for folder in {voice.path.parent for voice in voices}:
                names = [voice.name for voice in voices if voice.path.parent == folder]
                solve_missing(folder, args.solved, load_head(), names)
            sides = {"today": sides["today"], "person": args.solved}
        else:
            sides = {"filmed": takes / "filmed", "shape": takes / "shape"}
            write_readings(clips, sides)
        moments = plan(of_each, MOMENTS["teacher" if args.teacher else args.part], rng)
        people = {clip.name: clip for clip in clips}
        if args.part in "BG":
            moments = [(v, at) for v, at in moments if was_seen(people[v.name], at)]
        moments = moments[: args.most]
        performed = [voice for voice, _ in moments]
        if args.teacher:
            sides = {"teacher": takes / "teacher", "before": sides["before"]}
            read_aloud(performed, sides["teacher"])
        for tree, folder in zip((ROOT, args.tree), sides.values() if args.part in "AB" else ()):
            if folder not in (args.solved, takes / "teacher"):
                sample(tree, performed, 1, folder)
        draw = CloseUps(load_head(), *MOUTH, INSIDE if args.part == "B" else ())
        draw_strips(args.part, moments, sides, args.out, draw, people if args.landmarks else {})
        return
    lines = [line for some in readers(args.data, *LINES[args.part]).values() for line in some]
    lines = [lines[number] for number in rng.permutation(len(lines))][: args.most]
    if args.part == "E":
        sample(ROOT, lines, TAKES, takes / f"today {TAKES}")
        draw_words(lines, takes / f"today {TAKES}", args.out)
        return
    sides = {name: takes / f"{name} {TAKES}" for name in sides}
    for tree, folder in zip((ROOT, args.tree), sides.values()):
        sample(tree, lines, TAKES, folder)
    if args.part == "C":
        draw_lists(lines, sides, args.out)
        return
    draw_faces(args.part, [(line, int(rng.integers(TAKES))) for line in lines], sides, args.out)
