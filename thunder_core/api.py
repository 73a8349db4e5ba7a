# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes from Python, as the panel makes them; numpy at the surface.

>>> import thunder_takes as thunder
>>> voice = thunder.load("line.wav")
>>> takes = thunder.perform(voice, takes=2, mood="warm", seed=1)
>>> takes.best.save("line.npz")
>>> takes.best.curves["jawOpen"].shape == (voice.frames,)
True

Whatever goes wrong is a `ThunderError` whose message says what to do.
"""

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache

import numpy as np

from . import types
from .animation import cue_file, livelink, motion_file, vrma
from .animation.timing import at_scene_frames, Clock
from .direction import AXES, CHOICES, Direction, DirectionRequest, Mark, NEUTRAL, STRENGTH
from .direction_presets import Preset, Presets, SHIPPED
from .engine.engine import Engine
from .engine.speech.audio import read_sound, sound_of, write_sound
from .engine.speech.recognition import RecognisedWords, Recogniser
from .engine_python import find_recogniser
from .errors import BadRequest, BadSound, is_full_disk, NoSpace, suggest
from .files import part_of, write_file
from .findings import LipSyncScore
from .own_files import why_left_out
from .progress import no_progress, Progress
from .protocol import NOTES, read_channel, say_chosen
from .request import check_number, NORMAL, Request, seed_of_voice, SourcePerformance, TAKES
from .shipped import SAMPLE
from .spoken import Spoken
from .types import FPS, pack, Speech, unpack
from .whisper import code_of, find_model, find_model_of, is_hub_name

_SLIDERS = {axis.name: axis for axis in AXES}


@dataclass(frozen=True, eq=False)
class Voice(Speech):
    """A sound: `samples` float32 [n] −1 … 1, `rate` 16000 Hz, `seconds`, `frames` at 25 fps. name:
    of its file.  channel: of the file, 0 for the mix."""

    name: str = "voice"

    def save(self, path: str | os.PathLike) -> None:
        """Write it as a 16-bit WAV. Raises ThunderError."""
        _write(path, lambda part: write_sound(part, self))

    def __repr__(self) -> str:
        return f"<Voice “{self.name}”, {self.seconds:.1f} s>"


@dataclass(frozen=True, eq=False)
class Take(types.SampledTake):
    """A performance: `curves`, `seed`, and `score` as of `thunder.score`; None where nobody speaks.

    motion: the head's channels and rotation vectors.  opening, width: of the mouth, float32 [T],
    millimetres.
    provenance: what it was made from.  channels: names of the motion's expression.  direction: that
    it was sampled in.

    >>> take = takes.best
    >>> sorted(take.curves)[:2], take.curves["browDownLeft"].shape
    (['browDownLeft', 'browDownRight'], (50,))
    >>> [name for name in take.curves if name.startswith(("head", "leftEye"))]
    ['headYaw', 'headPitch', 'headRoll', 'leftEyeYaw', 'leftEyePitch', 'leftEyeRoll']
    """

    channels: tuple[str, ...] = ()
    direction: DirectionRequest | None = None

    @cached_property
    def curves(self) -> dict[str, np.ndarray]:
        """Each channel by its ARKit name, float32 [T] at 25 fps, 1 is the key's full movement;
        angles of head and eyes in radians."""
        return livelink.curves(self.motion, self.channels)

    @property
    def frames(self) -> int:
        """T."""
        return self.motion.frames

    @property
    def fps(self) -> float:
        """Frames per second of the curves: 25."""
        return self.motion.fps

    def save(self, path: str | os.PathLike) -> None:
        """Write it as .npz, as `bake.py --npz` does, as .csv: ARKit curves at 60 rows a second,
        as Live Link Face writes them, or as .vrma: VRM animation.

        >>> takes.best.save("best.csv")
        >>> takes.best.save("best.fbx")
        Traceback (most recent call last):
        thunder_takes.errors.BadRequest: “best.fbx” cannot be written: choose a name that ends with .npz, .csv or .vrma

        Raises BadRequest, NoSpace.
        """
        writers = {".npz": self._write_npz, ".csv": self._write_csv, ".vrma": self._write_vrma}
        _write(path, _by_ending(path, writers))

    def _write_npz(self, path: str) -> None:
        score = float("nan") if self.score is None else self.score.total
        motion_file.write_take(
            path,
            self.motion,
            self.channels,
            self.provenance,
            self.opening,
            self.width,
            score,
            self.seed,
        )

    def _write_vrma(self, path: str) -> None:
        vrma.write(path, self.motion, self.channels)

    def _write_csv(self, path: str) -> None:
        rows = np.arange(int((self.frames - 1) / FPS * livelink.RATE + 1e-6) + 1)
        packed = at_scene_frames(Clock(0.0, livelink.RATE), pack(self.motion), rows, self.opening)
        with open(path, "w", encoding="ascii", newline="\n") as file:
            livelink.write(
                file, livelink.table(unpack(packed, len(self.channels)), self.channels), 0.0
            )

    def __repr__(self) -> str:
        what = (
            self.provenance.get("role", "")
            if self.score is None
            else f"lip-sync {self.score.total:.0f}"
        )
        return f"<Take of seed {self.seed}, {self.frames / FPS:.1f} s, {what}>"


class Takes(tuple[Take, ...]):
    """Takes of one sound, best lip-sync first.

    >>> len(takes), takes.best is takes[0]
    (2, True)
    """

    @property
    def best(self) -> Take:
        """The first."""
        return self[0]


def load(
    sound: str | os.PathLike | np.ndarray, rate: int | None = None, channel: str | int = "auto"
) -> Voice:
    """A voice from a sound file (WAV, FLAC, OGG, MP3 …; with ffmpeg any other), or from samples [n]
    or [n, channels] at `rate` Hz.

    channel: “mix”, “left”, “right” or a number from 1; “auto”: the mix, or the channel that speaks
    where the mix would blur it, with a warning.

    >>> thunder.load("line.wav")
    <Voice “line.wav”, 2.0 s>
    >>> thunder.load(np.zeros(44100), rate=22050).seconds
    2.0
    >>> thunder.load("lime.wav")
    Traceback (most recent call last):
    thunder_takes.errors.BadSound: There is no sound file “lime.wav”: check that it was not moved or deleted

    Raises BadSound.
    """
    try:
        number = read_channel(channel)
    except ValueError as error:
        raise BadRequest(f"The channel “{channel}” {error}: choose one of these") from error
    if isinstance(sound, (str, os.PathLike)):
        if rate is not None:
            raise BadRequest("A sound file has a rate of its own: leave rate out")
        name = os.path.basename(sound)
        speech = read_sound(sound, may_be_silent=True, channel=number)
    elif rate is None:
        raise BadRequest("Samples do not tell their rate: add rate, such as rate=48000")
    elif np.ndim(sound) == 2 and 0 < len(sound) < np.shape(sound)[1]:
        raise BadSound(
            f"The samples have the shape {list(np.shape(sound))}, more channels than samples: turn "
            f"them, such as with .T"
        )
    else:
        speech, name = sound_of(sound, rate, "voice", number), "voice"
    name = os.fsdecode(name)
    if number is None and speech.channel:
        warnings.warn(say_chosen(name, speech.channel), stacklevel=2)
    return Voice(speech.samples, speech.rate, name, channel=speech.channel)


def sample() -> Voice:
    """The sample voice that comes with THUNDER.

    >>> thunder.sample()
    <Voice “sample.wav”, 8.1 s>
    """
    return load(SAMPLE)


def perform(  # noqa: PLR0913 (what the panel offers)
    voice: Voice, takes: int = TAKES, seed: int | None = None, *, mood: str | None = None,
        strength: float | None = None,
    preset: str | None = None, spread: float | None = None, exact_first: bool = True,
    quality: str = NORMAL, guidance: float = 1.0, listening: bool = False,
    marks: Sequence[Mark] = (), transcript: str = "",
    engine: Engine | None = None, progress: Progress = no_progress, **sliders: float,
) -> Takes:  # fmt: skip
    """Takes of a voice, best lip-sync first: those that the panel makes with the same settings, bit
    for bit.

    takes: how many.  seed: of the first one; None: as the panel chooses it, by the name of the
    sound.
    mood: one of the panel's, with a strength 0 … 1 (0.6).  preset: a direction of the Presets menu,
    which mood and sliders go before.
    sliders: of the Direction panel, such as energy=1.3, smile=0.2.  spread: how far takes go from
    all this, 0 … 1 (0.5).
    exact_first: whether the first seed's take follows the direction exactly.  quality: "draft",
    "normal" or "final".
    guidance: Voice Guidance.  listening: the face listens to the voice.
    marks: on words, such as `Mark("stressed", 0.3, 0.7)` in seconds.
    transcript: what the voice says, if it is known: lips then follow its words.
    engine: `Engine.load(weights, device)`; None: the shipped weights, on a graphics card if there
    is one.
    progress: gets (0 … 1, message) and may raise to stop.

    Warns if nobody speaks in the sound, so that takes are idle, if the voice is hard to understand,
    and if it does not seem to say the transcript.

    >>> for take in thunder.perform(voice, takes=2, seed=1, energy=1.3, quality="draft"):
    ...     print(take.seed, take.curves["jawOpen"].dtype)
    1 float32
    2 float32
    >>> thunder.perform(voice, mood="wam")
    Traceback (most recent call last):
    thunder_takes.errors.BadRequest: There is no mood “wam”: did you mean “warm”? The moods are neutral, as heard, warm, ...

    Raises BadRequest, BadWeights, OutOfMemory.
    """
    if not isinstance(voice, Voice):
        raise BadRequest(
            f"Takes are made of a voice, not of {type(voice).__name__}: read it with load"
        )
    direction = _direction(preset, mood, strength, spread, exact_first, sliders)
    if not isinstance(transcript, str):
        raise BadRequest(
            f"The transcript is what the voice says, not of {type(transcript).__name__}: give it "
            f"as text"
        )
    if marks or transcript:
        direction = replace(direction or DirectionRequest(), marks=tuple(marks), text=transcript)
    request = Request(
        takes, seed_of_voice(voice.name) if seed is None else seed, quality, guidance=guidance,
        direction=direction, listening=listening,
    )  # fmt: skip
    return _generate(engine or _usual_engine(), voice, request, progress)


def perform_as(
    take: Take, old: Voice, new: Voice, takes: int = TAKES, seed: int | None = None, *,
    transcript: str = "", engine: Engine | None = None, progress: Progress = no_progress,
) -> Takes:  # fmt: skip
    """The performance of a take of one recording, on another: a dub, a pick-up, a cleaner one. Head,
    brows, lids and eyes move to the accents and pauses of the new voice; the mouth of each take is
    sampled anew, in the take's direction and mood. Languages may differ.

    take: of the voice `old`.  new: the other recording.  takes, seed, transcript, engine, progress:
    as of `perform`, of the new one.

    >>> dubbed = thunder.perform_as(takes.best, voice, voice, takes=1)
    >>> dubbed.best.provenance["moved"]["lost"]  # accents without a counterpart, s
    []

    Raises BadRequest, BadWeights, OutOfMemory.
    """
    for voice in (old, new):
        if not isinstance(voice, Voice):
            raise BadRequest(
                f"A performance moves between voices, not {type(voice).__name__}: read them with "
                f"load"
            )
    engine = engine or _usual_engine()
    if take.channels != tuple(engine.head.expression_names):
        raise BadRequest("The take is of another head than the engine's: give the engine's own")
    vectors = np.array(take.provenance.get("reading", Direction().vector()), np.float32)[None]
    request = Request(
        takes, seed_of_voice(new.name) if seed is None else seed,
        take.provenance.get("quality", NORMAL), direction=DirectionRequest(vectors, text=transcript),
        perform_as=SourcePerformance(take.motion, old, choice=take.provenance.get("choice", {})),
    )  # fmt: skip
    return _generate(engine, new, request, progress)


def score(take: Take, voice: Voice, engine: Engine | None = None) -> LipSyncScore:
    """Lip-sync of a take with a sound: `.total`, 0 … 100, the `.parts` that it is the sum of,
    `.per_frame` float32 [T], `.findings`, `.heard`, and `.grade`: good, check or poor.

    >>> abs(thunder.score(takes.best, voice).total - takes.best.score.total) < 0.05
    True
    """
    return (engine or _usual_engine()).score(voice, take.motion, take.direction, take.seed)


def recognise(
    voice: Voice, model: str | os.PathLike = "", language: str = "", *,
    python: str | os.PathLike = "", engine: Engine | None = None, progress: Progress = no_progress,
) -> RecognisedWords:  # fmt: skip
    """The words of a voice by Whisper: `.text`, to be given to `perform` as its transcript, `.words`
    with their times in seconds, `.languages`, `.left_out`: what the model invented where nobody
    speaks, and `.wordless`: where somebody speaks and it wrote no words.

    model: folder of a Whisper model, as CTranslate2 stores it (THUNDER_WHISPER).
    language: its code or English name; "", "auto": the one that is spoken.  python: that has
    faster-whisper (THUNDER_RECOGNISER, else this one).  No network is used. progress as of `perform`.

    >>> thunder.recognise(voice, "no/such/folder")
    Traceback (most recent call last):
    thunder_takes.errors.BadWeights: There is no model that recognizes words at “no/such/folder”: choose the folder of a Whisper \
