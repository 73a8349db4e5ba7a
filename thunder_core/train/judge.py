# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the judge: on the model's takes and on spoiled ones, and how far their lips are from
the teacher's in their direction.

A calm reading is no error: each take is compared with the teacher performing the same sound in the
take's direction. Size within the range of *Energy* is no error either: the teacher's lips are
scaled to the take's, within that range.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from torch import Tensor
from tqdm import tqdm

from ..direction import AXES, Direction, MOODS, NEUTRAL
from ..engine.planning.lip_kernels import Kernels, kernels, MAP_REACH, REACH
from ..engine.scorer import (
    DAMPED,
    JudgeConfig,
    OFF_FRAMES,
    opening_and_width,
    PLAIN,
    shift_frames,
    STRESSED,
    voiced_weight,
)
from ..engine.speech.encoder import LOUDNESS, PHONES
from ..face.lips import CLOSED_MM, height_gap
from ..filters import gaussian, highest
from ..networks.judge import astray, FLOOR, Judge, left_open, mean, score_weight, smooth, TAPS
from ..networks.speech import Mouth
from ..types import in_group, SPEECH
from .loop import fit, Schedule
from .sampled import SampledClip

FURTHEST = 8  # largest shift of a spoiled motion, frames
TOGETHER, CORRECT, WRONG = 4, 5, 3  # clips per batch, and correct and spoiled takes of each
LEAST_MM = 1.0  # lower bound of the lips' movement in a relative error
SPOILS = ("shift", "size", "other", "smooth", "open", "shake")
ODDS = (0.27, 0.22, 0.16, 0.13, 0.13, 0.09)
SPOILED = 2  # spoiled versions of each take
# share of the spoiled training versions that use the teacher's motion instead of the take's
OF_TEACHER = 0.25
# loss weights for differences between takes of a clip: per frame, and overall
APART_WEIGHT, RANK_WEIGHT = 2.0, 2.0
# Weights of the plain correlations of the opening, with the model's expectation in the requested
# direction and with what inner layers predict. More of them would order takes better by real lips
# and worse by the lip error, and cost takes in other styles more.
CORRELATIONS = (2.0, 2.0)
_ENERGY = next(axis for axis in AXES if axis.name == "energy")


def _delay(x: np.ndarray, frames: float) -> np.ndarray:
    at = np.arange(len(x))
    return np.stack([np.interp(at - frames, at, column) for column in x.T], 1)


def without_closures(x: np.ndarray, opening: np.ndarray) -> np.ndarray:
    """Closures removed: where the lips meet between open frames, the motion glides over it."""
    shut = (opening < CLOSED_MM) & (highest(opening, 9) > 2.0)
    if not shut.any():
        return x
    keep = np.flatnonzero(~np.convolve(shut, np.ones(5), "same").astype(bool))
    if len(keep) < 2:
        return x
    at = np.arange(len(x))
    return np.stack([np.interp(at, keep, x[keep, c]) for c in range(x.shape[1])], 1)


