# SPDX-License-Identifier: GPL-3.0-or-later
"""The three verbs everything above calls: generate takes from a sound, score a motion, listen to a motion."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .engines.thunder import Thunder
from .errors import BadRequest
from .face.flame import opening_mm, width_mm
from .face.head import Head, load_head
from .m2s.model import MeshToSpeech
from .m2s.mouth import Mouth
from .m2s.score import grade
from .m2s.vocoder import speak
from .speech.audio import sound_hash
from .speech.encoder import LOUDNESS
from .speech.speaker import SpeakerEncoder
from .types import FPS, RATE, LipSyncScore, Motion, Speech, Take
from .weights import fingerprint

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
Progress = Callable[[float, str], None]
_M2S_WINDOW, _M2S_MARGIN = 500, 50  # frames heard at once, and the context on either side


def _quiet(fraction: float, message: str) -> None:
    """Progress that nobody watches."""


class Engine:
    """Everything that is loaded: head, encoder, diffusion model, mesh-to-speech, speaker network."""

    def __init__(self, folder: Path, device: str):
        self.folder, self.device = folder, device
        self.head: Head = load_head(folder / "head.npz")
        self.thunder = Thunder(folder, device, self.head.expression_names)
        self.mouth = Mouth(self.head).to(device)
        m2s, self.scale = MeshToSpeech.load(folder)
        self.m2s = m2s.to(device)
        self.speaker = SpeakerEncoder.load(folder).to(device)
        self.weights = fingerprint(folder)

    @classmethod
    def load(cls, weights: str | Path | None = None, device: str | None = None) -> Engine:
        """Load the weights in a folder (default: the embedded ones) on "cpu", "cuda:0" … (default: GPU if there is one).

        Raises BadWeights, BadHead.
        """
        device = device or ("cuda:0" if torch.cuda.is_available() else "cpu")
        return cls(Path(weights) if weights else WEIGHTS, device)

    def info(self) -> dict:
        """What hello answers: engine, device, fingerprint of the weights, channel names, library versions."""
        return {
            "engine": self.thunder.name,
            "device": self.device,
            "weights": self.weights,
            "channels": list(self.head.expression_names),
            "versions": {name: importlib.metadata.version(name) for name in ("torch", "torchaudio", "transformers", "diffusers")},
        }

    def generate(
        self, speech: Speech, takes: int, seed: int, steps: int = 20, guidance: float = 1.0, progress: Progress = _quiet
    ) -> list[Take]:
        """Sample `takes` performances of a sound, best lip-sync first; take i has seed `seed` + i.

        `progress` is called with (0 … 1, what is going on) before each step and may raise to cancel.
        """
        samples = self._samples(speech)
        progress(0.02, "Listening to the voice")
        features, units, spoken = self.thunder.hear(samples, speech.frames)
        seeds = [seed + i for i in range(takes)]
        of = f"{takes} take{'s' if takes > 1 else ''}"
        motions = self.thunder.perform(
            features, spoken, seeds, steps, guidance, lambda x: progress(0.08 + 0.82 * x, f"Sampling {of}")
        )
        progress(0.9, "Ranking by lip-sync")
        scores = self._grade(motions, units, features[:, -LOUDNESS:], progress)
        about = {"engine": self.thunder.name, "weights": self.weights, "audio": sound_hash(speech), "steps": steps, "guidance": guidance}
        found = [
            Take(m, s, score, opening_mm(self.head, m), width_mm(self.head, m), about | {"seed": s, "score": score.total})
            for m, s, score in zip(motions, seeds, scores)
        ]
        return sorted(found, key=lambda t: (-t.score.total, t.seed))

    def score(self, speech: Speech, motion: Motion) -> LipSyncScore:
        """How well a motion says a sound. Both start together; the shorter of the two is compared."""
        motion = self._checked(motion)
        frames = min(motion.frames, speech.frames)
        features, units, _ = self.thunder.hear(self._samples(speech), speech.frames)
        motion = Motion(motion.expression[:frames], motion.jaw[:frames])
        return self._grade([motion], units[: 2 * frames], features[:frames, -LOUDNESS:], _quiet)[0]

    def listen(self, motion: Motion, voice: Speech | None = None) -> Speech:
        """What a motion says, in the voice of `voice` (None: nobody's in particular), as sound of the same length."""
        motion = self._checked(motion)
        if voice is None:
            speaker = torch.full((256,), 256**-0.5, device=self.device)
        else:
            speaker = self.speaker.embed(self._samples(voice).to(self.device))
        _, mel = self._hear_motion(motion, speaker)
        sound = speak(mel)[: round(motion.frames / FPS * RATE)]
        return Speech(sound.cpu().numpy().astype(np.float32), RATE)

    @torch.no_grad()
    def _hear_motion(self, motion: Motion, speaker: Tensor) -> tuple[Tensor, Tensor]:
        """Motion → (unit logits [2T, units], mel [4T, 80]), window by window so that length costs no memory."""
        expression, jaw = (torch.from_numpy(np.ascontiguousarray(x, np.float32)).to(self.device) for x in (motion.expression, motion.jaw))
        logits, mels = [], []
        for start in range(0, motion.frames, _M2S_WINDOW):
            end = min(start + _M2S_WINDOW, motion.frames)
            a, b = max(0, start - _M2S_MARGIN), min(motion.frames, end + _M2S_MARGIN)
            u, m = self.m2s(self.mouth(expression[None, a:b], jaw[None, a:b]), speaker[None])
            logits.append(u[0, 2 * (start - a) : 2 * (end - a)])
            mels.append(m[0, 4 * (start - a) : 4 * (end - a)])
        return torch.cat(logits), torch.cat(mels)

    def _grade(self, motions: list[Motion], units: Tensor, loudness: Tensor, progress: Progress) -> list[LipSyncScore]:
        nobody = torch.zeros(256, device=self.device)  # units do not depend on the voice
        scores = []
        for i, motion in enumerate(motions):
            progress(0.9 + 0.1 * i / len(motions), "Ranking by lip-sync")
            logits, _ = self._hear_motion(motion, nobody)
            scores += grade(self.m2s, logits[None], units, loudness, self.scale)
        return scores

    def _samples(self, speech: Speech) -> Tensor:
        if speech.rate != RATE:
            raise BadRequest(f"The engine hears sound at {RATE} Hz, this one has {speech.rate}. Read it with read_sound.")
        return torch.from_numpy(np.ascontiguousarray(speech.samples, np.float32))

    def _checked(self, motion: Motion) -> Motion:
        n = self.head.channels
        if motion.frames < 1 or motion.expression.shape != (motion.frames, n) or motion.jaw.shape != (motion.frames, 3):
            raise BadRequest(f"The motion does not have this head's {n} channels and a jaw. Take it from a head that THUNDER made.")
        if not (np.isfinite(motion.expression).all() and np.isfinite(motion.jaw).all()):
            raise BadRequest("The motion holds values that are not numbers. Look for broken keys on the head.")
        return motion
