# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's three operations: generate takes from a sound, score a motion, generate speech from a motion."""

from __future__ import annotations

import contextlib
import gc
import importlib.metadata
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..animation.played import Played
from ..animation.shown import Line, measured, shown
from ..animation.style_of_motion import style_of_mouth
from ..direction import Asked, AXES, check, Direction, over_frames
from ..errors import BadHead, BadRequest, BadWeights
from ..face.head import Head, read_head
from ..face.lips import Lips
from ..progress import no_progress
from ..quality import NORMAL
from ..system_calls import release_free_memory
from ..systems import DEFAULT, DIRECTION, MOOD, SYSTEMS
from ..types import FPS, IDLE, Keep, LipSyncScore, LISTENS, Motion, pack, RATE, SPEAKS, Speech, Take
from .batches import in_portions, in_turn, Run, SharedProgress, side_by_side
from .cards import advice, check_regular, unusable
from .diffusion.sampling import Inpainting, WINDOW
from .m2s.judge import Judge, opening_and_width, PLAIN, Reference, STRESSED
from .m2s.model import MeshToSpeech
from .m2s.mouth import Mouth
from .m2s.score import evidence, grade, Scale, voiced
from .m2s.vocoder import Vocoder
from .precision import chosen_precision, FLOAT32
from .readings import emphasised, reading
from .speech import transcript
from .speech.audio import sound_hash
from .speech.encoder import LOUDNESS
from .speech.phones import PHONES
from .speech.speaker import SpeakerEncoder, WIDTH as SPEAKER
from .speech.transcript import Closure
from .stresses import stressed, stresses
from .systems.performing import check_request, NetworkPerformer, open_performer, over_picture, Performer, STEPS_OF
from .systems.thunder import Thunder, VoiceFeatures
from .weights import identify, Identity, SHIPPED

Progress = Callable[[float, str], None]
_PORTION_FRAMES = 1000  # frames denoised together: fewer is less efficient, more delays the first take
_FRAMES_AT_WORK = 150_000  # bound for takes that are articulated or scored in parallel: two of an hour need 2.5 GB
_FRAMES_SAMPLED = 200_000  # the same for takes that are sampled, which needs a tenth of that memory
_M2S_WINDOW, _M2S_MARGIN = 500, 50  # frames that mesh-to-speech reads at once, and the context on either side
_LONG = 15_000  # frames of a sound after whose steps freed memory is released, which takes milliseconds: an hour needs a fifth less
_KNOWN_AHEAD = 3000  # frames up to which a take's `Reference` is worked out beside sampling: it is held until then, with 440 bytes a frame
_SPOKEN = 0.5  # presence (0 … 1) above which a sound counts as containing speech
_REMEMBERED, _REMEMBERED_FRAMES = 8, 100_000  # cached sounds, and their total frames (one hour, 90 MB)


def _head_of(folder: Path) -> Head:
    """The head among the weights of a folder. Raises BadWeights."""
    path = folder / "head.npz"
    if not path.is_file():
        raise unusable(path, "is missing")
    try:
        return read_head(path)
    except BadHead as error:
        raise unusable(path, f"is damaged ({error.reason})") from error


def _resolve(identity: Future[Identity], folder: Path) -> None:
    """Thread: identify the weights in a folder, and log it if they are not the shipped ones."""
    try:
        result = identify(folder)
        if result.sentence:
            print(result.sentence, file=sys.stderr)
        identity.set_result(result)
    except BaseException as error:
        identity.set_exception(error)


def _unmet(take: Take) -> None:
    """A callback for arriving takes that does nothing."""


def _rounded(styles: np.ndarray) -> list[float]:
    """The mean of a reading over its line, for a take's provenance."""
    return [round(float(x), 4) for x in styles.mean(0)]


def _is_as_asked(asked: Asked, seed: int, first: int) -> bool:
    """Whether the take of `seed` follows the direction exactly: the first seed of a batch, if that was requested."""
    return asked.as_asked and seed == first


def _spread_of(asked: Asked, seed: int, first: int) -> float:
    """Spread of the take of `seed` around the requested direction, 0 … 1."""
    return 0.0 if _is_as_asked(asked, seed, first) else asked.spread


def _is_played_otherwise(asked: Asked, seed: int, first: int) -> bool:
    """Whether a take is not played just as the direction that scores compare with."""
    return asked.original is not None or _spread_of(asked, seed, first) > 0


def memory_of_portion(takes: int, frames: int, most: float) -> str:
    """A sentence on the memory, MB, that takes of `frames` frames needed at most together, weights included."""
    return f"{takes} take{'s' if takes > 1 else ''} of {frames / FPS:.0f} s: at most {most:.0f} MB, {most / takes:.0f} MB each"


