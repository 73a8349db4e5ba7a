# SPDX-License-Identifier: GPL-3.0-or-later
"""A study as in §5.3 of the paper: pairs of films with sound, a page that asks which is better, and
a count of the answers.

`python -m research study make FOLDER --data DATA` (engine's environment, ffmpeg) writes FOLDER/page,
which any browser plays from the disk: send it as it is. Both films of a pair have one head, light,
sound and length; the sides are two of
- today: a take as directed by this tree's engine
- person: who was filmed saying it, as `faces/real_faces.py` reads them
- NAME=FOLDER: takes of an older checkout's engine, or motions VOICE.npz (`bake.py --npz`, `perform`)
In a few pairs a side is the other one with a face at rest: whoever likes it better does not look.
Voices are moments of DATA's people on camera (its `check`), or with --voices the starts of a folder's sounds.
FOLDER/key.json says what is where; keep it from the judges. --stills also writes FOLDER/stills, twelve frames
of each film with the words, for judges that see no films. What is there is kept.

`python -m research study read FOLDER VOTES… --who "…"` counts the files that the page saved, or lines
“pair, question, A” (`research/votes.py`), and says who judged.
"""

import csv
import json
import random
import shutil
import subprocess
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from research.blind import on_camera, Page, plan, sample, take_of, Voice, was_seen
from research.faces.lip_clips import read_clips
from research.faces.real_faces import solve_missing
from research.harness import add_shared, DATA, report, ROOT
from research.mouths import CloseUps
from research.train.corpus import SAMPLES_PER_FRAME
from research.votes import (
    CATCH,
    count,
    draw_sides,
    read_key,
    read_saved,
    read_votes,
    Vote,
    write_key,
)
from thunder_core.acoustics import level
from thunder_core.engine.speech.audio import read_sound
from thunder_core.face.head import load_head
from thunder_core.html import element, page
from thunder_core.types import FPS, RATE

QUESTIONS = {
    "lip-sync": "In which film do the lips go better with the voice?",
    "realism": "In which film does the face move more like a person’s?",
    "client": "Which film would you send to a client?",
}
SCALE = ("A, clearly", "A", "A, a little", "neither", "B, a little", "B", "B, clearly")
PERSON, TODAY = "person", "today"
# of a picture 384 pixels wide: its height there, pixels per metre, metres from the lips up
WIDE, HIGH, METRE, UP = 384, 448, 1650.0, 0.045
FINER = 1.5  # factor by which pictures of films are drawn larger
STILLS, STILL = 12, (228, 266)  # frames of a film on a sheet, and the size of each
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; background: #22252a; color: #e8e8e8; margin: 0 auto;
  max-width: 900px; padding: 1rem; }
