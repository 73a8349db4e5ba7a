# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a job: names, allowed values and defaults.

A setting is called like the option of `bake.py` that does the same, without its dashes:
`as-asked` is `--as-asked`.
"""

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..direction import AXES, CHOICES, NEUTRAL
from ..direction_presets import is_preset_file
from ..errors import suggest
from ..files import is_utf8
from ..own_files import why_left_out
from ..protocol import read_channel
from ..request import MOST_TAKES, NORMAL, QUALITIES, TAKES
from ..subtitles import ENDINGS
from ..whisper import code_of, is_hub_name

LAST_FRAME = 1_048_574  # Blender's largest frame number
LARGEST_SEED = 2**31 - 1  # maximum of Blender's integers
COMMITS = ("ones", "twos", "threes")  # frames for which a committed pose is held
CURVES, SOUND = "dailies.json", "voice.wav"
LONGEST_TEXT = 4096  # letters of a name or path


@dataclass(frozen=True)
class Output:
    """An output of a bake.

    ending: of the file of each take, "" for outputs that are not one file per take.  best: only the
    best takes get one.  format: the format of scene/media/export.py that writes it, "" for none.
    names: of its other files, which are made of all takes.
    """

    ending: str = ""
    best: bool = False
    format: str = ""
    names: tuple[str, ...] = ()


OUTPUTS: Mapping[str, Output] = MappingProxyType(
    {
        "blend": Output(),  # the scene with the sound, the head and its takes
        "npz": Output(".npz"),  # the values of every take as arrays
        "csv": Output(".csv", format="ARKIT"),  # ARKit curves of every take
        # words, sounds and mouth shapes of every take; the shapes as Rhubarb Lip Sync has them
        "cues": Output(".tsv", format="CUES"),
        "rhubarb": Output(".json", format="RHUBARB"),
        "vrma": Output(".vrma", format="VRMA"),  # VRM animation of every take
        "glb": Output(".glb", best=True, format="GLTF"),
        "fbx": Output(".fbx", best=True, format="FBX"),
        "usd": Output(".usdc", best=True, format="USD"),
        "video": Output(".mp4", best=True),  # a film of each of the best takes, with sound
        "speech": Output(".wav", best=True),  # what the best takes' lips say
        "sheet": Output(names=("takes.png",)),  # a contact sheet of all takes
        # for the page of many bakes: curves of every take, and the voice
        "dailies": Output(names=(CURVES, SOUND)),
    }
)


def file_of_take(output: str, rank: int) -> str:
    """Name of the file of a take, by its rank from 0, for an output that is one file per take."""
    return f"take_{rank + 1:02d}{OUTPUTS[output].ending}"


# Files made of the takes of one bake: the next one into the same folder removes those that it does
# not write itself.
_ENDINGS = "|".join(re.escape(output.ending) for output in OUTPUTS.values() if output.ending)
OF_TAKES = re.compile(
    rf"take_\d{{2,}}({_ENDINGS})"
    + "".join(f"|{re.escape(name)}" for output in OUTPUTS.values() for name in output.names)
    + "|takes_small[.]jpg|actions[.]blend"  # of earlier versions
)


# names of the settings, and of the options, of a style's axes: “head” means another one
OPTION_OF = {axis.name: "head-movement" if axis.name == "head" else axis.name for axis in AXES}


class BadSetting(ValueError):
    """A value that is not allowed; the message names the allowed ones, as the end of a sentence."""


@dataclass(frozen=True)
class Setting:
    """A setting of a job, and the option of `bake.py` that does the same.

    read: makes the value, or raises BadSetting.  about: what the command's help says.  shown: what
    it shows in place of a value, "" for the name.  default: if neither a job, nor the job file, nor
    the command sets a value; None: as the scene says, or not at all.  is_path: whether it names a
    file, relative to the job file.
    is_flag: whether its option is given as --NAME or --no-NAME.
    """

    name: str
    read: Callable[[object], object]
    about: str
    shown: str = ""
    default: object = None
    is_path: bool = False
    is_flag: bool = False

    def arguments(self, value) -> list[str]:
        """The equivalent options of `bake.py`."""
        if self.is_flag:
            return [f"--{self.name}" if value else f"--no-{self.name}"]
        return [f"--{self.name}={','.join(value) if isinstance(value, list) else value}"]


def number(least: float, most: float, whole: bool = False) -> Callable[[object], float]:
    """Reads a number within bounds, or the text of one."""
    kind = int if whole else float

    def read(value):
        try:
            result = kind(value) if isinstance(value, str) else value
        except ValueError:
            result = math.nan
        right = isinstance(result, (int, kind)) and not isinstance(result, bool)
        if not right or not least <= result <= most:
            raise BadSetting(f"is not a {'whole ' * whole}number from {least:.10g} to {most:.10g}")
        return kind(result)

    return read


# one word with an ending, or a folder: nobody says these
_FILE_NAME = re.compile(r"\S+\.[A-Za-z]\w{1,4}|\S*[/\\]\S*")


def text(value) -> str:
    """Reads a name that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise BadSetting("is not a text in quotes")
    if len(value) > LONGEST_TEXT:
        raise BadSetting(
            f"has {len(value)} letters, more than the {LONGEST_TEXT} of the longest name"
        )
    if "\0" in value:
        raise BadSetting("has the letter U+0000, which no name can have")
    return value


