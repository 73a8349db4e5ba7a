# SPDX-License-Identifier: GPL-3.0-or-later
"""Systems that are denoisers: THUNDER's as the paper compares it, DiffPoseTalk (Sun et al. 2024)
and Media2Face (Zhao et al. 2024).

Both others have one condition besides the sound, as an extra token: a frame's keys are its speech,
the diffusion step, and the condition at that frame. All else is as in THUNDER's denoiser.

- DiffPoseTalk's is a style token that a style encoder reads off a reference motion. That encoder is
trained first, contrastively: two
  stretches of one performance belong together, stretches of others do not.
- Media2Face's is an emotion at key frames, given as a label or as a picture of a face. A label is
the strength of every mood
  (`direction.MOODS` but neutral); an image encoder reads the same numbers off a picture. It is a
  small network of ours, or reads the features of the user's local CLIP network.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, Tensor

from research.systems.regressors import ParallelLayer
from thunder_core.direction import MOODS, NEUTRAL
from thunder_core.engine.diffusion import (
    BETA,
    Denoise,
    in_windows,
    Normal,
    sample,
    seeded_noise,
    STEPS,
    windows,
)
from thunder_core.errors import BadRequest
from thunder_core.networks.denoiser import (
    alibi_bias,
    alibi_slopes,
    DecoderLayer,
    DenoiserNetwork,
    DiagonalCrossAttention,
    Standardised,
    step_embedding,
)
from thunder_core.progress import no_progress, Progress

LABELS = tuple(name for name in MOODS if name != NEUTRAL)
_LEAST_CONTRAST = 0.05  # deviation that is added to a picture's, so that an empty one stays empty
# pixels: width and height of the image encoder's grey input, and of pictures that are enlarged for
# CLIP
PICTURE, CLIP_PICTURE = 48, 96
# RGB statistics of CLIP's training images
_MEAN, _DEVIATION = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


@dataclass(frozen=True)
class ConditionedConfig:
    """Sizes of a conditioned denoiser, as its card stores them."""

    motion: int
    audio: int
    condition: int  # width of the condition
    width: int = 128
    layers: int = 8
    heads: int = 4
    feedforward: int = 512


class TokenCrossAttention(DiagonalCrossAttention):
    """Attention of frame t to its audio frame and to tokens that belong to frame t (or to all),
    without a T × T matrix."""

    def forward(self, x: Tensor, *sources: Tensor) -> Tensor:
        """x [B, T, width]; sources: keys of each frame, each [B or 1, T or 1, width] → [B, T,
        width]."""
        query = self.q(x).unflatten(-1, (self.heads, -1))
        keys, values = zip(*map(self.read, sources))
        logits = torch.stack([(query * key).sum(-1) for key in keys], -1) * self.scale
        share = logits.softmax(-1).unbind(-1)
        return self.out(
            sum(part[..., None] * value for part, value in zip(share, values)).flatten(-2)
        )


def ancestral_sample(denoise: Denoise, noise: np.ndarray, normal: Normal) -> np.ndarray:
    """From ε [B, T, C] to x_0 [B, T, C] in STEPS draws from q(x̃_{d−1} | x̃_d, x̂_0), noise from
    `normal`.

    With β_d, α_d = 1 − β_d and ᾱ_d = Π α the draw is normal, of variance β̃_d = β_d (1 − ᾱ_{d−1}) /
    (1 − ᾱ_d) and mean √ᾱ_{d−1} β_d / (1 − ᾱ_d) · x̂_0 + √α_d (1 − ᾱ_{d−1}) / (1 − ᾱ_d) · x̃_d. The
    last one has no noise.
    """
    beta = np.linspace(*BETA, STEPS)
    after = np.cumprod(1 - beta)  # ᾱ_d
    before = np.append(1.0, after[:-1])  # ᾱ_{d−1}
    of_estimate = (np.sqrt(before) * beta / (1 - after)).tolist()
    of_noisy = (np.sqrt(1 - beta) * (1 - before) / (1 - after)).tolist()
    deviation = np.sqrt(beta * (1 - before) / (1 - after)).tolist()
    x = noise
    for d in reversed(range(STEPS)):
        x = of_estimate[d] * denoise(x, d) + of_noisy[d] * x
        if d:
            x = x + deviation[d] * normal.draw(*x.shape)
    return x


@torch.no_grad()
def sample_denoised(
    network, audio: Tensor, seeds: Sequence[int], condition: Tensor | None = None, steps: int = 20,
    guidance: float = 1.0,
    progress: Progress = no_progress,
) -> Tensor:  # fmt: skip
    """Packed motions [S, T, C] (`systems`) by DPM-Solver++ through a denoiser, with classifier-free
    guidance of the sound (§4.2).

    condition: [S or 1, T or 1, c], None for any.  steps: of the solver; STEPS are all there are,
    sampled as the paper does, one draw after the other (then a motion depends on how many are
    sampled with it).
    """
    frames, device, done = audio.shape[1], audio.device, itertools.count()
    total = steps * len(windows(frames))
    hide = torch.ones(1, dtype=torch.bool, device=device)
    per_frame = condition is not None and condition.shape[1] > 1

    def denoise(x: np.ndarray, step: int, a: int, b: int) -> np.ndarray:
        progress(next(done) / total)
        part = condition[:, a:b] if per_frame else condition
        mixed = torch.from_numpy(np.ascontiguousarray(x)).to(device)
        now = torch.tensor([step], device=device)
        x0 = network(mixed, now, audio[:, a:b], style=part)
        if guidance != 1.0:
            x0 = guidance * x0 + (1 - guidance) * network(mixed, now, audio[:, a:b], hide, part)
        return x0.cpu().numpy()

    noise = seeded_noise(seeds, frames, network.config.motion)
    denoise_line = in_windows(denoise, frames)

    motions = (
        ancestral_sample(denoise_line, noise, Normal(seeds[0]))
        if steps == STEPS
        else sample(denoise_line, noise, steps)
    )
    return network.restore(torch.from_numpy(motions).to(device))


class ConditionedDenoiser(Standardised):
    """Noisy standardised motion [B, T, C], step [B], speech features [B, T, d], condition [B, 1 or
    T, c] → x̂_0 [B, T, C]."""

    Config = ConditionedConfig

    def __init__(self, config: ConditionedConfig):
        super().__init__(config)
        w = config.width
        self.motion_in, self.audio_in = nn.Linear(config.motion, w), nn.Linear(config.audio, w)
        self.step_in = nn.Sequential(nn.Linear(w, w), nn.SiLU(), nn.Linear(w, w))
        self.condition_in = nn.Sequential(
            nn.Linear(config.condition, w), nn.SiLU(), nn.Linear(w, w)
        )
        self.no_audio = nn.Parameter(torch.zeros(config.audio))
        self.no_condition = nn.Parameter(torch.zeros(config.condition))
        self.layers = nn.ModuleList(
            DecoderLayer(config, TokenCrossAttention) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(w)
        self.motion_out = nn.Linear(w, config.motion)
        self.slopes = nn.Buffer(alibi_slopes(config.heads), persistent=False)

    def forward(
        self, x: Tensor, step: Tensor, audio: Tensor, silent: Tensor | None = None,
        style: Tensor | None = None,
        free: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Estimate x̂_0 of a noisy motion x; arguments as `networks.denoiser.DenoiserNetwork`, of which
        `style` is the condition."""
        audio = self.standardise_audio(audio)
        if silent is not None:
            audio = torch.where(silent[:, None, None], self.no_audio, audio)
        known_condition = self.no_condition[None, None] if style is None else style
        if style is not None and free is not None:
            known_condition = torch.where(free[:, None, None], self.no_condition, known_condition)
        sources = (
            self.audio_in(audio),
            self.step_in(step_embedding(step, self.config.width))[:, None],
            self.condition_in(known_condition),
        )
        y, bias = self.motion_in(x), alibi_bias(x.shape[1], self.slopes)
        for layer in self.layers:
            y = layer(y, bias, *sources)
        return self.motion_out(self.norm(y))

    sample = sample_denoised


