# SPDX-License-Identifier: GPL-3.0-or-later
"""The trained systems as engines, in torch: from a voice's features, seeds and a direction to
finished motions on the head."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ...direction import AXES, MOODS
from ...engine.network import unusable
from ...engine.systems.thunder import Performance, Thunder, VoiceFeatures
from ...errors import BadRequest
from ...files import hash_of
from ...progress import Progress
from ...request import FOLDER
from ...types import Motion
from . import load_system
from .denoisers import CLIP_PICTURE, ClipImages, PICTURE

_LEAST_REFERENCE = 25  # shortest reference for a style, frames
_MOOD_COUNT = len(MOODS) - 1  # moods besides neutral
# deviation of the brightness of a picture, 0 … 1, below which nothing is on it
_SHOWS_NOTHING = 0.01
_CLIP = "clip"  # folder beside the systems' weights: the user's CLIP network


class NetworkPerformer:
    """A trained system behind THUNDER's speech encoder, its motions finished as THUNDER's are."""

    def __init__(self, name: str, folder: Path, thunder: Thunder):
        self.name, self.folder, self.thunder = name, folder, thunder
        self.network = load_system(name, folder).to(thunder.device)
        path = folder / FOLDER / f"{name}.safetensors"
        if self.network.config.motion != thunder.columns.count:
            raise unusable(path, "was made for another head")
        if self.network.config.audio != thunder.denoiser.config.audio:
            raise unusable(path, "was trained with another speech encoder")
        self.fingerprint = hash_of(path)[:16]

    def perform(
        self, voice: VoiceFeatures, takes: Sequence[Performance], steps: int, guidance: float,
        progress: Progress,
        reference: np.ndarray | None = None,
    ) -> list[Motion]:  # fmt: skip
        """As `Performer`."""
        device, condition = self.thunder.device, None
        styles = [take.style for take in takes if take.style is not None]
        if styles:  # of Media2Face: the strength of every mood
            frames = max(len(style) for style in styles)
            moods = [
                np.broadcast_to(style[:, len(AXES) :], (frames, style.shape[1] - len(AXES)))
                for style in styles
            ]
            condition = torch.from_numpy(np.stack(moods).astype(np.float32)).to(device)
        if reference is not None:
            if (
                reference.ndim != 2
                or reference.shape[1] != self.thunder.columns.count
                or len(reference) < _LEAST_REFERENCE
            ):
                raise BadRequest(
                    "The motion that the style is taken from is none of this head, or shorter than "
                    "a second: choose another"
                )
            condition = self.network.condition_of(
                torch.from_numpy(reference.astype(np.float32))[None].to(device)
            )
        audio = torch.from_numpy(np.ascontiguousarray(voice.features))[None].to(device)
        return self.thunder.finish(
            self.network.sample(
                audio, [take.seed for take in takes], condition, steps, guidance, progress
            )
            .cpu()
            .numpy(),
            voice,
        )

    def moods_of(self, picture: np.ndarray) -> np.ndarray:
        """Of Media2Face: the strength of every mood but neutral, 0 … 1, in thousandths, that a grey
        picture of a face [h, w], 0 … 1, shows.

        Strengths [MOODS but neutral] that were read off a picture before are returned as they are.
        Raises BadRequest.
        """
        if picture.shape == (_MOOD_COUNT,) and (np.abs(picture - 0.5) <= 0.5).all():
            return picture
        if picture.std() < _SHOWS_NOTHING:
            raise BadRequest("The picture shows nothing, it has one colour: choose one of a face")
        if self.network.config.clip and self.network.clip is None:
            self.network.look_through(self._clip())
        size = CLIP_PICTURE if self.network.config.clip else PICTURE
        grey = torch.from_numpy(np.ascontiguousarray(picture, np.float32))[None, None].clamp(0, 1)
        grey = torch.nn.functional.interpolate(
            grey, (size, size), mode="bilinear", antialias=True, align_corners=False
        )[:, 0]
        seen = self.network.condition_of(grey.to(self.thunder.device))[0, 0]
        return np.round(seen.cpu().numpy().astype(np.float64), 3).astype(np.float32)

    def _clip(self) -> ClipImages:
        """The user's CLIP network. Raises BadRequest."""
        folder = self.folder / FOLDER / _CLIP
        if not folder.is_dir():
            raise BadRequest(
                f"This Media2Face sees pictures through a CLIP network: put its folder at "
                f"“{folder}”, or direct it by a mood"
            )
        return ClipImages(folder).to(self.thunder.device)
