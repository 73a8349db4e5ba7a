# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks as the engine calls them, computed by torch: arrays in and out, by the names that their
graphs have."""

import contextlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .denoiser import DenoiserNetwork
from .speech import MeshToSpeechNetwork, SpeakerEncoderNetwork, SpeechEncoderNetwork, VocoderNetwork
from .weights import Network


class SeenMouth(MeshToSpeechNetwork):
    """Mesh-to-speech that gives its features too, and sound for as many speakers as are asked for:
    without one it costs two thirds."""

    def forward(self, mouths: Tensor, speakers: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        """Mouths [B, T, …] and speakers [S, 256] → features [B, T, width], unit logits [B, 2T,
        units], pairs of log-mels of the first mouth [S, 2T, 160]."""
        once, twice = self.encode(mouths)
        return (
            once,
            self.unit_head(twice),
            self.pairs_of(twice[:1].expand(speakers.shape[0], -1, -1), speakers),
        )


KINDS: dict[str, type[Network] | type[SpeakerEncoderNetwork]] = {
    "denoiser": DenoiserNetwork, "distilled": DenoiserNetwork, "encoder": SpeechEncoderNetwork,
    "m2s": SeenMouth, "vocoder": VocoderNetwork, "speaker": SpeakerEncoderNetwork,
}  # fmt: skip


class TorchNetwork:
    """A network of a folder of weights on a device of torch's; called as `engine.network.Graph`."""

    def __init__(self, path: Path, device: str):
        """path: of NAME.safetensors, without the ending. Raises BadWeights."""
        self._network = KINDS[path.name].load(path.parent, path.name).to(device)
        self._device = device
        self._inputs = inspect.signature(self._network.forward).parameters

    @torch.no_grad()
    def __call__(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """Outputs for inputs by name; those that the network does not have are ignored."""
        given = {
            name: torch.from_numpy(np.require(value, None, ["C", "W"]))
            for name, value in inputs.items()
            if name in self._inputs
        }
        # Of one thread, so that the result does not depend on how many there are; takes are sampled
        # beside each other.
        with one_torch_thread() if self._device == "cpu" else contextlib.nullcontext():
            made = self._network(**{name: value.to(self._device) for name, value in given.items()})
        return [
            each.cpu().numpy() for each in (made if isinstance(made, (tuple, list)) else [made])
        ]


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """Within it torch's operations in this thread of Python use one thread each."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