model as CTranslate2 stores it, such as Systran/faster-whisper-base of the Hugging Face hub

    Raises BadRequest, BadWeights, NoEngine, OutOfMemory.
    """
    if not isinstance(voice, Speech):
        raise BadRequest(
            f"Words are recognized in a voice, not in {type(voice).__name__}: read it with load"
        )
    code = code_of(str(language))
    if not code and language not in ("", "auto"):
        raise BadRequest(
            f"“{language}” is no language that is known: give a code such as en, de or zh, or leave "
            f"it out"
        )
    model = os.fspath(model) or os.environ.get("THUNDER_WHISPER", "")
    if not is_hub_name(model):
        find_model(model)
    executable = find_recogniser(os.fspath(python))
    found = find_model_of(executable, model)
    return (engine or _usual_engine()).recognise(
        voice, Recogniser(executable, found, code), progress
    )


def save_cues(
    take: Take, voice: Voice, path: str | os.PathLike, transcript: str = "",
    engine: Engine | None = None,
) -> None:  # fmt: skip
    """Write what a take of a voice says: words (of its transcript), sounds and mouth shapes with
    their times, as a table (.tsv), or the shapes as Rhubarb Lip Sync writes them (.json).

    >>> thunder.save_cues(takes.best, voice, "line.tsv")

    Raises BadRequest, NoSpace.
    """
    as_text = _by_ending(path, {".tsv": cue_file.as_table, ".json": cue_file.as_rhubarb})
    sounds, words, matches = (engine or _usual_engine()).spoken(voice, transcript)
    rows = [[each.phone, each.start, each.end, each.sure, each.others] for each in sounds]
    spoken = Spoken(rows, tuple(words), transcript, matches)
    text = as_text(cue_file.cues_of(spoken, 0.0, take.opening), voice.name)
    _write(path, lambda part: write_file(part, text))


def speak(take: Take, voice: Voice | None = None, engine: Engine | None = None) -> Voice:
    """The sound that a take's mouth makes, in the timbre of `voice`; None: an average one.

    >>> thunder.speak(takes.best, voice).save("says.wav")
    """
    speech = (engine or _usual_engine()).listen(take.motion, voice)
    return Voice(speech.samples, speech.rate, "speech")


def _generate(engine: Engine, voice: Voice, request: Request, progress: Progress) -> Takes:
    """The takes of a request, with a warning of everything that the engine notes on its voice."""
    notes: list[str] = []
    made = engine.generate(voice, request, progress, on_note=notes.append)
    for note in notes:
        warnings.warn(NOTES[note].format(voice.name), stacklevel=3)
    return Takes(_take(take, engine, request.direction) for take in made)


@lru_cache(maxsize=1)
def _usual_engine() -> Engine:
    return Engine.load()


def _direction(
    preset: str | None, mood: str | None, strength: float | None, spread: float | None,
    exact_first: bool, sliders: Mapping[str, float]
) -> DirectionRequest | None:  # fmt: skip
    """The direction that these settings describe, None without any. Raises BadRequest."""
    if (
        preset is None
        and mood is None
        and strength is None
        and spread is None
        and exact_first
        and not sliders
    ):
        return None
    base = Preset("") if preset is None else Presets(SHIPPED).look_up(preset)
    for name in sliders.keys() - _SLIDERS.keys():
        raise BadRequest(
            f"There is no slider “{name}”: {_suggestion(name, _SLIDERS)}The sliders are "
            f"{', '.join(_SLIDERS)}"
        )
    values = {
        name: check_number(name, value, _SLIDERS[name].least, _SLIDERS[name].most)
        for name, value in sliders.items()
    }
    if mood is not None and mood not in CHOICES:
        raise BadRequest(
            why_left_out(f"{mood}.json")
            or f"There is no mood “{mood}”: {_suggestion(mood, CHOICES)}The moods are {', '.join(CHOICES)}"
        )
    if strength is not None and (mood or base.direction.mood) == NEUTRAL:
        raise BadRequest("A strength is of a mood: add one, such as mood='warm'")
    if strength is None:
        strength = base.direction.strength if mood is None else STRENGTH
    named = (mood or base.direction.mood, check_number("strength", strength, 0.0, 1.0))
    return base.direction_request(
        values,
        named,
        None if spread is None else check_number("spread", spread, 0.0, 1.0),
        exact_first,
    )


def _suggestion(name: str, names: Iterable[str]) -> str:
    near = suggest(name, names)
    return f"{near} " if near else ""


def _take(take: types.SampledTake, engine: Engine, request: DirectionRequest | None) -> Take:
    """An engine's take with its channels, and the direction that its score compares with."""
    values = {field.name: getattr(take, field.name) for field in fields(types.SampledTake)}
    direction = replace(request or DirectionRequest(), exact_first=take.provenance["as_asked"])
    return Take(**values, channels=tuple(engine.head.expression_names), direction=direction)


def _by_ending(path: str | os.PathLike, writers: Mapping[str, Callable]) -> Callable:
    """What writes files of a path's ending. Raises BadRequest."""
    name, *endings = os.path.basename(path), *writers
    ending = os.path.splitext(name)[1].lower()
    if ending not in writers:
        raise BadRequest(
            f"“{name}” cannot be written: choose a name that ends with "
            f"{', '.join(endings[:-1])} or {endings[-1]}"
        )
    return writers[ending]


def _write(path: str | os.PathLike, write: Callable[[str], None]) -> None:
    """Write a file whole or not at all. Raises BadRequest, NoSpace."""
    try:
        with part_of(path) as part:
            write(part)
    except OSError as error:
        if is_full_disk(error):
            raise NoSpace(
                f"No space is left for “{os.path.basename(path)}”: free some and try again"
            ) from error
        raise BadRequest(
            f"“{os.fspath(path)}” cannot be written ({error.strerror}): choose another folder or "
            f"name"
        ) from error