def _tidy(frames: int) -> None:
    """Release memory after a step of work on a sound of so many frames, if it is a long one."""
    if frames > _LONG:
        release_free_memory()


def threads_for(frames: int, threads: int, most: int = _FRAMES_AT_WORK) -> int:
    """Number of `threads` that may work in parallel on takes of `frames` frames, `most` frames in all."""
    return max(1, min(threads, most // max(1, frames)))


def portions(seeds: list[int], frames: int, device: str, threads: int = 1) -> list[list[int]]:
    """Split seeds into portions that are sampled together, as few as keep the device busy.

    On a CPU each of `threads` threads works on one portion at a time. On a GPU 16 takes cost little more than one, so a
    portion has up to 16.
    """
    if device == "cpu" and threads > 1 and len(seeds) > threads:  # the animator waits for the first take, so it is sampled alone
        return [seeds[:1], *_evenly(seeds[1:], frames, device, threads)]
    return _evenly(seeds, frames, device, threads)


def _evenly(seeds: list[int], frames: int, device: str, threads: int) -> list[list[int]]:
    """Seeds in portions of nearly equal size, larger ones first, so that threads finish at about the same time."""
    most = 16
    if device == "cpu":
        together = frames if threads > 1 else min(frames, WINDOW)  # parallel portions keep all frames of their takes in memory
        most = min(16, max(1, round(_PORTION_FRAMES / together)), -(-len(seeds) // threads))
    count = -(-len(seeds) // most)
    bounds = [-(-len(seeds) * i // count) for i in range(count + 1)]
    return [seeds[a:b] for a, b in zip(bounds, bounds[1:])]


@dataclass(frozen=True)
class Expectation:
    """References of the judge for a take.

    lips, asked: in its own direction and in the one that was requested (its own, if that is not known), [1, T, 4, 3] as `Engine._lips`.
    plain: as `asked`, or in its own direction without its stresses.
    hard: [T], opinion of usual takes at each frame.
    allowed: [1 or T], of `Judge.allowance` for the curve over time, in its own direction.
    known: what the judge knows of sound and lips; None of long sounds, where it is worked out when the take is scored.
    """

    lips: Tensor
    asked: Tensor
    plain: Tensor
    hard: Tensor
    allowed: Tensor
    known: Reference | None


@dataclass(frozen=True)
class Requested:
    """What the model expects of a line in the requested direction.

    lips: as `Expectation`'s.  measures: as `animation.shown.measured`.
    """

    lips: Tensor
    measures: dict[str, float]


_Turn = contextlib.AbstractContextManager[object]
_NO_TURN: _Turn = contextlib.nullcontext()
_Draw = Callable[[list[int], Callable[[float], None], list[np.ndarray] | None, list[float] | None, _Turn, Run], list[Motion]]


@dataclass
class _Request:
    """One request for takes; samples and scores portions of it on any thread.

    draw: (seeds, progress, direction of each, spread of each, turn, run) → a motion for each seed.
    about: provenance shared by all takes.  scored: whether takes get a score (somebody speaks).  expects: scored, with directions known
    before sampling.  arrived: number of finished takes.  turn: held where a take is worked on at its whole length, which needs memory.
    requested: of `_requested`, once it is known; requesting: held while it is worked out.
    """

    engine: Engine
    voice: VoiceFeatures
    seeds: list[int]
    asked: Asked | None
    readings: dict[int, np.ndarray]
    draw: _Draw
    about: dict
    report: SharedProgress
    scored: bool
    expects: bool
    arrived: int = 0
    turn: _Turn = _NO_TURN
    requested: Requested | None = None
    requesting: threading.Lock = field(default_factory=threading.Lock)

    def takes(self, threads: int) -> Generator[Take, None, None]:
        """Every take as soon as it is done, in the order of their seeds; at most `threads` threads work on them."""
        with contextlib.closing(self._portions_done(threads)) as done:
            for takes in done:
                for take in takes:
                    self.arrived += 1
                    yield take

    def _portions_done(self, threads: int) -> Generator[list[Take], None, None]:
        """The takes of every portion; each thread works on takes of its own, as many threads as memory allows."""
        beside = threads_for(self.voice.frames, threads, _FRAMES_SAMPLED)
        self.turn = threading.BoundedSemaphore(threads_for(self.voice.frames, threads, _FRAMES_AT_WORK))
        rest = portions(self.seeds, self.voice.frames, self.engine.device, beside)
        if rest and beside > 1:
            yield from side_by_side([task for seeds in rest for task in self._tasks(seeds)], beside, self.report.stop)
        elif rest:
            for seeds, takes in in_portions(rest, self._whole, self.engine._give_memory_back):
                self.engine._report_memory(seeds, self.voice.frames)
                yield takes

    def _whole(self, seeds: list[int]) -> list[Take]:
        """A portion's takes, one step after the other."""
        return self._finished(seeds, self._sampled(seeds), self._expected(seeds))

    def _tasks(self, seeds: list[int]) -> list[Callable[[Run], list[Take]]]:
        """Two tasks for a portion, run in parallel: one computes the expectation, the other samples and then waits for it."""
        expectations: Future[list[Expectation] | None] = Future()

        def expect(_: Run) -> list[Take]:
            try:
                expectations.set_result(self._expected(seeds))
            except BaseException as error:
                expectations.set_exception(error)
                raise
            _tidy(self.voice.frames)
            return []

        def sample(run: Run) -> list[Take]:
            motions, expected = self._sampled(seeds, run), expectations.result()
            with self.turn:
                # Of long takes one thing at a time is measured, for the memory that each needs.
                takes = self._finished(seeds, motions, expected, run if len(seeds) * self.voice.frames <= _PORTION_FRAMES else in_turn)
            _tidy(self.voice.frames)
            return takes

        return [expect, sample]

    def _spread(self, seed: int) -> float:
        return _spread_of(self.asked, seed, self.seeds[0])

    def _sampled(self, seeds: list[int], run: Run = in_turn) -> list[Motion]:
        of = f"{len(self.seeds)} take{'s' if len(self.seeds) > 1 else ''}"

        def tell(fraction: float) -> None:
            self.report(seeds, 0.9 * fraction, f"{self.arrived} of {of} sampled" if self.arrived else f"Sampling {of}")

        if self.asked is None:
            return self.draw(seeds, tell, None, None, self.turn, run)
        return self.draw(seeds, tell, self._played(seeds), [self._spread(s) for s in seeds], self.turn, run)

    def _played(self, seeds: list[int]) -> list[np.ndarray]:
        """The directions [T, DIRECTION_NAMES] that takes are sampled in, with the stresses of each."""
        return [emphasised(self.readings[s], s, self._spread(s), self.voice.accents) for s in seeds]

    def _expected(self, seeds: list[int]) -> list[Expectation] | None:
        """The model's expectation for takes before they are sampled; None if their directions are not known yet."""
        if not self.expects:
            return None
        # With each take's own stresses and breaths, which would otherwise count as errors.
        own = [_is_played_otherwise(self.asked, s, self.seeds[0]) for s in seeds]
        return self.engine._expect(self.voice, self._played(seeds), own, lambda: self._requested().lips, self.turn, seeds)

    def _requested(self) -> Requested:
        """What the model expects in the requested direction."""
        with self.requesting:  # threads that need it at the same time wait for the first
            if self.requested is None:
                motion = self.engine._requested(self.voice, self.asked, self.turn)
                self.requested = Requested(self.engine._lips(motion), self.engine._measured(motion, self.voice))
            return self.requested

    def _finished(
        self, seeds: list[int], motions: list[Motion], expectations: list[Expectation] | None, run: Run = in_turn
    ) -> list[Take]:  # fmt: skip
        """Takes with their scores and what is told of them, which `run` may begin beside the scores."""
        described = run.begin(lambda: [self._described(seed, motion) for seed, motion in zip(seeds, motions)])
        scores: list[LipSyncScore | None] = [None] * len(motions)
        if self.scored:
            scores = [*self.engine._grade(motions, self.voice, expectations, self.asked, lambda *how_far: self.report(seeds, *how_far))]
        takes = []
        for motion, seed, score, (opening, width, more) in zip(motions, seeds, scores, described()):
            about = self.about | {"seed": seed} | ({} if score is None else {"score": score.total})
            if self.asked is not None:
                played_so = _is_as_asked(self.asked, seed, self.seeds[0])
                about |= {"spread": self.asked.spread, "as_asked": played_so, "reading": _rounded(self.readings[seed])}
            takes.append(Take(motion, seed, score, opening, width, about | more))
        return takes

    def _described(self, seed: int, motion: Motion) -> tuple[np.ndarray, np.ndarray, dict]:
        """(opening [T], width [T], provenance) of a take's motion: of one that varies a direction, how much it shows."""
        more = {}
        if self.expects and _is_played_otherwise(self.asked, seed, self.seeds[0]):
            values = self.engine._measured(motion, self.voice)
            more["shown"] = shown(values, self._requested().measures, Line.of(motion.frames / FPS, self.voice.phrasing.weights))
        return *self.engine._opening_and_width(motion), more


class Engine:
    """Everything that is loaded: head, encoder, diffusion model, mesh-to-speech with its judge and vocoder, speaker network."""

    def __init__(self, folder: Path, device: str, precision: str = FLOAT32):
        self.folder, self.device = folder, device
        check_regular(folder)
        # Files are read for their checksums in parallel to loading; access to the identity waits for the result.
        self._identity: Future[Identity] = Future()
        threading.Thread(target=_resolve, args=(self._identity, folder), name="identity", daemon=True).start()
        self.head = _head_of(folder)
        self.thunder = Thunder(folder, device, self.head, precision)
        self.m2s = MeshToSpeech.load(folder).to(device)
        self.mouth = Mouth(self.m2s.mouth or self.head).to(device)
        self.judge = Judge.load(folder).to(device)
        self.vocoder = Vocoder.load(folder).to(device)
        self.speaker = SpeakerEncoder.load(folder).to(device)
        self._check_that_all_fit()
        self._known: dict[str, VoiceFeatures] = {}
        self._performers: dict[str, Performer] = {}  # systems besides THUNDER, loaded on first use

    @property
    def identity(self) -> Identity:
        """Identity of the weights."""
        return self._identity.result()

    @property
    def weights(self) -> str:
        """The fingerprint of the weights."""
        return self.identity.fingerprint

    @classmethod
    def load(cls, weights: str | Path | None = None, device: str | None = None, precision: str | None = None) -> Engine:
        """Load the weights in a folder (default: the embedded ones) on "cpu", "cuda:0" … (default: GPU if there is one).

        precision: of `engine.precision`; None: what the environment variable says, otherwise what suits the device.
        Raises BadWeights, BadRequest.
        """
        device = device or ("cuda:0" if torch.cuda.is_available() else "cpu")
        return cls(Path(weights) if weights else SHIPPED, device, precision or chosen_precision(device))

    def _check_that_all_fit(self) -> None:
        """Raise BadWeights if networks of one folder were not trained for each other."""
        thunder, m2s = self.thunder, self.m2s.config
        features = (thunder.feature_encoder or thunder.encoder).config.width + len(PHONES) + LOUDNESS
        for what, one, other in (
            ("encoder and units", thunder.encoder.config.width, thunder.units.centroids.shape[1]),
            ("encoder and denoiser", features, thunder.denoiser.config.audio),
            ("encoder and judge", features, self.judge.config.speech),
            ("m2s and head", (m2s.space, m2s.inputs), ("mouth", self.mouth.size)),
            ("m2s and judge", m2s.width, self.judge.config.heard or m2s.width),
            ("m2s and units", m2s.units, thunder.units.count),
            ("m2s and vocoder", m2s.units, self.vocoder.config.units),
            ("m2s and speaker", m2s.speaker, SPEAKER),
            ("vocoder and speaker", self.vocoder.config.speaker, SPEAKER),
        ):
            if one != other:
                raise BadWeights(
                    f"In the weights in “{self.folder}”, {what} were not trained together: take all files from one "
                    f"training, or {advice(self.folder)}"
                )

    def prepare(self) -> Iterator[None]:
        """Load what only the first takes need, one part per `yield`. Does nothing once there were takes.

        Each network runs once on a short noise, because torch allocates memory and compiles kernels at the first call.
        """
        if self._known:
            return
        importlib.import_module("soundfile")
        yield
        frames = 2 * _M2S_MARGIN
        noise = torch.randn(int(frames / FPS * RATE), generator=torch.Generator().manual_seed(0))
        voice = self.thunder.analyse(0.1 * noise, frames)
        yield
        self._grade(self.thunder.perform(voice, [0], 1, 1.0, lambda fraction: None), voice, None)

    def info(self) -> dict:
        """The answer to hello: engine, device, fingerprint and origin of the weights and whether they can be directed, channel
        names, library versions."""
        return {
            "engine": self.thunder.name,
            "device": self.device,
            "precision": self.thunder.precision,
            "weights": self.weights,
            "weights_origin": self.identity.origin,
            "weights_note": self.identity.sentence,
            "channels": list(self.head.expression_names),
            "knows_styles": self.thunder.knows_styles,
            "versions": {name: importlib.metadata.version(name) for name in ("torch", "torchaudio")},
        }

    def generate(  # noqa: PLR0913 (what one request says)
        self, speech: Speech, takes: int, seed: int, steps: int = 0, guidance: float = 1.0, speech_guidance: float = 0.0,
        keep: Keep | None = None, asked: Asked | None = None, progress: Progress = no_progress, arrived: Callable[[Take], None] = _unmet,
        listening: bool = False, quality: str = NORMAL, system: str = DEFAULT, reference: np.ndarray | None = None,
        picture: np.ndarray | None = None, nobody_speaks: Callable[[], None] = lambda: None,
    ) -> list[Take]:  # fmt: skip
        """Sample `takes` performances of a sound, best lip-sync first; take i has seed `seed` + i.

        listening: the sound is another person's voice, to which the face listens. Such takes, and those of a sound without speech, have no
        score, come in the order of their seeds and have the role in their provenance ("role").

        quality: one of QUALITIES.  steps: of the whole diffusion model, instead of the quality's; 0: the quality's.
        guidance: s_a of classifier-free guidance.  speech_guidance: strength of the guidance by mesh-to-speech, 0 … 2.
        keep: the fixed part, into which the sampled rest blends.  asked: requested directions; None: any style.  `progress` is called with
        (0 … 1, message) before each step and may raise to cancel.  `arrived` gets every take as soon as it is sampled and scored, in the
        order of the seeds.  system: which of SYSTEMS performs; each does only part of this (`systems.performing.check_request`).
        reference: a packed motion whose style DiffPoseTalk takes.  picture: grey [h, w] 0 … 1, of a face whose mood Media2Face takes, or
        the moods [MOODS but neutral] that were read off one before: a take's provenance has them under "picture".  nobody_speaks: is
        called before takes are sampled if the sound has no speech, so that they will be idle.
        Raises BadRequest.
        """
        other = self._other_system(system, asked, keep is not None, speech_guidance > 0, guidance, reference, picture)
        shown = None
        if picture is not None:
            assert isinstance(other, NetworkPerformer)  # `check_request` accepts a picture for Media2Face alone
            shown = other.moods_of(picture)
            asked = over_picture(asked, shown)
        readings = {} if asked is None else self._readings(asked, takes, seed, speech.frames)
        if SYSTEMS[system].follows == MOOD:
            for style in readings.values():
                style[:, : len(AXES)] = 0.0
        sound = sound_hash(speech)
        voice, role = self._voice_and_role(speech, sound, listening, lambda x: progress(0.02 + 0.06 * x, "Analyzing the voice"))
        kept = None if keep is None else self._kept(keep, speech.frames)
        guide = self.thunder.speech_guidance(self.m2s, self.mouth, voice, speech_guidance) if speech_guidance and role == SPEAKS else None
        about = {
            "engine": self.thunder.name, "weights": self.weights, "weights_origin": self.identity.origin, "audio": sound,
            "precision": self.thunder.precision, "guidance": guidance, "speech_guidance": speech_guidance,
            **({"steps": steps} if steps else {"quality": quality}),
        }  # fmt: skip
        if role == IDLE:
            nobody_speaks()
        if role != SPEAKS:
            about["role"] = role
        if other is not None:
            about |= {"engine": system} | ({"system_weights": other.fingerprint} if other.fingerprint else {})
        if shown is not None:
            about["picture"] = [round(float(x), 3) for x in shown]

        def draw(
            seeds: list[int], tell: Callable[[float], None], styles: list[np.ndarray] | None, spreads: list[float] | None,
            turn: _Turn, run: Run,
        ) -> list[Motion]:  # fmt: skip
            if other is None:
                return self.thunder.perform(voice, seeds, steps or quality, guidance, tell, kept, guide, styles, spreads, turn, run)
            return other.perform(voice, seeds, steps or STEPS_OF[quality], guidance, tell, styles, reference)

        request = _Request(
            self, voice, [seed + i for i in range(takes)], asked, readings, draw, about,
            SharedProgress(takes, lambda fraction, message: progress(0.08 + 0.92 * fraction, message)),
            role == SPEAKS, role == SPEAKS and asked is not None and SYSTEMS[system].follows == DIRECTION,
        )  # fmt: skip
        result = []
        with contextlib.closing(request.takes(torch.get_num_threads() if self.device == "cpu" and other is None else 1)) as made:
            for take in made:
                result.append(take)
                arrived(take)
        return sorted(result, key=lambda t: (0.0 if t.score is None else -t.score.total, t.seed))

    def _give_memory_back(self) -> None:
        """Let the device have the memory that torch keeps for later."""
        gc.collect()
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    def _report_memory(self, seeds: list[int], frames: int) -> None:
        """Write to the log how much of a card's memory a portion of takes needed at most, and forget it."""
        if self.device.startswith("cuda"):
            most = torch.cuda.max_memory_allocated(self.device) / 1e6
            print(memory_of_portion(len(seeds), frames, most), file=sys.stderr)
            torch.cuda.reset_peak_memory_stats(self.device)

    def _other_system(
        self, name: str, asked: Asked | None, keeps: bool, pulls: bool, guidance: float, reference: np.ndarray | None,
        picture: np.ndarray | None,
    ) -> Performer | None:  # fmt: skip
        """The requested system, None for THUNDER. Raises BadRequest if it does not support the request, BadWeights."""
        if name not in SYSTEMS:
            raise BadRequest(f"There is no engine “{name}”: choose one of {', '.join(SYSTEMS)}")
        check_request(SYSTEMS[name], None if asked is None else [asked.vectors], keeps, pulls, guidance, reference, picture)
        if name == DEFAULT:
            return None
        if name not in self._performers:
            self._performers[name] = open_performer(name, self.folder, self.thunder)
        return self._performers[name]

    def _readings(self, asked: Asked, takes: int, seed: int, frames: int) -> dict[int, np.ndarray]:
        """The direction of each seed's take. Raises BadRequest if a direction is invalid, or the weights support none."""
        self.thunder.check_style()
        check(asked.vectors)
        vectors = over_frames(asked.vectors, frames)
        return {s: reading(vectors, s, _spread_of(asked, s, seed)) for s in range(seed, seed + takes)}

    def score(self, speech: Speech, motion: Motion, asked: Asked | None = None, seed: int = 0) -> LipSyncScore:
        """Lip-sync score of a motion with a sound. Both start together and are cut to the shorter.

        asked, seed: the motion is that of the take of this seed, sampled in this direction: exactly so if `as_asked`. Without a direction
        one is estimated from the motion. Raises BadRequest.
        """
        motion = self._checked(motion)
        frames = min(motion.frames, speech.frames)
        voice, expectations = self._analyse(speech), None
        if asked is not None:
            # Stresses depend on the length of the sound, which a motion may not have.
            directions, own = self._readings(asked, 1, seed, speech.frames), [_is_played_otherwise(asked, seed, seed)]
            played = emphasised(directions[seed], seed, _spread_of(asked, seed, seed), voice.accents)[:frames]
            start = voice.part(0, frames)
            expectations = self._expect(start, [played], own, lambda: self._lips(self._requested(start, asked)), seeds=[seed])
        return self._grade([motion.part(slice(0, frames))], voice, expectations, asked)[0]

    def _requested(self, voice: VoiceFeatures, asked: Asked, turn: _Turn = _NO_TURN) -> Motion:
        """What the model expects in the direction that was requested."""
        return self.thunder.expected(voice, [over_frames(asked.requested, voice.frames)], turn)[0]

    def measures(self, speech: Speech, motion: Motion) -> dict[str, float]:
        """What a take of a sound shows, as `animation.shown.measured`."""
        return self._measured(self._checked(motion), self._analyse(speech))

    def expected_measures(self, speech: Speech, asked: Asked) -> dict[str, float]:
        """The same of what the model expects of a sound in the direction that is requested. Raises BadRequest."""
        self.thunder.check_style()
        check(asked.vectors)
        voice = self._analyse(speech)
        return self._measured(self._requested(voice, asked), voice)

    def closures(self, speech: Speech, text: str) -> tuple[list[Closure], list[tuple[float, float]]]:
        """Times of lip closures for the m, b and p of a text in a sound, and the sound's silent parts, in seconds."""
        _, logits = self.thunder.encoder.analyse(self._samples(speech).to(self.device))
        belief = logits.float().softmax(-1).cpu().numpy()
        return transcript.closures(belief, text), transcript.pauses(belief)

    def listen(self, motion: Motion, voice: Speech | None = None) -> Speech:
        """The speech of a motion, in the voice of `voice` (None: an average one), as sound of the same length."""
        motion = self._checked(motion)
        if voice is None:
            speaker = torch.full((256,), 256**-0.5, device=self.device)
        else:
            speaker = self.speaker.embed(self._samples(voice).to(self.device))
        sound = self.vocoder.speak(*self._draw(motion, speaker), speaker)[: round(motion.frames / FPS * RATE)]
        return Speech(sound.cpu().numpy().astype(np.float32), RATE)

    def _spoken(self, motion: Motion) -> tuple[Tensor, Tensor]:
        """Expression [T, n] and jaw [T, 3] of a motion on the device."""
        expression, jaw = (torch.from_numpy(np.ascontiguousarray(x, np.float32)).to(self.device) for x in (motion.expression, motion.jaw))
        return expression, jaw

    def _windows(self, motion: Motion) -> Iterator[tuple[Tensor, slice]]:
        """Mouth vertices [1, t, n_m, 3] window by window, so that length costs no memory, and the frames to keep of each."""
        expression, jaw = self._spoken(motion)
        for start in range(0, motion.frames, _M2S_WINDOW):
            end = min(start + _M2S_WINDOW, motion.frames)
            a, b = max(0, start - _M2S_MARGIN), min(motion.frames, end + _M2S_MARGIN)
            yield self.mouth(expression[None, a:b], jaw[None, a:b]), slice(start - a, end - a)

    @torch.no_grad()
    def _draw(self, motion: Motion, speaker: Tensor) -> tuple[Tensor, Tensor]:
        """Motion → log-mel [4T, 80] and speech units [2T] of its speech."""
        mels, units = [], []
        for seen, keep in self._windows(motion):
            logits, mel = self.m2s(seen, speaker[None])
            mels.append(mel[0, 4 * keep.start : 4 * keep.stop])
            units.append(logits[0, 2 * keep.start : 2 * keep.stop].argmax(-1))
        return torch.cat(mels), torch.cat(units)

    def _analyse(self, speech: Speech, sound: str = "", progress: Callable[[float], None] = lambda fraction: None) -> VoiceFeatures:
        """The features of a sound; the last few are cached, of long sounds fewer.  sound: its `sound_hash`, if it is known."""
        progress(0.0)
        key = sound or sound_hash(speech)
        if key not in self._known:

            def frames() -> int:
                return sum(voice.frames for voice in self._known.values()) + speech.frames

            while len(self._known) >= _REMEMBERED or (self._known and frames() > _REMEMBERED_FRAMES):
                self._known.pop(next(iter(self._known)))
            self._known[key] = self.thunder.analyse(self._samples(speech), speech.frames, progress)
            _tidy(speech.frames)
        return self._known[key]

    def _voice_and_role(
        self, speech: Speech, sound: str, listening: bool, progress: Callable[[float], None]
    ) -> tuple[VoiceFeatures, str]:  # fmt: skip
        """(features of a sound with this `sound_hash`, role of the face): LISTENS if requested, IDLE without speech, else SPEAKS."""
        voice = self._analyse(speech, sound, progress)
        if listening:
            return self.thunder.overhear(voice), LISTENS
        return (voice, SPEAKS) if float(voice.presence.max()) >= _SPOKEN else (voice.unspoken(), IDLE)

    def _opinion(self, motion: Motion, voice: VoiceFeatures, expectation: Expectation) -> tuple[Tensor, Tensor]:
        """The judge's opinions per frame [1, T, 2] and for the whole clip [1] of a motion of the sound."""
        more, speech = (), voice.features[None]
        if self.judge.config.heard:
            features, lips, log_odds = self._look(motion, voice)
            more = features, log_odds
        else:
            lips = self._lips(motion)
        known = self.judge.reference(speech, expectation.lips, expectation.asked) if expectation.known is None else expectation.known
        in_all = self.judge.in_all(speech, lips, expectation.plain, voice.opening[None, : motion.frames])
        return self.judge.opinion(lips, known, *more), in_all

    @cached_property
    def _margins(self) -> Lips:
        """The margins of the head's lips. Raises BadHead if they are not known."""
        return Lips.of(self.head)

    def _opening_and_width(self, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
        """As `face.lips.opening_mm` and `width_mm` measure a motion, each float32 [T]."""
        return self._margins.opening(motion).astype(np.float32), self._margins.width(motion).astype(np.float32)

    def _measured(self, motion: Motion, voice: VoiceFeatures) -> dict[str, float]:
        """What a motion shows, as `animation.shown.measured`."""
        return measured(self._played, motion, voice.presence.cpu().numpy() > _SPOKEN)

    @cached_property
    def _played(self) -> Played:
        return Played.of(self.head)

    def _lips(self, motion: Motion) -> Tensor:
        """Positions of the judge's four lip points, [1, T, 4, 3] metres from rest."""
        return self.mouth.lip_points(*(part[None] for part in self._spoken(motion)))

    @torch.no_grad()
    def _grade(
        self, motions: list[Motion], voice: VoiceFeatures, expectations: Sequence[Expectation] | None, asked: Asked | None = None,
        progress: Progress = no_progress,
    ) -> list[LipSyncScore]:  # fmt: skip
        """Scores of motions of one length against the start of a sound that was analysed before.

        expectations: the model's expectation in the direction of each, None if the directions are to be estimated from the motions.
        asked: the requested direction, if it is known.
        """
        known, frames, scores = self.judge.config, motions[0].frames, []
        voice, scale = voice.part(0, frames), Scale((known.off, known.damped, known.right))
        near_scale = Scale((known.off_near, known.damped_near, known.right_near))
        progress(0.9, "Ranking by lip-sync")
        allowed = 0.0 if asked is None else self._allowed(over_frames(asked.requested, frames))[:, PLAIN]
        if expectations is None:
            expectations = self._expect_of(motions, voice)
        for i, (motion, expectation) in enumerate(zip(motions, expectations)):
            progress(0.95 + 0.05 * i / len(motions), "Ranking by lip-sync")
            opinion, in_all = self._opinion(motion, voice, expectation)
            near, total = opinion[..., STRESSED] - expectation.allowed, opinion[..., PLAIN] - allowed
            scores += grade(total, voice.features[:, -LOUDNESS:], scale, expectation.hard, near_scale, in_all, near)
        return scores

    @torch.no_grad()
    def _expect(
        self, voice: VoiceFeatures, directions: Sequence[np.ndarray], own: Sequence[bool] = (),
        asked: Callable[[], Tensor] | None = None, turn: _Turn = _NO_TURN, seeds: Sequence[int] = (),
    ) -> list[Expectation]:  # fmt: skip
        """What the judge compares takes of a sound with, that are played in each direction [DIRECTION_NAMES or T, DIRECTION_NAMES].

        own: whether each take is played otherwise than requested (default: none is).  asked: gives the lips that the model expects in the
        requested direction; takes that are played so have it as their own.  turn: as `Thunder.perform`'s.  seeds: of the takes, if they are known.
        """
        result = []
        expected = self._expected_lips(voice, directions, turn, seeds)
        for direction, lips, otherwise in zip(directions, expected, own or [False] * len(directions)):
            requested, speech = asked() if asked is not None and otherwise else lips, voice.features[None]
            known = self.judge.reference(speech, lips, requested) if voice.frames <= _KNOWN_AHEAD else None
            allowed = self._allowed(np.atleast_2d(direction))[:, STRESSED]
            result.append(Expectation(lips, requested, requested, self.judge.hard(speech, lips)[0], allowed, known))
        return result

    def _allowed(self, direction: np.ndarray) -> Tensor:
        """`Judge.allowance` for a direction [1 or T, DIRECTION_NAMES], on the device."""
        return torch.from_numpy(self.judge.allowance(direction)).to(self.device)

    def _expect_of(self, motions: list[Motion], voice: VoiceFeatures) -> list[Expectation]:
        """As `_expect` of motions whose direction is not known: style and stressed words are read off the motions."""
        directions = [Direction(style_of_mouth(motion, self.head.expression_names)).vector() for motion in motions]
        plain, loud = self._expected_lips(voice, directions), voiced(voice.features[:, -LOUDNESS:]).cpu().numpy() > 0
        openings = [[opening_and_width(lips)[0][0].cpu().numpy() for lips in both] for both in zip(map(self._lips, motions), plain)]
        played = [stressed(direction, stresses(own, expected, loud)) for direction, (own, expected) in zip(directions, openings)]
        return [replace(each, plain=lips) for each, lips in zip(self._expect(voice, played), plain)]

    @torch.no_grad()
    def _expected_lips(
        self, voice: VoiceFeatures, directions: Sequence[np.ndarray], turn: _Turn = _NO_TURN, seeds: Sequence[int] = ()
    ) -> list[Tensor]:  # fmt: skip
        """The lips that the model expects for a sound in each direction [DIRECTION_NAMES or T, DIRECTION_NAMES], each as `_lips`."""
        return [self._lips(motion) for motion in self.thunder.expected(voice, directions, turn, seeds)]

    @torch.no_grad()
    def evidence_of(self, motion: Motion, voice: VoiceFeatures) -> np.ndarray:
        """Nats per frame [T] that a motion's mouth gives for the speech units of a sound."""
        return self._look(motion, voice)[2][0].cpu().numpy()

    def _look(self, motion: Motion, voice: VoiceFeatures) -> tuple[Tensor, Tensor, Tensor]:
        """Mesh-to-speech's features [1, T, w], lip points [1, T, 4, 3], evidence for the sound's units [1, T]."""
        features, lips, log_odds, at = [], [], [], 0
        for seen, keep in self._windows(motion):
            once, twice = self.m2s.encode(seen)
            features.append(once[:, keep])
            lips.append(seen[:, keep][:, :, self.mouth.lips])
            said = self.m2s.unit_head(twice)[:, 2 * keep.start : 2 * keep.stop]
            log_odds.append(evidence(said, voice.units[at : at + said.shape[1]], self.m2s.unit_log_prior))
            at += said.shape[1]
        return torch.cat(features, 1), torch.cat(lips, 1), torch.cat(log_odds, 1)

    def _kept(self, keep: Keep, frames: int) -> Inpainting:
        x, mask = pack(self._checked(keep.motion)), np.asarray(keep.mask, bool)
        if mask.shape != x.shape or len(x) != frames:
            raise BadRequest(f"The kept part has {len(x)} frames, the sound {frames}: choose the take of this sound")
        return Inpainting(torch.from_numpy(mask), torch.from_numpy(x))

    def _samples(self, speech: Speech) -> Tensor:
        if speech.rate != RATE:
            raise BadRequest(f"The engine hears sound at {RATE} Hz, this one has {speech.rate}: read it with read_sound")
        return torch.from_numpy(np.ascontiguousarray(speech.samples, np.float32))

    def _checked(self, motion: Motion) -> Motion:
        n = self.head.channels
        if motion.frames < 1 or motion.expression.shape != (motion.frames, n) or motion.jaw.shape != (motion.frames, 3):
            raise BadRequest(f"The motion does not have this head's {n} channels and a jaw: take it from a head that THUNDER made")
        if not (np.isfinite(motion.expression).all() and np.isfinite(motion.jaw).all()):
            raise BadRequest("The motion holds values that are not numbers: look for broken keys on the head")
        return motion
