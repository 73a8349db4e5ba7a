# SPDX-License-Identifier: GPL-3.0-or-later
"""Selects a study's films, and pairs, blinds and shuffles them.

A study's folder holds `key.json`, which identifies every film and side and is never served,
`public/` with `pairs.json` and the films under neutral names, and `votes/`.
"""

import hashlib
import itertools
import json
import os
import random
from pathlib import Path

from thunder_core.request import NORMAL, QUALITIES

KEY, PUBLIC, PAIRS, VOTES = "key.json", "public", "pairs.json", "votes"
QUESTIONS = {
    "lip-sync": "In which film do the lips go better with the voice?",
    "dynamism": "In which film is the face livelier?",
    "realism": "In which film does the face move more like a person's?",
    "preference": "Which film do you prefer?",
}
SCALE = ("left, clearly", "left, a little", "equal", "right, a little", "right, clearly")  # −2 … 2
SETTINGS = {"take": int, "takes": int, "seed": int, "quality": str, "steps": int, "guidance": float}
# The take shown: its index in the list, best score first; 0 is the take of the first seed,
# regardless of its score. Steps of the whole diffusion model are used if not 0, else the quality.
DEFAULTS = {"take": 0, "takes": 1, "seed": 1, "quality": NORMAL, "steps": 0, "guidance": 1.0}
LEAST = {"take": 0, "takes": 1, "seed": 0, "steps": 0, "guidance": 1.0}


class StudyError(Exception):
    """A fault of a study, in a sentence with advice."""


def system(text: str) -> dict:
    """A system of the command line, “NAME=FOLDER,SETTING=VALUE…”, as {"name", "folder", settings
    …}. Raises StudyError."""
    name, equals, rest = text.partition("=")
    folder, *settings = rest.split(",")
    if not (name and equals):
        raise StudyError(
            f"“{text}” names no system: write NAME=FOLDER, or NAME= for the weights that ship"
        )
    made = {"name": name, "folder": str(Path(folder).resolve()) if folder else ""} | DEFAULTS
    if folder and not Path(folder).is_dir():
        raise StudyError(
            f"There is no folder “{folder}”: name one of weights or of motions for “{name}”"
        )
    for setting in settings:
        key, _, value = setting.partition("=")
        if key not in SETTINGS:
            raise StudyError(
                f"“{key}” of “{name}” is no setting: choose among {', '.join(SETTINGS)}"
            )
        if key == "quality":
            if value not in QUALITIES:
                raise StudyError(f"“{value}” is no quality: choose among {', '.join(QUALITIES)}")
            made[key] = value
            continue
        try:
            made[key] = SETTINGS[key](value)
            if made[key] < LEAST[key]:
                raise ValueError
        except ValueError:
            raise StudyError(
                f"“{value}” is no {key.replace('_', ' ')}: give a number of at least {LEAST[key]}"
            ) from None
    if made["take"] > made["takes"]:
        raise StudyError(
            f"Take {made['take']} of “{name}” is not among {made['takes']}: raise takes="
        )
    return made


def is_weights(folder: str) -> bool:
    """Whether a system's folder holds weights, and not motions. "" is the weights that ship."""
    return not folder or (Path(folder) / "denoiser.json").is_file()


def motion_path(folder: str | Path, clip: Path) -> Path:
    """The motion of a clip in a folder of motions: CLIP.npz, or that in the folder of its speaker,
    named as the clip's, as people's tracked videos lie."""
    name = f"{clip.stem}.npz"
    of_speaker = Path(folder) / clip.resolve().parent.name / name
    return of_speaker if of_speaker.is_file() else Path(folder) / name


