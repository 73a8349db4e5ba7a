# SPDX-License-Identifier: GPL-3.0-or-later
"""How well the words of a text are placed in a voice, whether a text of another line is noticed,
and how often sounds are right.

DATA has `speech/` with LibriSpeech recordings, their texts and their phones by pocketsphinx, which
says when words begin: it splits the phones into words by its dictionary. It is no independent
judge: the encoder learned from its alignments of other speakers, and human labels are not at hand.
Texts: the line's; that of the line of the split whose length is nearest, and of one drawn by
seed; the line's with one word replaced, and with one put in; its first two thirds; the whole of it
with the last two thirds of the sound. Words: those said, of true texts,
and the replaced and added ones. Sounds: the class that is recognised against that of the phone in
its middle. `--split validation` is what the thresholds of
`thunder_core/engine/speech/transcript.py` and `thunder_core/spoken.py` were chosen by. Written to
research/results/words_aligned.txt.
"""

import csv
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from research.harness import add_shared, report, required, results_file
from research.train.corpus import split_of
from thunder_core import spoken
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import softmax
from thunder_core.engine.speech.transcript import find_text, recognise

FOLDERS = "librispeech*"
DOUBTFUL = -24.0  # mean score of pocketsphinx's alignment below which it is doubted
NEAR, FAR = 0.08, 0.2  # seconds from the reference
LONGEST_UNKNOWN = 14  # phones of a word that the dictionary lacks
BANDS = (0.0, 0.6, spoken.CLEAR, 1.01)  # probabilities of sounds

Phones = list[tuple[str, float, float]]
Lexicon = dict[str, list[tuple[str, ...]]]


@dataclass(frozen=True)
class Line:
    """A recording, its text and its phones (phone, start, end in seconds)."""

    path: Path
    speaker: str
    text: str
    phones: Phones


def lines_of(speech: Path, split: str, most: int) -> list[Line]:
    """The recordings of a split's LibriSpeech voices whose alignment is not doubted."""
    lines = []
    for table in sorted(speech.glob(f"{FOLDERS}/transcripts.tsv")):
        folder, phones = table.parent, {}
        quality = {
            row[0]: float(row[3]) for row in rows_of(folder / "align_quality.tsv") if row[1] == "ok"
        }
        for name, phone, start, end in list(rows_of(folder / "alignments.tsv")):
            phones.setdefault(name, []).append((phone, float(start), float(end)))
        for name, speaker, text in rows_of(table, header=False):
            if (
                split_of(speaker) == split
                and quality.get(name, -np.inf) > DOUBTFUL
                and name in phones
            ):
                lines.append(Line(folder / name, speaker, text.lower(), phones[name]))
    return lines[:most] if most else lines


def texts_of(speech: Path, split: str, folders: str = "*") -> Iterator[tuple[Path, str, str]]:
    """(recording, speaker, text) of a split's voices in folders with transcripts."""
    for table in sorted(speech.glob(f"{folders}/transcripts.tsv")):
        for name, speaker, text in rows_of(table, header=False):
            if split_of(speaker) == split:
                yield table.parent / name, speaker, text.lower()


def rows_of(path: Path, header: bool = True) -> Iterator[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[header:]


def lexicon() -> Lexicon:
    """Pronunciations of pocketsphinx's dictionary of English."""
    from pocketsphinx import get_model_path

    result: Lexicon = {}
    for line in (
        Path(get_model_path("en-us/cmudict-en-us.dict")).read_text(encoding="utf-8").splitlines()
    ):
        word, *phones = line.split()
        result.setdefault(word.partition("(")[0], []).append(tuple(phones))
    return result


def starts_of(line: Line, known: Lexicon) -> list[float] | None:
    """When each word begins, by the phones of its line; None where these do not fit the text. Of
    words that the dictionary lacks, any."""
    said = [phone for phone in line.phones if phone[0] != "SIL"]
    names, text = [phone for phone, *_ in said], line.text.split()
    # of each word: phone at which it may begin → that of the word before
    all_links: list[dict[int, int]] = [{0: -1}]
    for word in text:
        following: dict[int, int] = {}
        for start in all_links[-1]:
            for length in {
                len(p) for p in known.get(word, ()) if tuple(names[start : start + len(p)]) == p
            } or (() if word in known else range(1, LONGEST_UNKNOWN + 1)):
                following.setdefault(start + length, start)
        all_links.append(following)
    place, result = len(said), []
    if place not in all_links[-1]:
        return None
    for links in reversed(all_links[1:]):
        place = links[place]
        result.append(said[place][1])
    return result[::-1]


def change_word(
    text: str, vocabulary: list[str], rng: np.random.Generator
) -> tuple[tuple[str, int], tuple[str, int]]:
    """A text with one word replaced, and with one put in, and the number of that word."""
    said = text.split()
    at, new = int(rng.integers(len(said))), str(rng.choice(vocabulary))
    return (" ".join([*said[:at], new, *said[at + 1 :]]), at), (
        " ".join([*said[:at], new, *said[at:]]),
        at,
    )


def sounds_right(belief: np.ndarray, phones: Phones) -> Iterator[tuple[float, bool, bool]]:
    """(probability, whether its class is right, whether that or one it may be instead is) of every
    sound that is recognised."""
    starts = np.array([start for _, start, _ in phones])
    sounds = spoken.Spoken(
        [[s.phone, s.start, s.end, s.sure, s.others] for s in recognise(belief)], (), "", True
    )
    for number, (start, end, _, sure) in enumerate(np.stack(sounds.columns, 1)):
        true = spoken.class_of(
            phones[max(0, int(np.searchsorted(starts, (start + end) / 2, "right")) - 1)][0]
        )
        kinds = [
            spoken.class_of(phone)
            for phone, _ in ((sounds.sounds[number][0], 0), *sounds.sounds[number][4])
        ]
        yield sure, kinds[0] == true, true in kinds


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "weights", "seed", "results", "split", lines=0)  # 0: all