def transcript(value) -> str:
    """Reads the words of a voice, or the name of a .txt, .srt or .vtt file that holds them."""
    if not isinstance(value, str):
        raise BadSetting("is not a text in quotes")
    if not value.strip():
        raise BadSetting("is empty: write what the voice says")
    if len(value) > LONGEST_TEXT:  # first: a pattern may go through it many times
        raise BadSetting(
            f"has {len(value)} letters: write more than {LONGEST_TEXT} into a .txt file and name "
            f"that"
        )
    if _FILE_NAME.fullmatch(value) and not is_text_file(value):
        raise BadSetting(
            f"names a file that is not read: give words, or a {', '.join(ENDINGS)} file"
        )
    if not is_utf8(value) or "\0" in value:
        raise BadSetting("has letters that no text can have")
    return value


def language(value) -> str:
    """Reads a language by its code or English name, such as “de” or “German”; “auto”: the one that
    is spoken."""
    found = "auto" if value == "auto" else code_of(text(value))
    if not found:
        raise BadSetting("is no language that is known: give a code such as en, de or zh, or auto")
    return found


def is_text_file(words: str) -> bool:
    """Whether a transcript names a file instead of being the words themselves."""
    return words.lower().endswith(ENDINGS)


def channel(value) -> str:
    """Reads a channel of a sound, such as “left” or 3."""
    try:
        read_channel(value)
    except ValueError as error:
        raise BadSetting(str(error)) from error
    return str(value)


def yes_or_no(value) -> bool:
    """Reads true or false."""
    if not isinstance(value, bool):
        raise BadSetting("is neither true nor false")
    return value


def mood(value) -> str:
    """Reads a mood with its strength, such as “warm=.6”."""
    read_mood(text(value))
    return str(value)


def read_mood(given: str) -> tuple[str, float]:
    """Name and strength, 0 to 1, of a mood such as “warm=.6”; strength is 1 where none is given.
    Raises BadSetting."""
    name, _, strength = given.partition("=")
    name = name.strip().lower()
    if name not in CHOICES:
        if sentence := why_left_out(f"{name}.json"):
            raise BadSetting(f"cannot be used: {sentence}")
        near = suggest(name, CHOICES)
        raise BadSetting(f"is no mood that is known: {near or 'choose ' + ', '.join(CHOICES)}")
    try:
        value = float(strength) if "=" in given else 1.0
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= 1.0:
        raise BadSetting(
            f"has the strength “{shorten(strength)}”, which is not a number from 0 to 1"
        )
    return name, value


def one_of(names: Iterable[str]) -> Callable[[object], str]:
    """Reads one of these names."""

    def read(value):
        if not isinstance(value, str) or value not in names:
            raise BadSetting(f"is none of {', '.join(names)}")
        return value

    return read


def outputs(value) -> list[str]:
    """Reads names of OUTPUTS, a list or a text with commas; they come in the order of OUTPUTS, each
    once."""
    names = [name.strip() for name in value.split(",")] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise BadSetting(f"is not a list of some of {', '.join(OUTPUTS)}")
    for name in names:
        if name not in OUTPUTS:
            raise BadSetting(f"holds “{shorten(name)}”, which is none of {', '.join(OUTPUTS)}")
    return [name for name in OUTPUTS if name in names]


