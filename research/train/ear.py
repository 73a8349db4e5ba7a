# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's own ear (§4.2, 𝒜): a wav2vec 2.0 or HuBERT network of the user's, frozen, as features
for the systems of its comparison. The product hears through its own encoder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from research.train.corpus import SAMPLES_PER_FRAME
from thunder_core.errors import BadRequest
from thunder_core.files import hash_of

if TYPE_CHECKING:
    from research.train.motions import MotionSet

_CLASSES = {"wav2vec2": "Wav2Vec2Model", "hubert": "HubertModel"}  # of transformers, by model_type
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
# animation frames that are heard at once, and around them, so that long sounds need no more memory
_CHUNK, _MARGIN = 500, 50


class Ear(nn.Module):
    """Sounds at 16 kHz → features [frames, width] at 25 fps: the network's convolutions, linearly
    interpolated to the frames, then its transformer.

    folder: as `transformers` saves one; nothing is downloaded.  name: kind and checksum of its
    files.  Raises BadRequest.
    """

    def __init__(self, folder: Path):
        super().__init__()
        import transformers

        try:
            about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            kind = getattr(transformers, _CLASSES[about["model_type"]])
            self.network = kind.from_pretrained(str(folder), local_files_only=True)
            processor = folder / "preprocessor_config.json"
            taken = json.loads(processor.read_text()) if processor.is_file() else {}
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise BadRequest(
                f"“{folder}” holds no wav2vec 2.0 or HuBERT that transformers reads ({error!r}): "
                f"choose the folder of another"
            ) from error
        self.network.eval().requires_grad_(False)
        self.normalises = taken.get("do_normalize", True)
        files = [path for pattern in _WEIGHTS for path in sorted(folder.glob(pattern))]
        digest = hashlib.sha256("".join(map(hash_of, [folder / "config.json", *files])).encode())
        self.name = f"{about['model_type']} {digest.hexdigest()[:16]}"

    @property
    def width(self) -> int:
        """Features per frame."""
        return self.network.config.hidden_size

    @torch.no_grad()
    def forward(self, samples: np.ndarray, frames: int) -> np.ndarray:
        """Features float32 [frames, width] of a sound [n], which silence follows where it ends
        early."""
        if self.normalises:
            samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
        sound = np.zeros(frames * SAMPLES_PER_FRAME, np.float32)
        known = samples[: len(sound)]
        sound[: len(known)] = known
        heard = []
        for start in range(0, frames, _CHUNK):
            a, b = max(0, start - _MARGIN), min(frames, start + _CHUNK + _MARGIN)
            part = torch.from_numpy(sound[a * SAMPLES_PER_FRAME : b * SAMPLES_PER_FRAME])[None]
            seen = self.network.feature_extractor(part)
            seen = F.interpolate(seen, b - a, mode="linear", align_corners=True).transpose(1, 2)
            seen = self.network.feature_projection(seen)
            # wav2vec 2.0 returns what was projected, too
            seen = seen[0] if isinstance(seen, tuple) else seen
            hidden = self.network.encoder(seen).last_hidden_state[0]
            heard.append(hidden[start - a : start - a + _CHUNK].numpy())
        return np.concatenate(heard)


def hear_by(motions: MotionSet, ear: Ear, folder: Path) -> Path:
    """Give a motion set the features of an ear; they are kept in the returned file of a folder, and
    what is there of a run that was stopped goes on."""
    path, width = folder / f"ear {ear.name}.f16", ear.width
    with path.open("ab") as file:
        done, left = 0, motions.rows
        while left and 2 * width * (left[0].start + left[0].frames) <= file.tell():
            done, left = done + 1, left[1:]
        file.truncate(2 * width * (left[0].start if left else len(motions.features)))
        for number, row in enumerate(tqdm(left, desc="hearing the corpus", mininterval=10), done):
            features = ear(motions.samples(number, 0, row.frames), row.frames)
            file.write(features.astype(np.float16).tobytes())
            file.flush()
    motions.use_features(np.memmap(path, np.float16, "r").reshape(-1, width), ear.name)
    return path
