# SPDX-License-Identifier: GPL-3.0-or-later
"""What is heard of an animation: words of mesh-to-speech, and what it tells of takes.

DATA has `speech/` (LibriSpeech recordings with texts and phones), `grid/` and `paired/facegood/`.
Words: `--lines` lines of `--voices` voices that nothing was trained on, each voice in turn, by
pocketsphinx, and by Whisper too where --model names a folder of one (THUNDER_WHISPER); of recordings,
of their spectra through the vocoder, of takes as directed and in a reading, of the teacher's
mouth, of another line's take, and of the take after an edit. Sounds: the share of spoken 20 ms
whose phone our encoder hears as it was aligned; it also made the units that mesh-to-speech learns,
so it is no independent judge. STOI is beside the recording. Intervals, 95 %, are over lines. Heard
worse: lines in which less is read off the edited take, and
lines in which more words are wrong by pocketsphinx. Reading: AUC of what the list shows
(`Scorer.heard_ratios`) of takes against the same 80 ms late and early, and another line's; of two
tools' tracks without regard to their tongues, which stand still. Off people: nats a speech unit
off the mouths of GRID's speakers that no network was trained on, and off the next sentence's. What
*Check* says of takes in every mood and mumbled ones, scored in their direction, of takes as directed
whose poses are held on twos and threes, or whose jaw opens half as far, and of what faces show that
lack channels. Last the seconds of one processor until ten seconds of a take are heard. To
research/results/say.txt.
"""

import os
import time
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from research.faces.lip_clips import UNSEEN
from research.harness import add_shared, bootstrap, in_turns, report, required, results_file
from research.ranking import auc, hold_poses, shift
from research.table1 import edits, Line as Utterance, perform_line, Recogniser, resynthesise
from research.train.corpus import resample
from research.train.facegood import facegood_motion
from research.train.grid import read_sentences
from research.viseme_tool import key_visemes, LABELS_PER_SECOND
from research.words_aligned import Line, lines_of
from thunder_core.acoustics import level
from thunder_core.direction import Direction, DirectionRequest, MOODS, NEUTRAL, Style
from thunder_core.engine.engine import Engine
from thunder_core.engine.recogniser import load
from thunder_core.engine.scorer import most_spoken
from thunder_core.engine.speech.audio import read_sound, sound_of
from thunder_core.engine.voice import VoiceFeatures
from thunder_core.findings import LipSyncScore, MUMBLED, SHIFTED, SIZE
from thunder_core.request import Request
from thunder_core.spoken import phone_index, SILENCE
from thunder_core.types import FPS, in_group, Motion, pack, RATE, Speech, TONGUE, unpack

SHORTEST, LONGEST = 3.0, 9.0  # seconds of a line
HEARD_SECONDS = 10
NATURAL, VOCODED, TAKE, READING = "recording", "vocoded", "take as directed", "take in a reading"
TEACHER, OTHER = "teacher's mouth", "another line's take"
HALF, LATE, SHUT = "take, half as large", "take, 100 ms late", "take, lips kept shut"
SHIFTS = {"80 ms late": 2, "80 ms early": -2}  # frames
Words = Callable[[np.ndarray], str]


def recognisers(model: str | None) -> dict[str, Words]:
    """What writes down the words of samples, by name."""
    found: dict[str, Words] = {"pocketsphinx": Recogniser().words}
    if not model:
        return found
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    whisper, normal = load(Path(model), 1), EnglishTextNormalizer({})

    def words(samples: np.ndarray) -> str:
        said, _ = whisper.transcribe(
            samples.astype(np.float32), language="en", beam_size=5, temperature=0.0,
            condition_on_previous_text=False,
        )  # fmt: skip
        return normal(" ".join(each.text for each in said))

    return found | {Path(model).name: words}


def chosen_lines(speech: Path, voices: int, count: int) -> list[Line]:
    """`count` lines of so many voices that nothing was trained on, each voice in turn: of the test
    split, and of the validation split where that has fewer."""
    lines = [
        line
        for split in ("test", "validation")
        for line in lines_of(speech, split, 0)
        if SHORTEST < line.phones[-1][2] < LONGEST
    ]
    known = list(dict.fromkeys(line.speaker for line in lines))[:voices]
    mine = [line for line in lines if line.speaker in known]
    return in_turns(mine, lambda line: line.speaker, lambda line: line.path.name)[:count]


