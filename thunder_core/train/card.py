# SPDX-License-Identifier: GPL-3.0-or-later
"""The weights' card: weights/README.md, written from the JSON beside each file so that it cannot disagree with them."""

from __future__ import annotations

import json
from pathlib import Path

from ..engine.m2s import TRAINED_MOUTH
from ..files import hash_of
from .corpus import TEST_SPEAKERS, voices_in_words
from .lip_kernels import count, KERNELS

HEAD = """# Weights

Made by `python -m thunder_core.train` and `python -m research train`, stage by stage; nothing pretrained but the speaker network. Files are
safetensors beside a JSON with configuration and card; reading them runs no code. `head.npz` is the default head in
FLAME layout, `head_*.npz` are other people with the same mesh and keys; every array is regenerated bit for bit by
`python -m research sculpt`.
`SHA256SUMS` lists what was released (`python -m thunder_core.train card` writes it): the engine says where a file of
this folder differs.

| file | what | MB | steps | seed | commit | figures |
|---|---|---|---|---|---|---|
"""

TAIL = """
## Data

| corpus | hours | licence |
|---|---|---|
| LibriSpeech excerpts (train-clean-5, 20 speakers of dev-clean, parts of train-clean-100) | 7.9 | CC BY 4.0 |
| LJSpeech excerpts | 0.3 | public domain |
| speechocean762 excerpts, 250 Mandarin-native speakers of English | 0.6 | free for commercial and non-commercial use |
| AN4, LibriVox samples | 0.03 | any purpose; public domain |
| synthetic voices with exact phone times: flite (slt, rms, awb; kal16 validates) stretched 0.75–1.35, espeak-ng in a dozen languages, 110–230 words a minute, any pitch | 1.0 | the voices' free licences |

Phones of the recordings are pocketsphinx alignments, those of the synthetic voices are exact. Speakers are in one
split only; the ten LibriSpeech test-other speakers (533 367 3331 3080 3005 2609 2414 2033 1998 1688) train nothing and
give all figures above but those of the distilled model and the judge, which are of validation voices. While these weights were trained, the progress of all but
the judge was watched on the ten too, so the figures are a little flattering. Motion is the teacher's (`thunder_core/train/teacher.py`), three performances a
clip, each in a style of its own.

The teacher's constants: `thunder_core/train/lip_kernels.json`, {count} numbers — how 40 phones within ±160 ms, loudness and the
encoder's features within ±80 ms move mouth opening and width — fitted by ridge regression to measured curves of short clips of
real speakers ({fitted_on} of 38): {figures}. Sizes and rates of nods, poses, brows, blinks,
looks and breath, about a hundred numbers in `engine/planning` and `teacher_upper_face.py`, were set by hand
beside those of all 13 (`research/habits.py`). A linear map of two inner layers of the encoder (`opening.safetensors`; 448 numbers, of 64
main directions of these layers within ±120 ms) was fitted to the split `fit` for the score. No network was trained on footage.

## Make them again

```
python -m thunder_core.train corpus FOLDER…        # folders with sounds, transcripts.tsv, alignments.tsv
python -m research train speaker resemblyzer/pretrained.pt
torchrun --nproc-per-node 2 -m -- research train --threads 1 encoder --start weights --steps {encoder} --rate 5e-4
python -m research train calibrate DATA            # optional: the constants are in the repository
python -m thunder_core.train hear --same-units
python -m thunder_core.train animate
torchrun --nproc-per-node 2 -m -- thunder_core.train --threads 1 denoiser --start weights --steps 2100 --rate 8e-4
torchrun --nproc-per-node 2 -m -- thunder_core.train --threads 1 m2s --start weights --steps {m2s} --rate 5e-4
torchrun --nproc-per-node 2 -m -- thunder_core.train --threads 1 denoiser --m2s mouth --start weights --steps {denoiser} --rate 4e-4
python -m research train vocoder --steps {vocoder}
python -m thunder_core.train distil --lines 800 --steps {distilled}
python -m research train opening LIPS
python -m thunder_core.train takes --clips 90
python -m thunder_core.train judge --steps {judge}
python -m thunder_core.train graphs
python -m thunder_core.train card
```

Every stage resumes where it was stopped. Encoder, m2s and the denoiser did not start from nothing but (`--start`) from those
distributed before: the encoder 6000 steps, m2s 4380, the denoiser 11,820, on performances of earlier teachers. All on two CPU cores:
the steps above in about two hours, those before in about ten. The vocoder is that of before.
"""  # noqa: E501


OWN_TAIL = """
## Data

{files} learned from recordings of one's own; the other files are as Thunder ships them. {voices}. Figures are of
the speakers that test, those of the distilled model and the judge of the speakers that validate. Motion is the teacher's
(`thunder_core/train/teacher.py`).
"""


def write_card(weights: Path) -> Path:
    """Write weights/README.md from the cards of all files in `weights`."""
    lines, steps, voices, own = [], {}, {}, []
    for path in sorted(weights.glob("*.safetensors")):
        card = json.loads(path.with_suffix(".json").read_text())["card"]
        steps[path.stem] = card.get("steps", "")
        if "voices" in card:
            voices = card["voices"]
            own.append(path.stem)
        figures = ", ".join(f"{k} {v}" for k, v in card["figures"].items())
        size = path.stat().st_size / 1e6
        lines.append(
            f"| `{path.name}` | {card['what']}; {card['data']} | {size:.1f} | {card.get('steps', '')} | {card.get('seed', '')} "
            f"| {card.get('commit', '')} | {figures} |"
        )
    others = {weights / "head.npz": f"default head, sha256 {hash_of(weights / 'head.npz')[:16]}…"}
    for person in sorted(weights.glob("head_*.npz")):
        others[person] = f"another head from the same sculptor: {person.stem.removeprefix('head_').replace('_', ' ')}"
    if (mouth := weights / TRAINED_MOUTH).is_file():
        others[mouth] = "the mouth whose movements mouth2s learned"
    lines += [f"| `{path.name}` | {what} | {path.stat().st_size / 1e6:.1f} | | | | |" for path, what in others.items()]
    kernels = json.loads(KERNELS.read_text())
    figures = ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in kernels["figures"].items())
    of_stages = {k: steps.get(k, "") for k in ("encoder", "m2s", "judge", "vocoder", "denoiser", "distilled")}
    tail = TAIL.format(count=count(), fitted_on=kernels["fitted_on"], figures=figures, **of_stages)
    if voices and set(voices["test"]) != TEST_SPEAKERS:  # not the data that the tail describes
        tail = OWN_TAIL.format(files=", ".join(own), voices=voices_in_words(voices))
    out = weights / "README.md"
    out.write_text(HEAD + "\n".join(lines) + "\n" + tail)
    return out
