# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the pictures of docs/ that show a real window: acts out scenarios of this folder and cuts what the docs show out of their pictures.

    BLENDER=/path/to/blender python tests/gui/pictures.py [NAME…]      (make docs-pictures)

Without names all of PICTURES. Nothing is written where a scenario fails.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent))
from conftest import (  # noqa: E402
    PICTURES as TAKEN,  # noqa: E402
    RealBlender,
    ROOT,
)

OUT = ROOT / "docs"
COLOURS = 224  # of a palette: a fourth of the size, and no difference is seen

# What is cut out of the window's 1400 × 900 pixels: left, top, right, bottom.
WINDOW = (0, 0, 1400, 900)
VIEWPORT = (0, 26, 1151, 818)
SIDEBAR = (864, 80, 1122, 812)
PREFERENCES = (278, 188, 972, 536)
CHECKED = (288, 282, 962, 378)  # what the engine said of itself; the path of its Python is nobody's business
SEQUENCER = (60, 668, 1151, 778)

PICTURES = {  # name in docs/ → (scenario, its picture, what is cut out)
    "panel": ("generates_takes", "takes", VIEWPORT),
    "character": ("maps_a_character", "character", VIEWPORT),
    "pictures/getting_started": ("day_scenarios.a_day", "getting_started", SIDEBAR),
    "pictures/moving_face": ("day_scenarios.a_day", "a_moving_face", WINDOW),
    "pictures/arriving": ("scene_scenarios.works_long", "arriving", WINDOW),
    "pictures/dialogue": ("scene_scenarios.casts_dialogue", "cast", SIDEBAR),
    "pictures/resync": ("scene_scenarios.moves_a_voice", "moved", SIDEBAR),
    "pictures/engine_install": ("scene_scenarios.sets_up_the_engine", "absent", PREFERENCES),
    "pictures/engine_installing": ("scene_scenarios.sets_up_the_engine", "installing", PREFERENCES),
    "pictures/engine_checked": ("scene_scenarios.sets_up_the_engine", "checked", CHECKED),
    "pictures/grid": ("take_scenarios.plays_all", "grid", VIEWPORT),
    "pictures/shape": ("shape_scenarios.shapes", "animated", VIEWPORT),
    "pictures/mix": ("shape_scenarios.mixes", "cuts", SIDEBAR),
    "pictures/keep": ("shape_scenarios.keeps", "kept", SIDEBAR),
    "pictures/commit": ("commit_scenarios.choices", "commit_copy", SIDEBAR),
    "pictures/graph_editor_dense": ("commit_scenarios.graphs", "graph_dense", VIEWPORT),
    "pictures/graph_editor_poses": ("commit_scenarios.graphs", "graph_poses", VIEWPORT),
    "pictures/curves": ("commit_scenarios.draws_curves", "curves_sequencer", SEQUENCER),
}


def cut(path: Path, box: tuple, out: Path) -> None:
    """Cut a box out of a PNG, as one of few colours; what lies under a sidebar's last panel is cut off too."""
    picture = Image.open(path).convert("RGB").crop(box)
    if box == SIDEBAR:
        # Where no panel is, a row is of one colour but for the lines of the viewport's floor, which are hardly brighter.
        busy = np.flatnonzero(np.ptp(np.asarray(picture)[:, 12:-12].sum(axis=2, dtype=int), axis=1) > 150)
        picture = picture.crop((0, 0, picture.width, min(picture.height, busy[-1] + 12)))
    # A palette by number alone would be all greys: a colour counts by less than how often it is there.
    colours, counts = np.unique(np.asarray(picture).reshape(-1, 3), axis=0, return_counts=True)
    weighed = np.repeat(colours, np.ceil(counts**0.65).astype(int), axis=0)
    palette = Image.fromarray(weighed[None]).quantize(COLOURS, Image.Quantize.MEDIANCUT)
    picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(out, optimize=True)


def make(blender: RealBlender, names: list[str]) -> None:
    made = {}
    for name in names:
        scenario, picture, box = PICTURES[name]
        if scenario not in made:
            print(f"· {scenario}", flush=True)
            blender.act(scenario, timeout=2400)
            made[scenario] = TAKEN / scenario
        part = OUT / f"{name}.part.png"
        part.parent.mkdir(parents=True, exist_ok=True)
        cut(made[scenario] / f"{picture}.png", box, part)
        os.replace(part, OUT / f"{name}.png")
        print(f"  docs/{name}.png", flush=True)


def main() -> int:
    named = os.environ.get("BLENDER")
    path = shutil.which(named) if named else None
    if path is None:
        print("Name a real Blender: BLENDER=/path/to/blender make docs-pictures", file=sys.stderr)
        return 1
    unknown = set(sys.argv[1:]) - set(PICTURES)
    if unknown:
        print(f"There is no picture {', '.join(sorted(unknown))}: choose of {', '.join(PICTURES)}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="pictures_") as scratch:
        make(RealBlender(path, Path(scratch)), sys.argv[1:] or list(PICTURES))
    return 0


if __name__ == "__main__":
    sys.exit(main())