def utterance_of(line: Line) -> Utterance:
    """A line with its samples at speech level, whole frames of them, and its labels."""
    samples = read_sound(line.path).samples
    samples = level(samples[: len(samples) // 640 * 640])
    labels = np.zeros(len(samples) // 160, np.uint8)
    for phone, start, end in line.phones:
        at = slice(round(start * LABELS_PER_SECOND), round(end * LABELS_PER_SECOND))
        labels[at] = phone_index(phone)
    return Utterance(line.path.name, line.speaker, samples, labels, line.text)


def edited(engine: Engine, motion: Motion) -> dict[str, Motion]:
    """A take after an edit. Lips kept shut: whatever the tongue says."""
    x, channels = pack(motion), engine.head.channels
    tongue = np.append(in_group(engine.head.expression_names, TONGUE), [False] * 9)
    return {
        HALF: unpack(0.5 * x, channels), LATE: shift(motion, 0.1 * FPS),
        SHUT: unpack(np.where(tongue, x, 0), channels),
    }  # fmt: skip


def words_table(
    engine: Engine, lines: Sequence[Utterance], by: dict[str, Words], seed: int
) -> tuple[list[str], list[tuple[VoiceFeatures, list[Motion]]]]:
    """Lines on what is heard, and of each line its voice with its takes."""
    from pystoi import stoi

    spoken = [sound_of(line.samples, RATE, line.name) for line in lines]
    voices = [engine.analyse(speech) for speech in spoken]
    # of the same seed, as the panel's first takes
    takes = [
        sorted(engine.generate(speech, Request(4, seed)), key=lambda take: take.seed)
        for speech in spoken
    ]
    made = [[take.motion for take in some] for some in takes]
    rows: dict[str, list[dict]] = defaultdict(list)
    for number, line in enumerate(lines):
        voice, (first, second, *_) = voices[number], made[number]
        other = made[(number + 1) % len(lines)][0]
        motions = {
            TAKE: first, READING: second,
            TEACHER: perform_line(engine, line, number, [line.speaker], seed),
            OTHER: other.part(np.arange(first.frames) % other.frames),
        } | edited(engine, first)  # fmt: skip
        read = dict(zip(motions, engine.scorer.heard_ratios(list(motions.values()), voice)))
        sounds = {
            name: engine.listen(each, spoken[number]).samples for name, each in motions.items()
        }
        speaker = engine.speaker.embed(line.samples)
        sounds = {NATURAL: line.samples, VOCODED: resynthesise(engine, line, speaker)} | sounds
        for name, sound in sounds.items():
            count = min(len(sound), len(line.samples))
            about: dict = {"stoi": stoi(line.samples[:count], sound[:count], RATE)}
            about["sounds"] = sounds_right(engine, line, sound)
            about |= {who: edits(line.words, words(sound)) for who, words in by.items()}
            rows[name].append(about | {"read": read.get(name)})
        print(f"{number + 1} of {len(lines)}", flush=True)
    titles = "".join(f"{who[:22]:>24s}" for who in by)
    table = [f"{'words wrong by':24s}{titles}{'sounds right':>14s}{'STOI':>7s}{'read':>7s}"]
    for name, figures in rows.items():
        cells = "".join(f"{error_of(figures, who):>24s}" for who in by)
        known = [each["read"] for each in figures if each["read"] is not None]
        read_off = f"{np.mean(known):7.2f}" if known else f"{'–':>7s}"
        right, alike = (np.mean([each[what] for each in figures]) for what in ("sounds", "stoi"))
        table.append(f"{name:24s}{cells}{right:14.2f}{alike:7.2f}{read_off}")
    table += [worse(rows[name], rows[TAKE], name, next(iter(by))) for name in (HALF, LATE, SHUT)]
    return table, list(zip(voices, made))


def sounds_right(engine: Engine, line: Utterance, sound: np.ndarray) -> float:
    """The share of a line's spoken labels that our encoder hears in a sound."""
    heard = engine.analyse(sound_of(sound, RATE, "")).logits.argmax(1)
    labels = line.phones[::2][: len(heard)]
    spoken = labels != SILENCE
    return float((heard[: len(labels)] == labels)[spoken].mean())


def error_of(figures: list[dict], who: str) -> str:
    """Word error by a recogniser, with its interval."""
    counts = np.array([each[who] for each in figures], float)
    low, high = bootstrap(lambda at: float(np.divide(*counts[at].sum(0))), len(counts))
    return f"{np.divide(*counts.sum(0)):.2f} [{low:.2f}, {high:.2f}]"


def worse(figures: list[dict], of_take: list[dict], name: str, who: str) -> str:
    """In how many lines an edited take is heard worse than as it was."""
    pairs = list(zip(figures, of_take))
    less = sum((a["read"] or 0.0) < (b["read"] or 0.0) for a, b in pairs)
    wrong = sum(a[who][0] > b[who][0] for a, b in pairs)
    return (
        f"{name}: heard worse by what is read in {less} of {len(pairs)} lines, by words wrong in "
        f"{wrong} ({who})"
    )


# ---- what the reading tells


Track = tuple[VoiceFeatures, list[Motion]]


def auc_row(engine: Engine, name: str, tracks: Sequence[Track]) -> str:
    """How well the reading tells motions from the same late and early, and from another line's."""
    found: dict[str, list[float]] = defaultdict(list)
    for number, (voice, motions) in enumerate(tracks):
        other = tracks[(number + 1) % len(tracks)][1][0]
        shown = {"": motions, "another line": [other.part(np.arange(voice.frames) % other.frames)]}
        shown |= {what: [shift(each, by) for each in motions] for what, by in SHIFTS.items()}
        usual = engine.scorer.usual_share(voice, ())
        for what, some in shown.items():
            whole = [each.part(np.arange(voice.frames).clip(0, each.frames - 1)) for each in some]
            shares = engine.m2s.heard_shares(
                engine.mouth, whole, most_spoken(voice.speaking), voice.units, voice.speaking
            )
            found[what] += [share / max(usual, 0.05) for share in shares]
    right = np.array(found.pop(""))
    cells = ", ".join(f"{what} {auc(right, np.array(each)):.3f}" for what, each in found.items())
    return f"{name:16s}{len(right):4d} of {right.mean():.2f} on average; AUC {cells}"


def visemes(engine: Engine, lines: Sequence[Utterance]) -> Iterator[Track]:
    """What a viseme tool keys for lines."""
    for line in lines:
        motion = key_visemes(line.phones, list(engine.head.expression_names))
        voice = engine.analyse(sound_of(line.samples, RATE, line.name))
        yield voice, [motion]


def another_rig(engine: Engine, folder: Path, most: int) -> Iterator[Track]:
    """Ten seconds of each of another studio's recordings, which its rig performs."""
    for path in sorted(folder.glob("*.npz"))[:most]:
        speech = Speech(read_sound(path.with_suffix(".flac")).samples[: HEARD_SECONDS * RATE])
        with np.load(path) as file:
            names = [str(name) for name in file["channels"]]
            weights = resample(file["weights"].astype(float), float(file["fps"]))[: speech.frames]
        motion = facegood_motion(weights, names, list(engine.head.expression_names), FPS)
        yield engine.analyse(speech), [motion]


def off_people(engine: Engine, grid: Path) -> list[str]:
    """Nats a unit that are read off people, and off the next sentence's mouth."""
    rows = []
    for who in UNSEEN:
        said = list(read_sentences(grid, who))
        mouths = [Motion(*np.split(each.mouth.astype(np.float32), [-3], 1)) for each in said]
        own, others = [], []
        for number, each in enumerate(said):
            voice = engine.analyse(sound_of(each.samples, RATE, each.name))
            frames = min(voice.frames, mouths[number].frames)
            at, other = np.arange(frames), mouths[(number + 1) % len(said)]
            pair = [mouths[number].part(at), other.part(at % other.frames)]
            nats = engine.m2s.nats(engine.mouth, pair, voice.units[: 2 * frames], slice(0, frames))
            speaking = voice.speaking[:frames]
            own.append(nats[0, speaking].mean())
            others.append(nats[1, speaking].mean())
        rows.append((who, len(said), float(np.mean(own)), float(np.mean(others))))
    mean = np.mean([each[2:] for each in rows], 0)
    cells = ", ".join(f"{who} {own:+.2f} ({count})" for who, count, own, _ in rows)
    return [
        f"nats a unit off people, mean of {len(rows)} speakers {mean[0]:+.2f}, off the next "
        f"sentence's mouth {mean[1]:+.2f}; {cells}"
    ]


# ---- what Check says


DIRECTIONS = {
    "as directed": Direction(), "mumbled": Direction(Style(energy=0.6, articulation=0.6)),
} | {name: Direction(mood=name) for name in MOODS if name != NEUTRAL}  # fmt: skip
LACKS = {  # channels that faces of other makers lack
    "a tongue that comes out": ("tongueTipUp", "tongueBladeUp", "tongueBack"),
    "one raised tongue": ("tongueOut", "tongueTipUp", "tongueBladeUp", "mouthRollUpper"),
    "no rolled or pursed lips": ("mouthRollUpper", "mouthRollLower", "mouthFunnel", "tongueBack"),
}  # fmt: skip


def altered(engine: Engine, motion: Motion) -> dict[str, Motion]:
    """A take as directed on other faces, with held poses and half a jaw."""
    names, made = list(engine.head.expression_names), {}
    for name, lacks in LACKS.items():
        made[name] = replace(motion, expression=motion.expression.copy())
        made[name].expression[:, [names.index(each) for each in lacks]] = 0
    made |= {"held on twos": hold_poses(motion, 2), "held on threes": hold_poses(motion, 3)}
    return made | {"half a jaw": replace(motion, jaw=0.5 * motion.jaw)}


def check_table(engine: Engine, lines: Sequence[Utterance], seed: int) -> list[str]:
    """What is read off takes in directions, and what *Check* says of them."""
    scores: dict[str, list[LipSyncScore]] = defaultdict(list)
    for line in lines:
        speech = sound_of(line.samples, RATE, line.name)
        for name, asked in DIRECTIONS.items():
            direction = DirectionRequest(asked.vector()[None], 0.0)
            [take] = engine.generate(speech, Request(1, seed, direction=direction))
            motions = {name: take.motion}
            if name == next(iter(DIRECTIONS)):
                motions |= altered(engine, take.motion)
            for what, motion in motions.items():
                scores[what].append(engine.score(speech, motion, direction, seed))
    kinds = (MUMBLED, SHIFTED, SIZE)
    table = [
        f"{'Check of takes':26s}{'read':>6s}{'least':>7s}{'not read':>10s}"
        + "".join(f"{kind:>10s}" for kind in (*kinds, "anything"))
    ]
    for what, some in scores.items():
        read = [each.heard for each in some if each.heard is not None]
        of_read = f"{np.mean(read):6.2f}{min(read):7.2f}" if read else f"{'–':>6s}{'–':>7s}"
        found = [{each.kind for each in score.findings} for score in some]
        shares = [np.mean([kind in each for each in found]) for kind in kinds]
        shares.append(np.mean([bool(each) for each in found]))
        table.append(
            f"{what:26s}{of_read}{len(some) - len(read):10d}"
            + "".join(f"{share:10.2f}" for share in shares)
        )
    return table


def hearing_seconds(engine: Engine, track: Track, speech: Speech) -> float:
    """Seconds of processors until ten seconds of a take are heard, once everything is loaded."""
    motion = track[1][0]
    motion = motion.part(np.arange(HEARD_SECONDS * int(FPS)) % motion.frames)
    engine.listen(motion, speech)
    began = time.process_time()
    engine.listen(motion, speech)
    return time.process_time() - began


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "weights", "seed", "results", voices=12, lines=12)
    p.add_argument("--model", default=os.environ.get("THUNDER_WHISPER"), help="THUNDER_WHISPER")


def run(args: Namespace) -> None:
    """Speak and read takes, and write the tables."""
    required(args.data / "speech", "the folder of recordings")
    engine, by = Engine.load(args.weights, device="cpu"), recognisers(args.model)
    chosen = chosen_lines(args.data / "speech", args.voices, args.lines)
    lines = [utterance_of(line) for line in chosen]
    table, tracks = words_table(engine, lines, by, args.seed)
    rig = args.data / "paired" / "facegood"
    seconds = hearing_seconds(engine, tracks[0], sound_of(lines[0].samples, RATE, ""))
    report(
        results_file(args.results, "say.txt", len(lines) >= 12),
        [
            f"{len(lines)} lines of {len({line.speaker for line in lines})} voices, weights "
            f"{engine.weights}, seed {args.seed}",
            "",
            *table,
            "",
            auc_row(engine, "takes", tracks),
            auc_row(engine, "viseme tool", list(visemes(engine, lines))),
            auc_row(engine, "another rig", list(another_rig(engine, rig, len(lines)))),
            "",
            *off_people(engine, args.data / "grid"),
            "",
            *check_table(engine, lines, args.seed),
            "",
            f"{HEARD_SECONDS} s of a take are heard after {seconds:.2f} s of processors",
        ],
    )