button, input { font: inherit; padding: .3rem .9rem; }
[hidden] { display: none !important; }
#films { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }
h1 { font-size: 1.2rem; } h1, p { margin: .4rem 0; } figure { margin: 0; text-align: center; }
video { height: min(50vh, 448px); max-width: 100%; background: #000; }
fieldset { border: 0; border-top: 1px solid #555; margin: 0; padding: .4rem 0; }
legend { padding: 0; float: left; width: 100%; }
.scale { display: grid; grid-template-columns: repeat(7, 1fr); clear: both; }
.scale label { text-align: center; font-size: .85rem; } .scale input { display: block; margin: 0 auto; }
#message { color: #ffb27a; min-height: 1.5rem; }
"""
SCRIPT = Path(__file__).with_suffix(".js")


# ---- which pairs


def sides_of(args: Namespace) -> dict[str, Path]:
    """The two sides and where the motions of each are, or go. Raises SystemExit."""
    known = {TODAY: args.folder / "takes" / TODAY, PERSON: args.solved}
    sides = {}
    for text in args.sides:
        name, equals, folder = text.partition("=")
        if equals and not Path(folder).is_dir():
            raise SystemExit(f"There is no folder “{folder}”: name one of motions, or a checkout")
        if not equals and name not in known:
            raise SystemExit(f"“{text}” is no side: write today, person, or NAME=FOLDER")
        sides[name] = known.get(name) if not equals else Path(folder)
    if len(sides) < 2 or CATCH in sides:
        raise SystemExit(f"Both sides need names, two different ones, and none is “{CATCH}”")
    return sides


def sounds_in(folder: Path) -> list[Voice]:
    """A folder's sounds, with their words where its transcripts.tsv (file, speaker, text) has them."""
    texts, table = {}, folder / "transcripts.tsv"
    if table.is_file():
        with table.open(newline="", encoding="utf-8") as file:
            texts = {row["file"]: row["text"] for row in csv.DictReader(file, delimiter="\t")}
    paths = sorted(p for p in folder.iterdir() if p.suffix in (".wav", ".flac", ".ogg", ".mp3"))
    return [Voice(p.stem, "", p, [], [(0, texts.get(p.name, ""))]) for p in paths]


def choose_moments(args: Namespace, sides: dict[str, Path]) -> list[tuple[Voice, int]]:
    """Moments (voice, first frame) of so many pairs, one of each voice before a second of any.
    Raises SystemExit where there are too few."""
    rng, frames = np.random.default_rng(args.seed), round(args.seconds * FPS)
    if args.voices:
        moments = [(voice, 0) for voice in sounds_in(args.voices)]
    else:
        if args.data is None:
            raise SystemExit(
                "Whose voices? Name a folder: --voices, or --data for people on camera"
            )
        people = {clip.name: clip for clip in read_clips(args.data, "check")}
        voices = [[voice] for voice in on_camera(args.data) if voice.name in people]
        all_of = plan(voices, dict.fromkeys({v.group for [v] in voices}, args.pairs), rng, frames)
        if PERSON in sides:
            all_of = [(v, at) for v, at in all_of if was_seen(people[v.name], at, frames)]
        turn: dict[tuple[str, int], int] = {}
        for voice, at in all_of:
            turn[voice.name, at] = sum(name == voice.name for name, _ in turn)
        moments = sorted(all_of, key=lambda each: turn[each[0].name, each[1]])
    if len(moments) < args.pairs:
        raise SystemExit(
            f"There are {len(moments)} moments of {args.seconds:g} s, and not {args.pairs}: name "
            f"fewer --pairs, shorter --seconds, or more voices"
        )
    return moments[: args.pairs]


def write_plan(args: Namespace, moments: list[tuple[Voice, int]], names: list[str]) -> dict:
    """Write the key of a study, pairs in no order; returns it. Raises SystemExit where the folder has
    a study of other pairs."""
    order = random.Random(args.seed)
    sides = draw_sides([names[0], CATCH], args.catch, [args.seed, 0])
    sides += draw_sides(names, len(moments) - args.catch, [args.seed, 1])
    rows = list(zip(moments, sides))
    order.shuffle(rows)
    films = [f"{order.getrandbits(40):010x}" for _ in range(2 * len(rows))]
    pairs = [
        {
            "voice": voice.name, "first": first, "seconds": args.seconds, "size": args.size,
            "seed": args.seed, "films": [f"{name}.mp4" for name in films[2 * n : 2 * n + 2]],
            "words": [(at, word) for at, word in voice.words
                      if first <= at < first + args.seconds * FPS],
        }
        for n, ((voice, first), _) in enumerate(rows)
    ]  # fmt: skip
    path = args.folder / "key.json"
    made = json.loads(json.dumps(pairs))
    if path.exists():
        kept = [
            {name: value for name, value in about.items() if name not in "AB"}
            for about in read_key(path).values()
        ]
        if kept != made:
            raise SystemExit(f"{args.folder} holds a study of other pairs: name another folder")
    write_key(path, pairs, [of for _, of in rows])
    return read_key(path)


# ---- films


def motion_of(about: dict, side: str, sides: dict[str, Path]) -> list[np.ndarray]:
    """What moves in a film: expression, jaw, head and eyes of each frame. Raises SystemExit."""
    other = next(about[each] for each in "AB" if about[each] != CATCH)
    folder = sides[other if side == CATCH else side]
    path = next(folder.glob(f"**/{about['voice']}.npz"), None)
    if path is None:
        raise SystemExit(f"{folder} has no {about['voice']}.npz: name another folder of motions")
    last = about["first"] + round(about["seconds"] * FPS)
    parts = take_of(path, 0, slice(about["first"], last), 4)
    # the face rests, the head goes on
    return [part * (side != CATCH or place > 1) for place, part in enumerate(parts)]


def write_film(
    path: Path, pictures: Iterator[np.ndarray], samples: np.ndarray, size: tuple[int, int]
) -> None:
    """Write pictures [n, height, width, 3] of any size and a sound as a film of this one that browsers
    play, whole or not at all. Raises SystemExit where ffmpeg cannot."""
    sound, part = path.with_suffix(".wav"), path.with_suffix(".part.mp4")
    soundfile.write(sound, level(samples), RATE)
    first = next(pictures)
    command = [
        shutil.which("ffmpeg") or "ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt",
        "rgb24", "-s", f"{first.shape[2]}x{first.shape[1]}", "-r", str(FPS), "-i", "-", "-i", str(sound), "-map_metadata", "-1",
        "-fflags", "+bitexact", "-vf", "scale={}:{}:flags=area".format(*size), "-c:v", "libx264", "-crf", "21", "-pix_fmt", "yuv420p", "-c:a",
        "aac", "-b:a", "96k", "-movflags", "+faststart", str(part),
    ]  # fmt: skip
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as ffmpeg:
            frames = b"".join(each.tobytes() for each in (first, *pictures))
            _, error = ffmpeg.communicate(frames)
    except FileNotFoundError:
        raise SystemExit("The films need ffmpeg: install it, and run the same again") from None
    if ffmpeg.returncode:
        raise SystemExit(f"ffmpeg could not write {path}: {error.decode().strip()}")
    part.rename(path)
    sound.unlink()


def sound_of(about: dict, voices: dict[str, Voice]) -> np.ndarray:
    """The sound of a pair at 16 kHz, as long as its films."""
    samples = read_sound(voices[about["voice"]].path).samples
    first = about["first"] * SAMPLES_PER_FRAME
    length = round(about["seconds"] * FPS) * SAMPLES_PER_FRAME
    cut = samples[first : first + length]
    return np.pad(cut, (0, length - len(cut)))


def draw_films(
    args: Namespace, key: dict, voices: dict[str, Voice], sides: dict[str, Path]
) -> None:
    """Draw what is missing of the films."""
    wide = args.size // 2 * 2
    size = wide, round(wide * HIGH / WIDE / 2) * 2
    drawn = tuple(round(FINER * each) for each in size)
    draw = CloseUps(load_head(), drawn, FINER * METRE * wide / WIDE, -UP, finer=1)
    folder = args.folder / "page" / "films"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [
        (about, folder / film, about[side])
        for about in key.values()
        for film, side in zip(about["films"], "AB")
        if not (folder / film).exists()
    ]
    for number, (about, path, side) in enumerate(missing, 1):
        print(f"film {number} of {len(missing)}", flush=True)
        motion = motion_of(about, side, sides)
        frames = range(0, len(motion[0]), 8)
        pictures = (draw(*(part[at : at + 8] for part in motion)) for at in frames)
        write_film(path, pictures, sound_of(about, voices), size)


def write_page(folder: Path, key: dict) -> None:
    """Write the page that plays the films and saves answers."""
    data = {
        "study": study_name(key), "questions": QUESTIONS, "scale": SCALE,
        "pairs": [{"pair": pair, "films": about["films"]} for pair, about in key.items()],
    }  # fmt: skip
    films = [
        element(
            "figure",
            element("video", id=side, controls="", playsinline="", preload="auto"),
            element("figcaption", side, id=f"{side}-state"),
        )
        for side in "AB"
    ]
    text = page(
        "Which is better?", STYLE, SCRIPT.read_text(encoding="utf-8"), data,
        element("h1", "Which is better?"),
        element(
            "form",
            element("p", "A head speaks in two films, A and B, with the same voice. Put on "
                    "headphones, watch both to the end, as often as you like, and answer. Your "
                    "answers stay in this browser until you save them as a file, which you send to "
                    "whoever asked you. You can stop at any time and go on later."),
            element("p", element("label", "Your name, or any word: ",
                                 element("input", id="judge", maxlength=40, required="")), " ",
                    element("button", "Begin")),
            id="start",
        ),
        element(
            "main", element("p", id="progress"), element("div", *films, id="films"),
            element("div", id="questions"),
            element("p", element("button", "Back", id="back"), " ",
                    element("button", "Next", id="next"), " ",
                    element("button", "Save Answers", id="save")),
            id="pair", hidden="",
        ),
        element("p", id="message", role="status"),
    )  # fmt: skip
    (folder / "page" / "index.html").write_text(text, encoding="utf-8")


def study_name(key: dict) -> str:
    """What tells a study from others: the name of its first film."""
    return next(iter(key.values()))["films"][0].partition(".")[0]


def draw_stills(args: Namespace, key: dict, sides: dict[str, Path]) -> None:
    """A sheet of each pair: twelve frames of A in two rows, of B in two rows, with the words."""
    wide, high = STILL
    draw = CloseUps(load_head(), STILL, METRE * wide / WIDE, -UP)
    for pair, about in key.items():
        path = args.folder / "stills" / f"{pair}.png"
        if path.exists():
            continue
        frames = round(about["seconds"] * FPS)
        at = np.linspace(0, frames - 1, STILLS).round().astype(int)
        sheet, step = Page(f"Pair {pair}: A above, B below", 46 + 4 * (high + 22)), high + 22
        sheet.write(220, 2, " ".join(word for _, word in about["words"]), (255, 255, 255))
        for row, side in enumerate("AB"):
            pictures = draw(*(part[at] for part in motion_of(about, about[side], sides)))
            for k, picture in enumerate(pictures):
                x, y = k % 6 * (wide + 4), 40 + (2 * row + k // 6) * step
                sheet.paste(x, y, picture)
                now, then = about["first"] + at[k], about["first"] + frames / STILLS * (k + 1)
                said = [word for start, word in about["words"] if start <= now][-1:]
                said += [w for start, w in about["words"] if now < start < then]
                sheet.write(x + 2, y - 18, f"{side} {at[k] / FPS:.1f} s  {' '.join(said)}"[:30])
        sheet.save(path)


# ---- the commands


def make(args: Namespace) -> None:
    """Write a study, or the rest of it."""
    if not 0 <= args.catch < args.pairs:
        raise SystemExit(
            f"--pairs {args.pairs} leaves none beside --catch {args.catch}: name more pairs, or fewer "
            f"catch pairs"
        )
    sides = sides_of(args)
    moments = choose_moments(args, sides)
    voices = {voice.name: voice for voice, _ in moments}
    key = write_plan(args, moments, list(sides))
    for name, folder in sides.items():
        tree = ROOT if name == TODAY else folder
        if name == PERSON:
            for place in {voice.path.parent for voice in voices.values()}:
                names = [v.name for v in voices.values() if v.path.parent == place]
                solve_missing(place, folder, load_head(), names)
        elif (tree / "thunder_core").is_dir():
            sides[name] = args.folder / "takes" / name
            sample(tree, voices.values(), 1, sides[name])
    draw_films(args, key, voices, sides)
    write_page(args.folder, key)
    if args.stills:
        draw_stills(args, key, sides)
    print(f"{len(key)} pairs: open {args.folder / 'page' / 'index.html'}")


def read_judges(paths: Sequence[Path], key: dict, folder: Path) -> tuple[list[Vote], list[str]]:
    """The votes of all judges, and lines that say which files do not count. Of files of one judge, by
    name and by the number that the page drew, the last saved counts; judges of one name get that
    number. Raises SystemExit for a file that is none of this study, says nothing, or is by a judge
    of whom others have the name."""
    files: dict[tuple[str, str], list] = defaultdict(list)
    for path in paths:
        text, saved = read_saved(path)
        if saved and saved.get("study") != study_name(key):
            raise SystemExit(f"{path} answers another study than {folder}")
        votes = read_votes(path, key)
        for question in {vote.question for vote in votes} - {*QUESTIONS, ""}:
            raise SystemExit(
                f"“{question}” in {path} is no question of this study: it asks {', '.join(QUESTIONS)}"
            )
        if all(CATCH in (key[vote.pair]["A"], key[vote.pair]["B"]) for vote in votes):
            judge = saved.get("judge", path.stem)
            raise SystemExit(f"{path} by {judge} has no answers that can count: leave it out")
        judge, when = votes[0].judge, str(saved.get("saved", ""))
        files[judge, str(saved.get("by", ""))].append((when, path, text, votes))
    names = [judge for judge, _ in files]
    all_votes, lines = [], []
    for (judge, by), of in files.items():
        if names.count(judge) > 1 and not by:
            raise SystemExit(
                f"{of[0][1]} and another file are both by {judge}: rename one judge, or leave out one file"
            )
        of.sort(key=lambda each: each[0])
        *earlier, (when, path, text, votes) = of
        for before, other, said, _ in earlier:
            if said != text and (before == when or not by):
                raise SystemExit(
                    f"{other} and {path} are both by {judge}: rename one judge, or leave out one file"
                )
            why = "was saved later" if before < when else "says the same"
            lines.append(f"{other} does not count: {path} by {judge} {why}")
        name = judge if names.count(judge) == 1 else f"{judge} ({by[:6] or path.name})"
        all_votes += [replace(vote, judge=name) for vote in votes]
    return all_votes, lines


def read(args: Namespace) -> None:
    """Count the answers of files. Raises SystemExit where one cannot be counted."""
    if not (args.folder / "key.json").is_file():
        raise SystemExit(f"{args.folder} has no key.json: name the folder of a study")
    key = read_key(args.folder / "key.json")
    votes, lines = read_judges(args.votes, key, args.folder)
    told = count(votes, key, args.attentive)
    report(args.results, [f"Judged by {args.who}.", *lines, *told])


def add_arguments(parser: ArgumentParser) -> None:
    """Add both commands with their options."""
    commands = parser.add_subparsers(dest="command", required=True)
    p = commands.add_parser("make", help="make pairs of films and their page")
    p.add_argument("folder", type=Path, help="where the study lies, made if it is missing")
    p.add_argument("--sides", nargs=2, default=(TODAY, PERSON), metavar="SIDE",
                   help="today, person, or NAME=FOLDER (today person)")  # fmt: skip
    add_shared(p, "solved", "seed", data=DATA)
    p.add_argument("--voices", type=Path, help="folder of sounds, instead of people on camera")
    p.add_argument("--pairs", type=int, default=24, help="how many, with catch pairs (24)")
    p.add_argument("--catch", type=int, default=2, help="pairs in which a face is at rest (2)")
    p.add_argument("--seconds", type=float, default=4.0, help="of a film (4)")
    p.add_argument("--size", type=int, default=WIDE, help="pixels across a film (384)")
    p.add_argument("--stills", action="store_true", help="also sheets of twelve frames")
    p = commands.add_parser("read", help="count answers")
    p.add_argument("folder", type=Path)
    p.add_argument("votes", type=Path, nargs="+", help="a file of each judge")
    p.add_argument("--who", required=True, help="who judged by what, such as “people, films”")
    p.add_argument("--attentive", type=float, default=1.0,
                   help="share of the catch pairs that a judge must see to be counted (1)")  # fmt: skip
    add_shared(p, "results")


def run(args: Namespace) -> None:
    """Run a command."""
    (make if args.command == "make" else read)(args)
