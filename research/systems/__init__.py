# SPDX-License-Identifier: GPL-3.0-or-later
"""The systems that the paper compares: where the network of each is, and loading it.

Each is a `denoiser.Standardised` with a `name` and `sample`, which benches use; training is in
`research/train/systems.py`:

    sample(audio, seeds, condition=None, steps=20, guidance=1.0, progress=no_progress) → Tensor

gives packed motions [S, T, C] of one sound's speech features [1, T, d], one per seed. condition: [S
or 1, T or 1, c], an input besides the sound (style token, mood); None: none.  steps, guidance: of
diffusion; regression systems ignore them.  `progress` gets 0 … 1 and may raise to stop.
"""

from pathlib import Path

from research.systems.denoisers import DiffPoseTalk, Media2Face, PlainThunder
from research.systems.regressors import FlameFormer, FlameSelfTalk
from thunder_core.errors import BadRequest
from thunder_core.networks.weights import Network

SYSTEMS = {
    kind.name: kind for kind in (PlainThunder, DiffPoseTalk, Media2Face, FlameFormer, FlameSelfTalk)
}


def load_system(name: str, folder: Path, file: str = "network") -> Network:
    """A system's network in a folder, frozen, in eval mode.

    file: its name without ending, by default as training leaves it. Raises BadRequest for an
    unknown name, BadWeights.
    """
    if name not in SYSTEMS:
        raise BadRequest(f"There is no system “{name}”: choose one of {', '.join(SYSTEMS)}")
    return SYSTEMS[name].load(folder, file)