def corrupt(
    x: np.ndarray, other: np.ndarray, opening: np.ndarray, kind: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A motion's mouth channels [T, m], corrupted, and by what factor their size changed at each
    frame [T].

    `other` is another sentence's, `opening` [T] its lip gap in millimetres.
    """
    usual, factor = np.ones(len(x)), 1.0
    match kind:
        case "nothing":
            return x, usual
        case "off":
            return shift_frames(x, int(rng.choice([-1, 1])) * OFF_FRAMES), usual
        case "damped":
            return DAMPED * x, DAMPED * usual
        case "shift":
            bad = _delay(x, rng.choice([-1, 1]) * rng.uniform(0.5, FURTHEST))
        case "size":
            factor = rng.uniform(0.0, 0.8) if rng.random() < 0.7 else rng.uniform(1.25, 3.0)
            bad = factor * x
        case "other":
            bad = other
        case "smooth":
            bad = gaussian(x, rng.uniform(1.0, 4.0))
        case "open":
            bad = without_closures(x, opening)
        case "shake":
            rough = gaussian(rng.standard_normal(x.shape), rng.uniform(0.5, 2.0))
            bad = x + rough / rough.std(0) * x.std(0) * rng.uniform(0.2, 1.0)
        case _:
            raise ValueError(kind)
    inside = usual
    if rng.random() < 0.4:  # only for a while, so that the judge learns to locate it
        a = rng.uniform(0, 0.7) * len(x)
        t = np.arange(len(x))
        inside = np.clip(np.minimum(t - a, a + rng.uniform(0.2, 0.6) * len(x) - t) / 2, 0, 1)
    return x + inside[:, None] * (bad - x), 1 + inside * (factor - 1)


def energy_of(direction: np.ndarray) -> float:
    """The energy that a direction vector [DIRECTION_NAMES] asks for."""
    return Direction.of_vector(direction).style_in_mood.energy


def allowed_scale(factor: np.ndarray, energy: float) -> np.ndarray:
    """Scale [T] of the reference for a motion whose lips are `factor` [T] times the reference's:
    clipped to what *Energy* can request, relative to the performance's energy."""
    least, most = min(_ENERGY.least, energy), max(_ENERGY.most, energy)
    return np.clip(energy * factor, least, most) / energy


def size_of(lips: Tensor, truth: Tensor, loud: Tensor) -> Tensor:
    """Mean opening of lips [B, T, 4, 3] relative to the true ones over loud frames (bool [T]),
    [B]."""
    size, true = (opening_and_width(x)[0][:, loud].clamp_min(0).mean(1) for x in (lips, truth))
    return size.clamp_min(1e-3) / true.clamp_min(0.1)


def lip_error(lips: Tensor, truth: Tensor, other: Tensor, size: Tensor | float = 1.0) -> Tensor:
    """Largest distance of a lip vertex, divided by that of true lips that are late, early or of
    another sentence, [B, T].

    lips, truth, other: offsets [B, T, n, 3], metres; `other` is another sentence's truth.  size [B,
    T]: of the truth that counts.
    """
    late, early = (
        truth[:, np.clip(np.arange(truth.shape[1]) - s, 0, truth.shape[1] - 1)]
        for s in (-OFF_FRAMES, OFF_FRAMES)
    )
    unit = (
        torch.stack([astray(each, truth) for each in (late, early, other)])
        .mean((0, 2))[:, None]
        .clamp_min(LEAST_MM)
    )
    size = torch.as_tensor(size, dtype=lips.dtype, device=lips.device).expand(lips.shape[:2])
    return smooth(astray(lips, size[..., None, None] * truth)) / (size.mean(1, keepdim=True) * unit)


@dataclass(frozen=True)
class Lesson:
    """Motions of one sound of T frames, and the judge's targets for them.

    speech [T, d].  opening [T]: that the voice asks for. expected, asked [V, T, 4, 3]: the model's
    expected lips in the direction of each motion, and in the requested one. lips [V, T, 4, 3],
    target [V, T, 2]: as `Judge.forward`
    estimates them.
    as_sampled: bool [V], takes as they are.
    """

    speech: Tensor
    opening: Tensor
    expected: Tensor
    asked: Tensor
    lips: Tensor
    target: Tensor
    as_sampled: Tensor

    def some(self, rows: np.ndarray) -> "Lesson":
        """The lesson of some of the motions."""
        return Lesson(
            self.speech,
            self.opening,
            *(getattr(self, field.name)[rows] for field in fields(Lesson)[2:]),
        )


class Lessons:
    """Makes lessons of sampled clips.  mouth: whose vertices are compared."""

    def __init__(self, mouth: Mouth, channel_names: list[str], device: str = "cpu"):
        self.mouth, self.device = mouth.to(device), device
        self.speaking = np.flatnonzero(np.append(in_group(channel_names, SPEECH), [True] * 3))
        self.lip = ~self.mouth.inner

    def _see(self, motions: np.ndarray) -> Tensor:
        return self.mouth.of_packed(
            torch.from_numpy(np.ascontiguousarray(motions, np.float32)).to(self.device)
        )

    @torch.no_grad()
    def of(
        self, clip: SampledClip, other: SampledClip, kinds: list[list[str]],
        rng: np.random.Generator, of_teacher: float = 0.0,
        poses: bool = True,
    ) -> Lesson:  # fmt: skip
        """A lesson of every correct take, and of versions of it spoiled by the `kinds` of each
        take.

        other: another sentence.  of_teacher: share of the spoiled versions that use the teacher's
        motion, not the take's.
        poses: whether it is an error to hold another pose than the teacher throughout the clip.
        """
        wrong = np.resize(other.teacher[0].astype(np.float32), clip.teacher[0].shape)
        elsewhere = self._see(wrong[None])[:, :, self.lip]
        taught, plain, taken = map(self._see, (clip.teacher, clip.plain, clip.takes))
        sounds = (
            torch.from_numpy(voiced_weight(clip.features[:, -LOUDNESS:].astype(np.float32))) > 0
        )
        usual = (
            size_of(taken[:, :, self.mouth.lips], taught[:, :, self.mouth.lips], sounds)
            .cpu()
            .numpy()
        )
        motions, whose, sizes = [], [], []
        for number, of_take in enumerate(kinds):
            energy = energy_of(clip.readings[number])
            for kind in ("nothing", *of_take):
                by_teacher = kind not in ("nothing", "off", "damped") and rng.random() < of_teacher
                x = (clip.teacher if by_teacher else clip.takes)[number].astype(np.float32)
                seen = self._see(x[None])[0]
                gap = (
                    (height_gap(seen[:, self.mouth.lips[0]], seen[:, self.mouth.lips[1]]) * 1e3)
                    .cpu()
                    .numpy()
                )
                y = x.copy()
                y[:, self.speaking], factor = corrupt(
                    x[:, self.speaking], wrong[:, self.speaking], gap, kind, rng
                )
                motions.append(y)
                whose.append(number)
                sizes.append(
                    allowed_scale(factor if by_teacher else usual[number] * factor, energy)
                )
        seen = self._see(np.stack(motions))
        size = torch.from_numpy(np.stack(sizes)).float().to(self.device)
        moved = seen[:, :, self.lip]
        truths = (truth[whose][:, :, self.lip] for truth in (taught, plain))
        compared: list[tuple[Tensor, ...]] = [(moved, truth, elsewhere) for truth in truths]
        if not poses:
            # without the pose that lips hold over loud frames
            compared = [
                tuple(lips - lips[:, sounds].mean(1, keepdim=True) for lips in each)
                for each in compared
            ]
        error = torch.stack(
            [lip_error(seen, truth, wrong, size) for seen, truth, wrong in compared], -1
        )
        sound = torch.from_numpy(clip.features.astype(np.float32))
        lips = seen[:, :, self.mouth.lips].cpu()
        first = torch.tensor([i == 0 for of_take in kinds for i in range(1 + len(of_take))])
        expected, asked = (
            self._see(x)[whose][:, :, self.mouth.lips].cpu() for x in (clip.expected, clip.asked)
        )
        penalty = left_open(sound[None].expand(len(lips), -1, -1), lips)[..., None]
        target = torch.log(FLOOR + error).cpu() + penalty
        opening = torch.from_numpy(clip.opening)
        return Lesson(sound, opening, expected, asked, lips, target, first)


def load_clips(folders: list[Path], split: str) -> list[SampledClip]:
    """The sampled clips of a split in some folders, in the order of their files."""
    return [
        SampledClip.load(path)
        for folder in folders
        for path in sorted(folder.glob(f"{split}-*.npz"))
    ]


def draw_lessons(lessons: Lessons, clips: list[SampledClip], seed: int) -> Iterator[Lesson]:
    """Lessons for training, spoiled at random."""
    for number, clip in enumerate(tqdm(clips, desc="spoiling takes", mininterval=10)):
        rng = np.random.default_rng([seed, number])
        kinds = [[str(k) for k in rng.choice(SPOILS, SPOILED, p=ODDS)] for _ in clip.takes]
        yield lessons.of(clip, clips[(number + 1) % len(clips)], kinds, rng, OF_TEACHER)


WATCHED_SPOILED = 2  # validation takes per clip that are spoiled too
WATCHED_KINDS = ("off", "damped")


def watched_lessons(lessons: Lessons, clips: list[SampledClip]) -> Iterator[Lesson]:
    """Lessons to measure the judge by: every take as it is and, of the first ones, a version
    spoiled in each way."""
    for number, clip in enumerate(clips):
        kinds = [list(WATCHED_KINDS) if i < WATCHED_SPOILED else [] for i in range(len(clip.takes))]
        yield lessons.of(
            clip, clips[(number + 1) % len(clips)], kinds, np.random.default_rng([3, number])
        )


def collate(lessons: list[Lesson], device: str = "cpu") -> dict[str, Tensor]:
    """A batch of lessons [B, T, ·], the shorter ones held at their end; `there` [B, T]: valid
    frames, `clip` [B]: index of the clip."""
    frames = max(len(lesson.speech) for lesson in lessons)

    def hold(x: Tensor) -> Tensor:
        """[V, t, ·] → [V, T, ·]."""
        return (
            torch.cat([x, x[:, -1:].expand(-1, frames - x.shape[1], *x.shape[2:])], 1)
            if x.shape[1] < frames
            else x
        )

    batch = {
        "speech": torch.cat(
            [hold(lesson.speech[None]).expand(len(lesson.lips), -1, -1) for lesson in lessons]
        ),
        "opening": torch.cat(
            [hold(lesson.opening[None]).expand(len(lesson.lips), -1) for lesson in lessons]
        ),
        "expected": torch.cat([hold(lesson.expected) for lesson in lessons]),
        "asked": torch.cat([hold(lesson.asked) for lesson in lessons]),
        "lips": torch.cat([hold(lesson.lips) for lesson in lessons]),
        "target": torch.cat([hold(lesson.target) for lesson in lessons]),
        "there": torch.cat(
            [
                (torch.arange(frames) < len(lesson.speech)).expand(len(lesson.lips), -1)
                for lesson in lessons
            ]
        ),
        "as_sampled": torch.cat([lesson.as_sampled for lesson in lessons]),
        "clip": torch.cat([torch.full((len(lesson.lips),), i) for i, lesson in enumerate(lessons)]),
    }
    return {name: x.to(device) for name, x in batch.items()}


def opinion(judge: Judge, batch: dict[str, Tensor]) -> Tensor:
    """The judge's opinions of a batch [B, T, 2]."""
    return judge(
        *(batch[name] for name in ("speech", "lips", "expected", "asked", "there"))
    ).float()


def in_all(judge: Judge, batch: dict[str, Tensor]) -> Tensor:
    """The whole-clip term of the judge's opinions of a batch [B]."""
    return judge.in_all(*(batch[name] for name in ("speech", "lips", "asked", "opening", "there")))


def clip_means(values: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Means [B, …] of values [B, T, …] over the frames that count in a score."""
    return mean(values, score_weight(batch["speech"], batch["there"]))


def set_map(judge: Judge, kernels: dict[str, Kernels], aligned: bool) -> None:
    """Give a judge the constants that predict opening and width.  aligned: whether their map reads
    this encoder's features."""
    width, phones = judge.config.speech, slice(-LOUDNESS - len(PHONES), -LOUDNESS)
    assert TAPS == 2 * REACH + 1
    for row, what in enumerate(("opening", "width")):
        constants = kernels[what]
        share = constants.share if aligned and constants.map is not None else 0.0
        kernel = np.zeros((TAPS, width))
        kernel[:, phones], kernel[:, -LOUDNESS:] = (
            (1 - share) * constants.phones,
            (1 - share) * constants.loudness,
        )
        if share and constants.map is not None:
            kernel[REACH - MAP_REACH : REACH + MAP_REACH + 1] += share * constants.map
        judge.map[row] = torch.from_numpy(kernel.T / constants.deviation_both).float()
        judge.map_offset[row] = -constants.mean_both / constants.deviation_both


def measure(
    judge: Judge, lessons: list[Lesson], device: str = "cpu", by: int = PLAIN
) -> dict[str, float]:
    """Figures of a judge: how well it orders the takes of each clip, and the merits that define its
    scale.

    by: the opinion that counts, and the lip error that it estimates.
    rank: Spearman of merit and lip error within a clip, mean over clips.  right, off, damped: mean
    merit of takes as they are, and of those that are spoiled so.
    """
    ranks: list[float] = []
    merits: dict[str, list[float]] = {name: [] for name in ("right", *WATCHED_KINDS)}
    for lesson in lessons:
        batch = collate([lesson], device)
        # the curve over time has no whole-clip term
        of_clip = in_all(judge, batch) if by == PLAIN else 0.0
        merit = -(clip_means(opinion(judge, batch), batch)[:, by] + of_clip).cpu()
        error = clip_means(batch["target"].exp() - FLOOR, batch)[:, by].cpu()
        correct = lesson.as_sampled
        ranks.append(spearmanr(-merit[correct], error[correct]).statistic)
        merits["right"] += merit[correct].tolist()
        takes = np.flatnonzero(correct.numpy())[:WATCHED_SPOILED]
        for place, name in enumerate(WATCHED_KINDS, 1):
            merits[name] += merit[takes + place].tolist()
    rank = float(np.nan_to_num(ranks).mean())  # still lips have no order
    return {"rank": rank} | {name: float(np.mean(values)) for name, values in merits.items()}


@torch.no_grad()
def fit_mood_costs(
    judge: Judge, lessons: Lessons, clips: list[SampledClip], device: str = "cpu"
) -> Judge:
    """Have requested moods cost no more points than they add to a lip error without held poses.

    clips: of `sampled.MOODS_SPLIT`.
    """
    names = list(MOODS)
    excess = np.zeros((len(clips), len(names), 2))
    for number, clip in enumerate(clips):
        takes = len(clip.takes)
        lesson = lessons.of(
            clip,
            clips[(number + 1) % len(clips)],
            [[]] * takes,
            np.random.default_rng(0),
            poses=False,
        )
        batch = collate([lesson], device)
        of_clip = clip_means(opinion(judge, batch), batch)
        of_clip[:, PLAIN] += in_all(judge, batch)
        more = (of_clip - clip_means(batch["target"], batch)).cpu()
        excess[number] = more.reshape(len(names), -1, 2).mean(1)
    neutral = names.index(NEUTRAL)
    costs = np.delete((excess - excess[:, neutral, None]).mean(0), neutral, 0)
    judge.config = replace(
        judge.config,
        moods=tuple(float(x) for x in costs[:, PLAIN]),
        moods_near=tuple(float(x) for x in costs[:, STRESSED]),
    )
    return judge


def train_judge(
    train: list[Lesson],
    held_out: list[Lesson],
    folder: Path,
    schedule: Schedule,
    aligned: bool,
    device: str = "cpu",
):
    """Train on lessons; returns (judge with its scale set on the held-out ones, figures of
    these)."""
    torch.manual_seed(schedule.seed)
    judge = Judge(JudgeConfig(speech=train[0].speech.shape[1]))
    set_map(judge, kernels(), aligned)

    def batch(rng: np.random.Generator) -> dict[str, Tensor]:
        picked = []
        for number in rng.choice(len(train), min(TOGETHER, len(train)), replace=False):
            lesson = train[number]
            correct, spoiled = (
                np.flatnonzero(lesson.as_sampled.numpy() == kind) for kind in (True, False)
            )
            rows = [rng.permutation(correct)[:CORRECT], rng.permutation(spoiled)[:WRONG]]
            picked.append(lesson.some(np.concatenate(rows)))
        return collate(picked, device)

    def loss(model: Judge, item: dict[str, Tensor], rng) -> dict[str, Tensor]:
        guess, there, correct = opinion(model, item), item["there"], item["as_sampled"]
        frames = F.smooth_l1_loss(guess[there], item["target"][there], beta=0.3)
        whose = F.one_hot(item["clip"][correct]).to(guess)

        def from_clip_mean(x: Tensor) -> Tensor:
            """Difference of each take [n, …] from the mean of its clip's takes."""
            flat = x.flatten(1)
            return (flat - whose @ ((whose.T @ flat) / whose.sum(0).clamp_min(1)[:, None])).view_as(
                x
            )

        target = item["target"]
        moments = F.smooth_l1_loss(
            from_clip_mean(guess[correct])[there[correct]],
            from_clip_mean(target[correct])[there[correct]],
            beta=0.1,
        )
        rank = F.smooth_l1_loss(
            from_clip_mean(clip_means(guess, item)[correct]),
            from_clip_mean(clip_means(target, item)[correct]),
            beta=0.1,
        )
        usual = model.hard(
            *(item[name][correct] for name in ("speech", "expected", "there"))
        ).float()
        hard = F.smooth_l1_loss(
            usual[there[correct]], item["target"][correct][there[correct]][:, STRESSED], beta=0.3
        )
        return {
            "total": frames + APART_WEIGHT * moments + RANK_WEIGHT * rank + hard,
            "frames": frames,
            "moments": moments,
            "rank": rank,
            "hard": hard,
        }

    fit(
        judge,
        batch,
        loss,
        schedule,
        folder,
        lambda model: measure(model, held_out, device),
        validate_every=100,
        device=device,
    )
    # The plain correlations are weighed, and the scale is laid.
    with torch.no_grad():
        judge.by_correlation.copy_(torch.tensor(CORRELATIONS))
        figures, learned = (measure(judge, held_out, device, by) for by in (PLAIN, STRESSED))
    figures["rank_near"] = learned["rank"]
    scale = {name: figures[name] for name in ("off", "damped", "right")} | {
        f"{name}_near": learned[name] for name in ("off", "damped", "right")
    }
    judge.config = replace(judge.config, **scale)
    return judge, {name: round(value, 4) for name, value in figures.items()}