def plan_study(
    clips: list[Path], systems: list[dict], checks: int, seconds: float, size: int, seed: int
) -> dict:
    """The plan of a study, which is its key: {"films", "pairs", "systems" …}. Raises StudyError.

    Every two systems meet once on every clip; each is on the left in half of these pairs (one more
    or fewer where their number is odd).
    """
    _check(clips, systems, checks, seconds, size)
    names = [each["name"] for each in systems]
    rng = random.Random(seed)
    used: set[str] = set()

    def new_name(letter: str) -> str:
        while (name := f"{letter}{rng.getrandbits(40):010x}") in used:
            pass
        used.add(name)
        return name

    films = {
        new_name("f"): {"clip": clip, "system": name, "of": clip}
        for clip in range(len(clips))
        for name in names
    }
    film_of = {(film["clip"], film["system"]): name for name, film in films.items()}
    pairs = {}
    for first, second in itertools.combinations(names, 2):
        sides = [bool(number % 2) for number in range(len(clips))]
        if len(clips) % 2 and rng.random() < 0.5:
            sides = [not side for side in sides]
        rng.shuffle(sides)
        for clip, swapped in enumerate(sides):
            left, right = (second, first) if swapped else (first, second)
            pairs[new_name("p")] = {
                "left": film_of[clip, left], "right": film_of[clip, right],
                "systems": [left, right], "clip": clip, "check": False,
            }  # fmt: skip
    for number in range(checks):
        clip = number % len(clips)
        other = (clip + 1 + rng.randrange(len(clips) - 1)) % len(clips)
        wrong = new_name("f")
        films[wrong] = {"clip": clip, "system": names[0], "of": other}
        both = [(film_of[clip, names[0]], names[0]), (wrong, "")]
        rng.shuffle(both)
        (left, of_left), (right, of_right) = both
        pairs[new_name("p")] = {
            "left": left,
            "right": right,
            "systems": [of_left, of_right],
            "clip": clip,
            "check": True,
        }
    order = list(pairs)
    rng.shuffle(order)  # names and order in the file do not identify the systems
    return {
        "systems": systems, "clips": [str(clip.resolve()) for clip in clips], "seconds": seconds,
        "size": size, "seed": seed,
        "sounds": [hashlib.sha256(clip.read_bytes()).hexdigest() for clip in clips],
        "films": films, "pairs": {name: pairs[name] for name in order},
    }  # fmt: skip


def _check(clips: list[Path], systems: list[dict], checks: int, seconds: float, size: int) -> None:
    """Raise StudyError if these clips and systems make no study."""
    names = [each["name"] for each in systems]
    stems = [clip.stem for clip in clips]
    if len(systems) < 2:
        raise StudyError("A study compares at least two systems: give --system twice")
    for what, values in (("system", names), ("clip", stems)):
        if double := next((v for v in values if values.count(v) > 1), None):
            raise StudyError(
                f"There are two {what}s called “{double}”: give each a name of its own"
            )
    for clip in clips:
        if not clip.is_file():
            raise StudyError(f"There is no sound file “{clip}”: name another clip")
    if checks and len(clips) < 2:
        raise StudyError(
            "A check shows the motion of another clip: give at least two clips, or leave --checks "
            "out"
        )
    if size < 64 or size % 2 or not 0.2 <= seconds <= 60:
        raise StudyError(
            "Films have an even number of pixels, 64 or more, and last 0.2 to 60 seconds: change "
            "--size or --seconds"
        )
    for each in systems:
        for clip in clips if not is_weights(each["folder"]) else ():
            if not motion_path(each["folder"], clip).is_file():
                raise StudyError(
                    f"“{each['folder']}” holds neither weights nor {clip.stem}.npz: name another "
                    f"folder for “{each['name']}”"
                )


def begin(folder: Path, plan: dict) -> None:
    """Write the key of a new study, or check that the study there is the same one. Raises
    StudyError."""
    if (folder / KEY).exists():
        if key_of(folder) != plan:
            raise StudyError(
                f"“{folder}” holds another study, whose votes would no longer fit: name another "
                f"folder, or its own options"
            )
        return
    (folder / PUBLIC).mkdir(parents=True, exist_ok=True)
    (folder / VOTES).mkdir(exist_ok=True)
    _write(folder / KEY, plan)


def publish(folder: Path, plan: dict) -> None:
    """Write the page's data: pairs of films, without their identity."""
    shown = [
        {"id": name, "left": pair["left"], "right": pair["right"]}
        for name, pair in plan["pairs"].items()
    ]
    _write(folder / PUBLIC / PAIRS, {"pairs": shown, "questions": QUESTIONS, "scale": SCALE})


def key_of(folder: Path) -> dict:
    """The key of a study. Raises StudyError."""
    return _read(
        folder / KEY, f"“{folder}” holds no study: make one with `python -m research study make`"
    )


def public_of(folder: Path) -> dict:
    """Data of a study's page. Raises StudyError if films are missing."""
    return _read(
        folder / PUBLIC / PAIRS,
        f"The study in “{folder}” has no films yet: run its `make` to the end",
    )


def film_path(folder: Path, name: str) -> Path:
    """The path of a film."""
    return folder / PUBLIC / f"{name}.mp4"


def _read(path: Path, missing: str) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StudyError(missing) from None
    except ValueError:
        raise StudyError(f"“{path}” is damaged: make the study again in another folder") from None


def _write(path: Path, value: dict) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
