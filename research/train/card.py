# SPDX-License-Identifier: GPL-3.0-or-later
"""The weights' card, weights/README.md: written from the JSON beside each file, so that it cannot
disagree with them."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from research.train.corpus import TEST_SPEAKERS, voices_in_words
from thunder_core.engine.planning.mouth_map import CONSTANTS
from thunder_core.engine.planning.people import NUMBERS
from thunder_core.files import hash_of, write_file
from thunder_core.shipped import fingerprint_of, WEIGHTS
from thunder_core.weight_files import _files, SUMS

SHOWN = 6  # figures of a file that the page has; the JSON beside it has all
HEAD = """# Weights

Networks are trained here unless their row names another source. Files are safetensors, in halves, beside a JSON with configuration and all figures; reading them
runs no code. `python -m research sculpt` makes the heads again, bit for bit. The engine says where a file differs from `SHA256SUMS`.

| file | what | MB | steps | commit | figures |
|---|---|---|---|---|---|
"""  # noqa: E501

HEADS = """

`head.npz` (sha256 {}…) is the default head, `head_*.npz` are others by the same sculptor, `m2s_mouth.npz` is what mouth2s learned on.
"""  # noqa: E501

TAIL = """
## Data

- LibriSpeech excerpts: 8.5 hours, CC BY 4.0
- LJSpeech excerpts: 0.3 hours, public domain
- speechocean762 excerpts, Mandarin-native speakers of English: 0.6 hours, free for any use
- AN4 and LibriVox samples: 0.02 hours, any purpose, public domain
- GRID excerpts, 9 speakers: 0.3 hours with measured lips, CC BY 4.0 (M. Cooke, J. Barker, S. Cunningham and X. Shao, 2006; landmarks tracked, sound re-encoded)
{sounds}
Phones of recordings are pocketsphinx alignments. Ten LibriSpeech test-other speakers (533 367 3331 3080 3005 2609 2414 2033 1998 1688) train
nothing and give the figures above; those of the distilled model are of validation voices. Progress was watched on the ten too,
so figures are a little flattering. Motion is the teacher's, whose mouths follow a map of what the encoder hears (`mouth_map.json`): {count} constants,
fitted to the mouths of {faces} of 65 speakers, straightened (r left out {opening} for opening, {width} for width, of the other 15 {check_opening} and {check_width}),
which scores compare takes with; {heard}. Heads, brows, lids and eyes move by {people} numbers of the 34 (`people.json`).
In 5 % of what the diffusion model drew the teacher performed the lips of GRID's speakers. {drawn}No network was trained on other footage.

## Make them again

```
python -m research train grid DATA/grid GRID       # recordings with measured lips
python -m research train corpus FOLDER…        # folders with sounds, transcripts.tsv, alignments.tsv; GRID too
python -m research train speaker resemblyzer/pretrained.pt
python -m research train encoder --adopt model.bin --whisper 3 --steps 1500
python -m research train --seed 2 encoder --adopt model.bin --whisper 3 --start weights --steps 550 --rate 6e-4
python -m research train calibrate DATA            # optional: the constants are in the repository
python -m research train hear
python -m research train animate
python -m research train denoiser --start EARLIER --steps {denoiser} --rate 6e-4 --people .05{foreign}
python -m research train distil --lines 960 --steps {distilled}
python -m research train takes --filmed GRID
python -m research train m2s --start EARLIER --steps {m2s} --rate 3e-4 --people .2 --takes .5
python -m research train vocoder --start EARLIER --steps {vocoder} --rate 5e-4
python -m research train graphs
python -m research train card
```

`model.bin` is Whisper base as CTranslate2 stores it (sha256 d01c3014881c9c6f…; MIT, `LICENSE-whisper`): its filter banks, convolutions and first
three layers stay as they are. Its second run, the diffusion model (`--batch 24`) and mesh-to-speech by `torchrun --nproc-per-node 2 -m -- …
--threads 1`, vocoder on an H100, the others on two cores (diffusion model 60 minutes, mesh-to-speech 25, distilled model 13). EARLIER has the
weights before them, which learned earlier teachers: mesh-to-speech for 10,700 steps, the diffusion model for 62,600.
"""  # noqa: E501


# What the page says of a diffusion model by whether it hears the map of mouths: those that do were
# trained on sounds in noise, and on more accents.
BY_MAP = {
    False: {
        "sounds": "",
        "heard": "these networks learned from the map of 34 of them, as tracked",
        "drawn": "",
        "foreign": "",
    },
    True: {
        "sounds": "- FACEGOOD-Audio2Face's sounds, one speaker of Mandarin: 0.2 hours, MIT\n",
        "heard": "the diffusion model hears it beside the sound",
        "drawn": "A tenth was by people who did not grow up with English,\n"
        "and half of the sounds were heard in noise, in rooms and on telephones. ",
        "foreign": " --foreign speechocean762 mandarin",
    },
}


OWN_TAIL = """
## Data