class PlainThunder(DenoiserNetwork):
    """THUNDER as compared in the paper: the denoiser alone, conditioned on sound only; Blender uses
    `thunder`. Weights of the one that performs in Blender fit too, but hear no map of mouths."""

    name = "thunder"
    sample = sample_denoised


@dataclass(frozen=True)
class DiffPoseTalkConfig(ConditionedConfig):
    """Sizes of a DiffPoseTalk, as its card stores them. condition: width of the style token."""

    condition: int = 128
    style_layers: int = 3


class StyleEncoder(nn.Module):
    """Standardised motion [B, T, C] of any length → style token [B, condition] of length 1."""

    def __init__(self, motion: int, style: int, layers: int, heads: int = 4):
        super().__init__()
        self.motion_in = nn.Linear(2 * motion, style)
        self.layers = nn.ModuleList(ParallelLayer(style, heads, 2 * style) for _ in range(layers))
        self.style_out = nn.Linear(2 * style, style)
        self.slopes = nn.Buffer(alibi_slopes(heads), persistent=False)

    def forward(self, motion: Tensor) -> Tensor:
        """motion [B, T, C], standardised, T of at least 2."""
        change = F.pad(motion.diff(dim=1), (0, 0, 0, 1))
        x = self.motion_in(torch.cat([motion, change], -1))
        y, bias = x, alibi_bias(x.shape[1], self.slopes)
        for layer in self.layers:
            y = layer(y, x, bias)
        return F.normalize(self.style_out(torch.cat([y.mean(1), y.std(1)], -1)), dim=-1)


class DiffPoseTalk(ConditionedDenoiser):
    """A conditioned denoiser, and the frozen style encoder that gives its condition."""

    name = "diffposetalk"
    Config = DiffPoseTalkConfig

    def __init__(self, config: DiffPoseTalkConfig):
        super().__init__(config)
        self.style_encoder = StyleEncoder(config.motion, config.condition, config.style_layers)

    @torch.no_grad()
    def condition_of(self, motion: Tensor) -> Tensor:
        """The style token [B, 1, c] of packed reference motions [B, T, C]."""
        return self.style_encoder(self.standardise(motion))[:, None]