def run(args: Namespace) -> None:
    required(args.data / "speech", "the folder of recordings")
    engine = Engine.load(args.weights, device="cpu")
    known = lexicon()
    rng = np.random.default_rng(args.seed)
    lines = lines_of(args.data / "speech", args.split, args.lines)
    if len(lines) < 2:
        raise SystemExit(
            f"{args.data / 'speech'} has no LibriSpeech recordings of the split {args.split} with "
            f"texts and alignments"
        )
    vocabulary = sorted({word for line in lines for word in line.text.split()})
    fits, sure = defaultdict(list), defaultdict(list)  # of texts, of words by what they are
    late, unfit, rows = [], 0, []
    for line in lines:
        belief = softmax(engine.thunder.encoder.analyse(read_sound(line.path).samples)[1])
        _, found, matches = find_text(belief, line.text)
        fits["own"].append(matches)
        starts = starts_of(line, known)
        unfit += starts is None
        late += [word.start - start for word, start in zip(found, starts or ())]
        sure["own"] += [word.sure for word in found]
        for kind, (text, at) in zip(("replaced", "added"), change_word(line.text, vocabulary, rng)):
            if text != line.text:
                sure[kind].append(find_text(belief, text).words[at].sure)
        text = line.text.split()
        fits["shorter"].append(find_text(belief, " ".join(text[: 2 * len(text) // 3])).matches)
        fits["longer"].append(find_text(belief[len(belief) // 3 :], line.text).matches)
        others = [other for other in lines if other.text != line.text]
        nearest = min(others, key=lambda other: abs(len(other.text) - len(line.text)))
        fits["other"] += [
            find_text(belief, other.text).matches
            for other in (nearest, others[int(rng.integers(len(others)))])
        ]
        rows += list(sounds_right(belief, line.phones))
    report(
        results_file(args.results, "words_aligned.txt", args.split == "test" and not args.lines),
        [
            f"{len(lines)} lines of {len({line.speaker for line in lines})} LibriSpeech voices of "
            f"the split {args.split}, "
            f"weights {engine.weights}; {unfit} lines whose phones do not fit their text have no "
            f"word starts",
            "",
            *_of_words(np.abs(late), np.median(late)),
            _row(
                "texts of other lines, noticed",
                1 - np.mean(fits["other"]),
                f" of {len(fits['other'])}",
            ),
            _row("own texts, suspected", 1 - np.mean(fits["own"]), f" of {len(fits['own'])}"),
            _row("two thirds of own texts, suspected", 1 - np.mean(fits["shorter"]), ""),
            _row("own texts of two thirds of a sound, suspected", 1 - np.mean(fits["longer"]), ""),
            *(
                _row(
                    f"{kind} words, not found",
                    np.mean(np.array(values) < spoken.SAID),
                    f" of {len(values)}",
                )
                for kind, values in sure.items()
            ),
            "",
            *_of_sounds(np.array(rows, float)),
        ],
    )


def _row(what: str, share: float | np.floating, more: str) -> str:
    return f"{what:52s} {share:6.3f}{more}"


def _of_words(off: np.ndarray, median: float) -> list[str]:
    return [
        _row(
            f"word starts within {1000 * NEAR:.0f} ms",
            (off <= NEAR).mean(),
            f" of {len(off)}; median {1000 * median:+.0f} ms",
        ),
        _row(f"word starts within {1000 * FAR:.0f} ms", (off <= FAR).mean(), ""),
    ]


def _of_sounds(rows: np.ndarray) -> list[str]:
    """rows: as of `sounds_right` [n, 3]."""
    lines = []
    for low, high in ((0.0, 1.01), *zip(BANDS, BANDS[1:])):
        part = rows[(rows[:, 0] >= low) & (rows[:, 0] < high)]
        if len(part):
            among = f" of {len(part)}; {part[:, 2].mean():.3f} with what they may be instead"
            lines.append(
                _row(
                    f"sounds of probability {low:.2f} to {min(high, 1.0):.2f}, class right",
                    part[:, 1].mean(),
                    among,
                )
            )
    return lines
