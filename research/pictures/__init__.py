# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of docs/pictures: acts out scenarios in a real window and crops what the window
showed.

    BLENDER=/path/to/blender python -m research pictures [NAME…]      (make docs-pictures)

Without names all of PICTURES and FILMS, and the sheet of the sample's eight takes. What they show was
made by the shipped weights. Nothing is written where a scenario fails. Scenarios are those of
tests/gui, and what no test needs is here: scenes.py, films.py, first_film.py.
"""

import json
import os
import re
import shutil
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from research.harness import ROOT, use_tests
from thunder_core.shipped import SAMPLE, SAMPLE_TEXT

use_tests("gui")

from conftest import PICTURES as TAKEN, RealBlender

OUT = ROOT / "docs" / "pictures"
COLOURS = 224  # of a palette: a fourth of the size, and no difference is seen
SHEET = 1120  # pixels along the longer side of a contact sheet

# What is cut out of the window's 1400 × 900 pixels: left, top, right, bottom.
WINDOW = (0, 0, 1400, 900)
VIEWPORT = (0, 26, 1151, 818)
SIDEBAR = (864, 80, 1122, 812)
PREFERENCES = (278, 188, 972, 505)
# what the engine said of itself; the path of its Python does not matter
CHECKED = (288, 282, 962, 378)
SCORE = (400, 80, 1122, 640)
SEQUENCER = (60, 668, 1151, 778)
TRACK = (210, 656, 858, 776)
FILMED = (190, 84, 1122, 700)  # the face and the panel beside it
MOST_BYTES = 300_000  # of a page's picture
FILM, FILM_WIDTH, FILM_QUALITY = "film", 720, 38
WORDS_FILM, MENDED = "words_film", (210, 56, 1124, 816)
WORDS_WIDTH, WORDS_QUALITY = 520, 24
SPOKEN_FILM, SPOKEN, SPOKEN_WIDTH, SPOKEN_QUALITY = "spoken", (0, 26, 1124, 880), 700, 50
LIVE_FILM, LIVE_WIDTH, LIVE_QUALITY = "live", 560, 50
# its window's size, since a larger one is drawn more seldom without a graphics card, and what is cut
LIVE_SIZE, LIVE = (960, 640), (0, 44, 792, 640)
FIRST_FILM, FIRST_WIDTH, FIRST_QUALITY = "first_take", 600, 38
TAKES_FILM, TAKES_FILM_BYTES = "eight_takes", 6_000_000
SCRIPTS, SCRIPTS_BOX, SCRIPTS_WIDE = "scripts", (290, 250, 850, 790), 300
# voice of espeak-ng ("": the sample is heard), what is said, a round word of it, and how far in it
LINES = (
    ("", SAMPLE_TEXT, 16, 0.4), ("", SAMPLE_TEXT, 5, 0.6),
    ("de", "Wir sind fünf Freunde und haben schöne Vögel.", 2, 0.4),
    ("ja", "友達と映画を見に行った", 2, 0.6), ("cmn", "妈妈把苹果放在门旁边。", 4, 0.6),
)  # fmt: skip
SAID = {"友達と映画を見に行った": "ともだちと えいがを みに いった"}  # espeak-ng speaks no kanji
FILMS = (FILM, FIRST_FILM, WORDS_FILM, SPOKEN_FILM, LIVE_FILM, TAKES_FILM)

PICTURES = {  # name in docs/pictures → (scenario, its picture, what is cut out)
    "panel": ("scenes.generates_takes", "takes", VIEWPORT),
    "score": ("scenes.explains_a_score", "score", SCORE),
    "character": ("scenes.maps_a_character", "character", VIEWPORT),
    "getting_started": ("day_scenarios.a_day", "getting_started", SIDEBAR),
    "moving_face": ("day_scenarios.a_day", "a_moving_face", WINDOW),
    "arriving": ("scene_scenarios.works_long", "arriving", WINDOW),
    "dialogue": ("scenes.casts_dialogue", "cast", SIDEBAR),
    "resync": ("scene_scenarios.moves_a_voice", "moved", SIDEBAR),
    "engine_install": ("scene_scenarios.sets_up_the_engine", "absent", PREFERENCES),
    "engine_installing": ("scene_scenarios.sets_up_the_engine", "installing", PREFERENCES),
    "engine_checked": ("scene_scenarios.sets_up_the_engine", "checked", CHECKED),
    "takes": ("take_scenarios.draws_a_sheet", "dialogue_takes", None),
    "grid": ("take_scenarios.plays_all", "grid", VIEWPORT),
    "shape": ("take_scenarios.shapes", "animated", VIEWPORT),
    "mix": ("scenes.mixes", "cuts", SIDEBAR),
    "keep": ("scenes.keeps", "kept", SIDEBAR),
    "directing": ("direction_scenarios.directs", "more", SIDEBAR),
    "commit": ("scenes.commits", "commit_copy", SIDEBAR),
    "graph_editor_poses": ("scenes.graphs", "graph_poses", VIEWPORT),
    "words": ("word_scenarios.mends_a_line", "mended", SIDEBAR),
    "track": ("word_scenarios.mends_a_line", "track", TRACK),
    "curves": ("commit_scenarios.draws_curves", "curves_sequencer", SEQUENCER),
}


def cut(path: Path, box: tuple | None, out: Path) -> None:
    """Cut a box out of a PNG, or take all of it, as one of few colours; what lies under a sidebar's
    last panel is cut off too."""
    picture = Image.open(path).convert("RGB").crop(box)
    if box is None:
        picture.thumbnail((SHEET, SHEET))
    if box == SIDEBAR:
        # Where no panel is, a row is of one colour but for the lines of the viewport's floor, which
        # are hardly brighter.
        busy = np.flatnonzero(
            np.ptp(np.asarray(picture)[:, 12:-16].sum(axis=2, dtype=int), axis=1) > 150
        )
        picture = picture.crop((0, 0, picture.width, min(picture.height, busy[-1] + 12)))
    # A palette by number alone would be all greys: a colour counts by less than how often it is
    # there.
    colours, counts = np.unique(np.asarray(picture).reshape(-1, 3), axis=0, return_counts=True)
    weighed = np.repeat(colours, np.ceil(counts**0.65).astype(int), axis=0)
    palette = Image.fromarray(weighed[None]).quantize(COLOURS, Image.Quantize.MEDIANCUT)
    # A sheet's small faces show no bands, and points between colours nearly double its file.
    dither = Image.Dither.FLOYDSTEINBERG if box else Image.Dither.NONE
    picture.quantize(palette=palette, dither=dither).save(out, optimize=True)


def film(
    folder: Path,
    seen: dict,
    out: Path,
    box: tuple = MENDED,
    width: int = WORDS_WIDTH,
    quality: int = WORDS_QUALITY,
) -> None:
    """Crop the pictures film_NNN.png of a folder, write their captions into them and join them to
    an animated WebP; seen["film"]: milliseconds and caption of each. width: that they get."""
    frames, font = [], ImageFont.load_default(20)
    for number, (_, caption) in enumerate(seen["film"]):
        picture = Image.open(folder / f"film_{number:03d}.png").convert("RGB").crop(box)
        if caption:
            draw = ImageDraw.Draw(picture)
            left, top, right, bottom = draw.textbbox((22, 16), caption, font=font)
            draw.rounded_rectangle(
                (left - 10, top - 8, right + 10, bottom + 8),
                8,
                fill=(20, 20, 20),
                outline=(230, 150, 40),
                width=2,
            )
            draw.text((22, 16), caption, font=font, fill=(255, 255, 255))
        height = round(width * picture.height / picture.width)
        frames.append(picture.resize((width, height), Image.Resampling.LANCZOS))
    frames[0].save(
        out,
        "WEBP",
        save_all=True,
        append_images=frames[1:],
        duration=[milliseconds for milliseconds, _ in seen["film"]],
        loop=0,
        quality=quality,
        method=6,
    )
    assert out.stat().st_size <= MOST_BYTES, f"the film is {out.stat().st_size / 1e6:.1f} MB"


def make_package() -> Path:
    """The package that a Blender on this machine installs."""
    sys.path.insert(0, str(ROOT / "setup"))
    import package

    return package.build(
        TAKEN.parent / "window_package", package.extension_tool(), package.this_platform()
    )


def film_takes(blender: RealBlender, folder: Path) -> None:
    """Film the eight takes of the demonstration side by side: an MP4 file with sound, and their
    sheet."""
    film = (Path(__file__).with_name("grid_film.py"), "--", folder, folder / "takes.mp4")
    about = re.search("^DEMO = (.+)", (ROOT / "Makefile").read_text("utf-8"), re.M)[1].split()
    voice = "--audio", SAMPLE, "--transcript", SAMPLE_TEXT, "--takes", 8, "--seed", 1
    for script in ((ROOT / "bake.py", "--", *voice, *about, "--out", folder), film):
        made = blender.run("--python-exit-code", 1, "--python", *script, timeout=6000)
        assert made.returncode == 0, made.stdout[-2000:]
    assert (folder / "takes.mp4").stat().st_size <= TAKES_FILM_BYTES, (
        f"the film is {(folder / 'takes.mp4').stat().st_size / 1e6:.1f} MB"
    )
    shutil.copyfile(folder / "takes.mp4", OUT / f"{TAKES_FILM}.mp4")
    cut(folder / "takes.png", None, OUT / f"{TAKES_FILM}_sheet.png")
    print(f"  docs/pictures/{TAKES_FILM}.mp4, {TAKES_FILM}_sheet.png", flush=True)


def draw_scripts(blender: RealBlender, folder: Path, out: Path) -> None:
    """Lines in several scripts side by side: the face on a round sound over its words."""
    from research.espeak_voice import write

    folder.mkdir(exist_ok=True)
    lines = []
    for number, (voice, text, *where) in enumerate(LINES):
        sound = folder / f"{number}.wav" if voice else SAMPLE
        if voice:
            write(SAID.get(text, text), voice, sound, 140)
        lines.append([str(sound), text, *where])
    (folder / "lines.json").write_text(json.dumps(lines), encoding="utf-8")
    os.environ["THUNDER_LINES"] = str(folder / "lines.json")
    blender.act("scenes.reads_scripts", timeout=2400)
    taken = TAKEN / "scenes.reads_scripts"
    each = [
        Image.open(taken / f"line_{n}.png").convert("RGB").crop(SCRIPTS_BOX)
        for n in range(len(LINES))
    ]
    size = SCRIPTS_WIDE, round(SCRIPTS_WIDE * each[0].height / each[0].width)
    sheet = Image.new("RGB", (len(each) * (size[0] + 4) - 4, size[1]), (20, 20, 20))
    for number, picture in enumerate(each):
        sheet.paste(picture.resize(size, Image.Resampling.LANCZOS), (number * (size[0] + 4), 0))
    sheet.save(folder / "sheet.png")
    cut(folder / "sheet.png", (0, 0, *sheet.size), out)


OF_SCENARIOS = {  # film → (scenario, what joins its pictures, file in docs/pictures)
    FILM: (
        "films.film",
        partial(film, box=FILMED, width=FILM_WIDTH, quality=FILM_QUALITY),
        "film.webp",
    ),
    WORDS_FILM: ("films.films_mending", film, "words.webp"),
    SPOKEN_FILM: (
        "films.films_speaking",
        partial(film, box=SPOKEN, width=SPOKEN_WIDTH, quality=SPOKEN_QUALITY),
        "spoken.webp",
    ),
    LIVE_FILM: (
        "films.films_live",
        partial(film, box=LIVE, width=LIVE_WIDTH, quality=LIVE_QUALITY),
        "live.webp",
    ),
    FIRST_FILM: (
        "first_film.filmed",
        partial(film, box=WINDOW, width=FIRST_WIDTH, quality=FIRST_QUALITY),
        "first_take.webp",
    ),
}


def make(blender: RealBlender, names: list[str]) -> None:
    os.environ["THUNDER_SAMPLED"] = "1"  # no made takes
    os.environ["SCENARIOS"] = str(Path(__file__).parent)  # more of these
    made = {}

    def act(scenario, **options):
        if scenario not in made:
            print(f"· {scenario}", flush=True)
            made[scenario] = blender.act(scenario, timeout=2400, **options)
        return TAKEN / scenario

    for name in names:
        if name == TAKES_FILM:
            print(f"· bake.py and grid_film.py: {name}", flush=True)
            film_takes(blender, blender.scratch / name)
            continue
        if name == SCRIPTS:
            draw_scripts(blender, blender.scratch / name, OUT / f"{name}.png")
            print(f"  docs/pictures/{name}.png", flush=True)
            continue
        if name in OF_SCENARIOS:
            scenario, join_pictures, out = OF_SCENARIOS[name]
            options = {"package": make_package()} if name == FIRST_FILM else {}
            folder = act(scenario, **options | ({"size": LIVE_SIZE} if name == LIVE_FILM else {}))
            join_pictures(folder, made[scenario], OUT / f"part.{out}")
        else:
            (scenario, picture, box), out = PICTURES[name], f"{name}.png"
            cut(act(scenario) / f"{picture}.png", box, OUT / f"part.{out}")
        os.replace(OUT / f"part.{out}", OUT / out)
        print(f"  docs/pictures/{out}", made[scenario].get("steps", ""), flush=True)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the names of pictures."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="which (all)")


def run(args: Namespace) -> None:
    """Take the pictures that are named, else all. Ends with a sentence where there is no Blender
    or no picture of a name."""
    named = os.environ.get("BLENDER")
    path = shutil.which(named) if named else None
    if path is None:
        sys.exit("Name a real Blender: BLENDER=/path/to/blender make docs-pictures")
    every = (*PICTURES, *FILMS, SCRIPTS)
    if unknown := set(args.names) - set(every):
        sys.exit(f"There is no picture {', '.join(sorted(unknown))}: choose of {', '.join(every)}")
    with tempfile.TemporaryDirectory(prefix="pictures_") as scratch:
        make(RealBlender(path, Path(scratch)), args.names or list(every))