Learned from recordings of one's own:

{learned}

Copied from the weights that ship, with sha256: {copied}.

{voices}. Figures are of the speakers that test, those of the distilled model of the speakers that validate.
Motion that nobody captured is the teacher's (`research/train/teacher.py`).
"""  # noqa: E501


def _is_copied(path: Path, card: dict) -> bool:
    """Whether a network is one that ships: the same file, not trained again in its place."""
    shipped = WEIGHTS / path.name
    trained_again = set(card.get("voices", {}).get("test", TEST_SPEAKERS)) != TEST_SPEAKERS
    return not trained_again and shipped.exists() and hash_of(path) == hash_of(shipped)


def _learned(name: str, card: dict) -> str:
    """A line of the page about how a network was trained."""
    facts = ("stage", "steps", "seed", "rate", "start")
    how = [f"{fact} {card[fact]}" for fact in facts if card.get(fact)]
    how += [f"{minutes} minutes of {folder}" for folder, minutes in card.get("minutes", {}).items()]
    return f"- `{name}`: {card['what']}; {card['data']}; {', '.join(how)}"


def write_card(weights: Path) -> Path:
    """Write weights/README.md from the cards of all files in `weights`."""
    lines, steps, learned, copied = [], {}, [], []
    voices: dict[str, Any] = {}
    hears_map = False
    for path in sorted(weights.glob("*.safetensors")):
        about = json.loads(path.with_suffix(".json").read_text())
        card, hears_map = about["card"], hears_map or about["config"].get("mouth", 0) > 0
        steps[path.stem] = card.get("steps", "")
        if _is_copied(path, card):
            copied.append(f"`{path.stem}` ({hash_of(path)[:16]}…)")
        else:
            voices = card.get("voices", voices)
            learned.append(_learned(path.stem, card))
        figures = ", ".join(f"{k} {v}" for k, v in list(card["figures"].items())[:SHOWN])
        origin = f"{card.get('steps', '')} | {card.get('commit', '')}"
        lines.append(
            f"| `{path.name}` | {card['what']}; {card['data']} | {path.stat().st_size / 1e6:.1f} "
            f"| {origin} | {figures} |"
        )
    fitted = json.loads(CONSTANTS.read_text())
    measured = fitted["figures"]
    left_out, checked = (
        {f"{prefix}{name}": measured[f"heard, {name}, r {part}"] for name in ("opening", "width")}
        for prefix, part in (("", "left_out"), ("check_", "check"))
    )
    of_stages = {k: steps.get(k, "") for k in ("m2s", "vocoder", "denoiser", "distilled")}
    tail = TAIL.format(
        count=count_constants(), people=count_people(), faces=fitted["faces"], **left_out, **checked,
        **of_stages, **BY_MAP[hears_map],
    )  # fmt: skip
    if learned:  # not from the data that the tail describes
        tail = OWN_TAIL.format(
            learned="\n".join(learned), copied=", ".join(copied) or "nothing",
            voices=voices_in_words(voices) if voices else "Pieces that were held out test",
        )  # fmt: skip
    out = weights / "README.md"
    out.write_text(
        HEAD + "\n".join(lines) + HEADS.format(hash_of(weights / "head.npz")[:16]) + tail
    )
    return out


def count_constants() -> int:
    """Number of constants measured on real faces."""
    data = json.loads(CONSTANTS.read_text())
    parts = (data[what] for what in ("heard", "phones", "residual", "person"))
    return sum(np.size(value) for part in parts for value in part.values())


def count_people() -> int:
    """Number of constants of how they move head, brows, lids and gaze."""
    rows = json.loads(NUMBERS.read_text())["numbers"].values()
    return sum(np.size(row["value"]) for row in rows)


def write_sums(folder: Path) -> Path:
    """Write the fingerprint of a folder's weights, as a comment, and the SHA-256 of every file, in
    the format that `sha256sum --check` reads."""
    rows = [f"{hash_of(path)}  {path.name}\n" for path in _files(folder)]
    write_file(folder / SUMS, "".join([f"# fingerprint {fingerprint_of(folder)}\n", *rows]))
    return folder / SUMS