MOOD_LIST = ", ".join(name for name in CHOICES if name != NEUTRAL)
SETTINGS: Mapping[str, Setting] = MappingProxyType({setting.name: setting for setting in (
    Setting("audio", text, "the voice, a sound file", is_path=True),
    Setting("listen-to", text, "another's voice, a sound file that the face listens to", "FILE",
            is_path=True),
    Setting("seconds", number(1.0, 3600.0), "length of takes in which nobody speaks: an idle face"),
    Setting("strip", text, "the voice, a sound strip in the sequencer of the scene", "NAME"),
    Setting("takes", number(1, MOST_TAKES, whole=True), f"how many to sample ({TAKES})",
            default=TAKES),
    Setting("seed", number(0, LARGEST_SEED, whole=True),
            "seed of the first take (the scene's, else the character's, else by the sound's name)"),
    Setting("quality", one_of(QUALITIES), f"how finely takes are sampled ({NORMAL})",
            "|".join(QUALITIES), NORMAL),
    Setting("steps", number(1, 1000, whole=True),
            "sampling steps of the whole model, instead of what the quality says"),
    Setting("guidance", number(0.0, 3.0),
            "how closely takes keep to the voice, 0 to 3; other than 1 twice the time (1)",
            default=1.0),
    Setting("perform-as", text,
            "a take of another recording, .npz, .csv or .tsv: its head, brows, lids and eyes move "
            "to this voice, the mouth is sampled anew", "FILE", is_path=True),
    Setting("performed-rate", number(1.0, 240.0),
            "frames per second of a .csv of --perform-as whose times do not tell"),
    Setting("performed-voice", text, "the recording that the take of --perform-as was made of",
            "FILE", is_path=True),
    Setting("perform-line", text,
            "a line of the scene, whose committed animation, or chosen take, this voice performs "
            "likewise", "NAME"),
    Setting("transcript", transcript,  # the words of the voice, or their file
            "what the voice says, or a .txt, .srt or .vtt file: lips then follow its words",
            "TEXT"),
    Setting("recognise", yes_or_no,
            "recognize what the voice says, where it has no transcript: lips then follow its words",
            is_flag=True),
    Setting("language", language,
            "language of the words, such as de; auto: the one that they are in, or that is spoken "
            "(as the scene says)", "CODE"),
    Setting("whisper", text,  # a folder, or a name on the hub
            "model that recognizes words (default: as the preferences or THUNDER_WHISPER say)",
            "FOLDER"),
    Setting("channel", channel,
            "what of the sound is the voice: auto, mix, left, right or a number (auto)"),
    Setting("commit", one_of(COMMITS),
            "also commit the best take: on ones, or held on twos or threes, which its exports and "
            "films have",
            "|".join(COMMITS)),
    Setting("outputs", outputs, f"what to write: some of {', '.join(OUTPUTS)} (blend)", "LIST"),
    Setting("export-takes", number(1, MOST_TAKES, whole=True),
            "how many of the best takes are exported and filmed (1)", default=1),
    Setting("blend", text, "file to bake in, where none is open", is_path=True),
    Setting("head", text, "object to animate (default: the scene's head, or a new one)"),
    Setting("start", number(-LAST_FRAME, LAST_FRAME),
            "scene frame of the sound's first sample (the scene's first)"),
    Setting("pack", yes_or_no, "keep the sound in the .blend itself", is_flag=True),
    Setting("fps", number(1, 240), "frames per second of an empty scene, such as 25 or 29.97 (24)"),
    Setting("style", text,  # a preset, or its file
            "a preset: its name (Newsreader, Whisper, one of yours) or its .json file", "NAME"),
    Setting("manner", text, "a character's manner, a .json file that Save Manner wrote", "FILE",
            is_path=True),
    Setting("mood", mood, f"such as warm=.6; strength 0 to 1 (1). Moods: {MOOD_LIST}",
            "MOOD=STRENGTH"),
    *(Setting(OPTION_OF[axis.name], number(axis.least, axis.most),
              f"{axis.description[0].lower()}{axis.description[1:]}: "
              f"{axis.least:g} to {axis.most:g}, {axis.usual:g} is usual", "NUMBER")
      for axis in AXES),
    Setting("spread", number(0.0, 1.0),
            "how far takes go from all this, 0 (not at all) to 1 (as people do) (0.5)"),
    Setting("as-asked", yes_or_no, "whether the first take follows the direction exactly (yes)",
            default=True, is_flag=True),
)})  # fmt: skip

# settings for the sound, of which a job has exactly one, and for how takes are played
VOICES = ("audio", "listen-to", "seconds", "strip")
RECOGNISER = ("whisper",)  # of no use without “recognise”
DIRECTION = ("style", "manner", "mood", *OPTION_OF.values(), "spread", "as-asked")

# Defaults of a job if neither it, nor the job file, nor the command sets a value.
DEFAULTS: Mapping[str, object] = MappingProxyType(
    {
        **{each.name: each.default for each in SETTINGS.values() if each.default is not None},
        "outputs": ["blend", "npz", "sheet"],
    }
)


def path_names(settings: Mapping[str, object]) -> list[str]:
    """Those of the settings that name a file."""
    is_file = {"style": is_preset_file, "transcript": is_text_file}
    return [
        name
        for name, value in settings.items()
        if SETTINGS[name].is_path or (name in is_file and is_file[name](str(value)))
    ]


def make_absolute(settings: Mapping[str, object], folder: str) -> dict[str, object]:
    """The settings with their paths made absolute, from a folder."""

    def absolute(name: str) -> str:
        return os.path.normpath(os.path.join(folder, os.path.expanduser(str(settings[name]))))

    paths = {name: absolute(name) for name in path_names(settings)}
    if "whisper" in settings and (
        os.path.isdir(absolute("whisper")) or not is_hub_name(str(settings["whisper"]))
    ):
        paths["whisper"] = absolute("whisper")
    return dict(settings) | paths


def quote(value) -> str:
    """A value as a sentence shows it, not too long."""
    try:
        written = json.dumps(value, ensure_ascii=False, default=str)
    except ValueError:  # a number of thousands of digits, which Python does not write
        written = "a very long number"
    return shorten(written)


def shorten(written: str) -> str:
    """A text as a sentence quotes it: on one line, at most 60 letters."""
    written = re.sub(r"[\x00-\x1f\x7f]", "�", written[:61])
    return written if len(written) <= 60 else written[:59] + "…"
