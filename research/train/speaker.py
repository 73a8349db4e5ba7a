# SPDX-License-Identifier: GPL-3.0-or-later
"""Import of the speaker network: Resemblyzer's checkpoint, read without running code, written
as safetensors."""

from pathlib import Path

import torch

from thunder_core.networks.speech import SpeakerEncoderNetwork


def import_resemblyzer(checkpoint: Path) -> SpeakerEncoderNetwork:
    """`resemblyzer/pretrained.pt` of the Resemblyzer package → SpeakerEncoderNetwork."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["model_state"]
    network = SpeakerEncoderNetwork()
    keep = {k: v for k, v in state.items() if k.startswith(("lstm.", "linear."))}
    missing, unexpected = network.load_state_dict(keep, strict=False)
    if missing or unexpected:
        raise ValueError(f"{checkpoint} is not Resemblyzer's speaker network.")
    return network.eval()
