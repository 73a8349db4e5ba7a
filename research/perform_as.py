# SPDX-License-Identifier: GPL-3.0-or-later
"""How a performance moves to another recording of its line, also of another language.

One text in five languages, each in two voices of espeak-ng; takes of every voice move to every
other. An accent counts as carried where the head turns at least 70 % as far around its counterpart
as around the old accent, of those around which it turns 4° and more; chance: at a random second of
speech. Pauses that were matched count as kept where the gesture-free part stays in a pause. Seams:
the fastest head, brow and eye of the moved against that of the old take. Mouth: r of the opening
with a fresh take of the same seed and direction, beside that of two fresh takes. Written to
research/results/perform_as.txt.
"""

from argparse import ArgumentParser, Namespace
from itertools import permutations

import numpy as np

from research.espeak_voice import speak
from research.harness import add_shared, report, results_file
from research.hits import gesture
from thunder_core.direction import DirectionRequest
from thunder_core.engine.another_voice import align_words, move, PAUSE, upper_columns
from thunder_core.engine.engine import Engine
from thunder_core.engine.voice import VoiceFeatures
from thunder_core.request import Request, SourcePerformance
from thunder_core.types import pack, SampledTake, Speech

TEXTS = {
    "en": "The battle was lost before the morning came, and nobody in the village wanted to "
    "believe it. We waited, for hours, without a word.",
    "de": "Die Schlacht war verloren, bevor der Morgen kam, und niemand im Dorf wollte es glauben. "
    "Wir haben gewartet, stundenlang, ohne ein Wort.",
    "fr": "La bataille était perdue avant le matin, et personne au village ne voulait le croire. "
    "Nous avons attendu, des heures, sans un mot.",
    "es": "La batalla estaba perdida antes de la mañana, y nadie en el pueblo quería creerlo. "
    "Esperamos, durante horas, sin una palabra.",
    "it": "La battaglia era perduta prima del mattino, e nessuno nel villaggio voleva crederci. "
    "Abbiamo aspettato, per ore, senza una parola.",
}
VOICES = (("", 150), ("+f3", 170))  # of espeak-ng, and words a minute
LEAST, CARRIED = 4.0, 0.7  # degrees, share


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "weights", "seed", "results")
    p.add_argument("--languages", nargs="+", default=list(TEXTS), choices=list(TEXTS))


def run(args: Namespace) -> None:
    """Move takes between all pairs, and write the table."""
    engine, rng = Engine.load(args.weights, device="cpu"), np.random.default_rng(args.seed)
    names = engine.head.expression_names
    sounds = {
        (language, voice): speak(TEXTS[language], language + voice, speed)
        for language in args.languages
        for voice, speed in VOICES
    }

    def generate(sound: Speech, **more) -> list[SampledTake]:
        direction = DirectionRequest(exact_first=False, spread=0.5)
        made = engine.generate(sound, Request(2, args.seed, direction=direction, **more))
        return sorted(made, key=lambda take: take.seed)

    fresh = {key: generate(sound) for key, sound in sounds.items()}
    rows: dict[str, list[list[float]]] = {"the same language": [], "another": []}
    for one, other in permutations(sounds, 2):
        voices = [engine.analyse(sounds[key]) for key in (one, other)]
        (old, new), take = (voice.prosody for voice in voices), fresh[one][0]
        keep, moved = move(take.motion, names, old, new, align_words(*voices))
        carried, chance = [], []
        for a, b in moved.accents:
            before = gesture(engine.head, take.motion, a)[0]
            if before >= LEAST:
                at = rng.choice(np.flatnonzero(new.spoken)) / 25
                carried.append(gesture(engine.head, keep.motion, b)[0] >= CARRIED * before)
                chance.append(gesture(engine.head, keep.motion, at)[0] >= CARRIED * before)
        fewer = min(sum(b - a >= PAUSE for a, b in voice.pauses) for voice in (old, new))
        columns = upper_columns(names)
        steps = [
            np.abs(np.diff(pack(m)[:, columns], axis=0)).max(0) for m in (take.motion, keep.motion)
        ]
        made = generate(sounds[other], perform_as=SourcePerformance(take.motion, sounds[one]))
        r = [np.corrcoef(a.opening, b.opening)[0, 1] for a, b in zip(made, fresh[other])]
        usual = np.corrcoef(*(each.opening for each in fresh[other]))[0, 1]
        rows["the same language" if one[0] == other[0] else "another"].append([
            np.mean(carried) if carried else np.nan, np.mean(chance) if chance else np.nan,
            len(moved.accents) / max(1, min(len(old.accents), len(new.accents))),
            len(moved.pauses) / fewer if fewer else np.nan,
            np.median(steps[1] / np.maximum(steps[0], 1e-3)), np.mean(r), usual,
        ])  # fmt: skip
    lines = [
        f"Takes of {len(sounds)} voices on each other's; weights {engine.weights}, seed {args.seed}",
        f"{'to':20s}{'pairs':>6s}{'carried':>9s}{'chance':>8s}{'accents':>9s}{'pauses':>8s}"
        f"{'steps':>7s}{'mouth r':>9s}{'usual':>7s}",
    ]
    for name, values in filter(all, rows.items()):
        mean = np.nanmean(np.array(values), 0)
        lines.append(
            f"{name:20s}{len(values):6d}{mean[0]:9.0%}{mean[1]:8.0%}{mean[2]:9.0%}{mean[3]:8.0%}"
            f"{mean[4]:7.2f}{mean[5]:9.2f}{mean[6]:7.2f}"
        )
    lines.append(
        "accents, pauses: matched, of those of the voice that has fewer; steps: the fastest of the moved against the old"
    )
    lines.append(pick_ups(engine, {key: engine.analyse(sounds[key]) for key in sounds}))
    report(results_file(args.results, "perform_as.txt", len(args.languages) == len(TEXTS)), lines)


def pick_ups(engine: Engine, voices: dict[tuple[str, str], VoiceFeatures]) -> str:
    """In how many lines a second voice's halves, and whole lines, are found for what they are."""
    halves, wholes, others, seams = [], [], [], []
    for language in {language for language, _ in voices}:
        (first, old), (second, new) = [(k[1], v) for k, v in voices.items() if k[0] == language]
        words = TEXTS[language].split()
        middle = len(words) // 2
        said = [
            engine.analyse(speak(" ".join(part), language + second, dict(VOICES)[second]))
            for part in (words[:middle], words[middle:])
        ]
        found = [each and each.part for each in (align_words(old, half) for half in said)]
        halves += [part is not None for part in found]
        seams += [abs(found[0][1] - found[1][0])] if all(found) else []
        whole = align_words(old, new)
        wholes.append(whole is not None and whole.part is None)
        others += [
            align_words(voice, half) is None
            for (other, voice_name), voice in voices.items()
            for half in said
            if other != language and voice_name == first
        ]
    return (
        f"halves of a line by another voice: {sum(halves)} of {len(halves)} are found, their seam "
        f"within {max(seams, default=0):.2f} s; whole lines {sum(wholes)} of {len(wholes)}, halves "
        f"in other languages {sum(others)} of {len(others)} are taken for no part"
    )