@dataclass(frozen=True)
class Media2FaceConfig(ConditionedConfig):
    """Sizes of a Media2Face, as its card stores them.

    condition: the strength of each label.  clip: features of a CLIP network per picture, 0 if our
    encoder is used.  varied: whether the image encoder learned from varied pictures, and reads them
    at one brightness and contrast; earlier ones learned from one view.
    """

    condition: int = len(LABELS)
    clip: int = 0
    varied: bool = False


class ImageEncoder(nn.Module):
    """Grey pictures of a face [B, 48, 48], 0 … 1 → strength of every label [B, LABELS], 0 … 1.

    even: whether all pictures are brought to one brightness and contrast first.
    """

    def __init__(self, labels: int = len(LABELS), even: bool = False):
        super().__init__()
        self.even = even
        layers: list[nn.Module] = []
        for a, b in ((1, 16), (16, 32), (32, 64)):
            layers += [nn.Conv2d(a, b, 5, stride=2, padding=2), nn.GroupNorm(8, b), nn.GELU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(64 * 6 * 6, 128), nn.GELU(), nn.Linear(128, labels))

    def forward(self, pictures: Tensor) -> Tensor:
        """Strengths [B, LABELS] of pictures [B, 48, 48]."""
        x = 2 * pictures[:, None] - 1
        if self.even:
            x = (x - x.mean((2, 3), keepdim=True)) / (x.std((2, 3), keepdim=True) + _LEAST_CONTRAST)
        return self.head(self.body(x).flatten(1)).sigmoid()


class ClipImages(nn.Module):
    """Grey pictures [B, h, w], 0 … 1 → CLIP's image features [B, width] of length 1. The network is
    the user's, never saved with ours.

    folder: as `transformers` saves one (config.json and model.safetensors); nothing is downloaded.
    Raises BadRequest.
    """

    def __init__(self, folder: Path):
        super().__init__()
        from transformers import CLIPVisionModelWithProjection

        try:
            self.network = CLIPVisionModelWithProjection.from_pretrained(
                str(folder), local_files_only=True, use_safetensors=True
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise BadRequest(
                f"The CLIP network in “{folder}” cannot be read ({error}): choose another folder"
            ) from error
        self.network.eval().requires_grad_(False)
        self.mean = nn.Buffer(torch.tensor(_MEAN)[:, None, None], persistent=False)
        self.deviation = nn.Buffer(torch.tensor(_DEVIATION)[:, None, None], persistent=False)

    @property
    def width(self) -> int:
        """Features per picture."""
        return self.network.config.projection_dim

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> Tensor:
        size = self.network.config.image_size
        grey = nn.functional.interpolate(
            pictures[:, None].float(), (size, size), mode="bicubic", align_corners=False
        ).clamp(0, 1)
        seen = self.network(
            pixel_values=(grey.expand(-1, 3, -1, -1) - self.mean) / self.deviation
        ).image_embeds
        return nn.functional.normalize(seen.float(), dim=-1)


class ClipReader(nn.Module):
    """CLIP's features of a picture [B, width] → strength of every label [B, LABELS], 0 … 1."""

    def __init__(self, width: int, labels: int = len(LABELS)):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(width, 128), nn.GELU(), nn.Linear(128, labels))

    def forward(self, seen: Tensor) -> Tensor:
        """Strengths [B, LABELS] of pictures; features of length 1 are scaled to about one per
        feature."""
        return self.body(seen * seen.shape[-1] ** 0.5).sigmoid()


class Media2Face(ConditionedDenoiser):
    """A conditioned denoiser and the frozen image encoder that reads a condition off a picture."""

    name = "media2face"
    Config = Media2FaceConfig

    def __init__(self, config: Media2FaceConfig):
        super().__init__(config)
        self.image_encoder = (
            ClipReader(config.clip, config.condition)
            if config.clip
            else ImageEncoder(config.condition, config.varied)
        )
        self.__dict__["clip"] = None  # no part of the network: it is not saved

    def look_through(self, clip: nn.Module) -> None:
        """Give the CLIP network (`ClipImages`) whose features it learned to read. Raises BadRequest
        for another one."""
        if clip.width != self.config.clip:
            raise BadRequest(
                f"This CLIP network says {clip.width} numbers of a picture where "
                f"{self.config.clip} are read: choose another"
            )
        self.__dict__["clip"] = clip

    def encoder_input(self, pictures: Tensor) -> Tensor:
        """Input of the image encoder for grey pictures [B, h, w]: the pictures, or the features of
        the CLIP network that was given (`look_through`)."""
        return self.clip(pictures) if self.config.clip else pictures

    @torch.no_grad()
    def condition_of(self, pictures: Tensor) -> Tensor:
        """The condition [B, 1, c] of grey pictures [B, h, w], of 48 pixels for our encoder."""
        return self.image_encoder(self.encoder_input(pictures))[:, None]
