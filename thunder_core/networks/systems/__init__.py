# SPDX-License-Identifier: GPL-3.0-or-later
"""The compared systems: where the network of each is, and loading it from weights.

Each is a `denoiser.Standardised` with a `name` and `sample`, which bench and engine use; training
is in `research/train/systems.py`:

    sample(audio, seeds, condition=None, steps=20, guidance=1.0, progress=no_progress) → Tensor

gives packed motions [S, T, C] of one sound's speech features [1, T, d], one per seed. condition: [S
or 1, T or 1, c], an input besides the sound (style token, mood); None: none.  steps, guidance: of
diffusion; regression systems ignore them.  `progress` gets 0 … 1 and may raise to stop.
"""

from pathlib import Path

from ...errors import BadRequest
from ...request import FOLDER, SYSTEMS
from ..weights import Network
from .denoisers import DiffPoseTalk, Media2Face, PlainThunder
from .regressors import FlameFormer, FlameSelfTalk

_NETWORKS = {
    kind.name: kind for kind in (PlainThunder, DiffPoseTalk, Media2Face, FlameFormer, FlameSelfTalk)
}


def network_class(name: str) -> type[Network]:
    """The class of a trained system's network. Raises BadRequest for an unknown name."""
    if name not in _NETWORKS:
        raise BadRequest(f"There is no system “{name}”: choose one of {', '.join(SYSTEMS)}")
    return _NETWORKS[name]


def load_system(name: str, folder: Path, file: str = "") -> Network:
    """A system's network among the weights of a folder, frozen, in eval mode.

    file: its name without ending; by default `systems/NAME`. Raises BadRequest for an unknown name,
    BadWeights.
    """
    return network_class(name).load(folder, file or f"{FOLDER}/{name}")
