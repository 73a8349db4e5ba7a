# SPDX-License-Identifier: GPL-3.0-or-later
"""Silent films of a mouth: small grey pictures of the head's lips, teeth and tongue, one for each
frame of a motion.

They are the input of a system that reads lips from video, and so show what a camera sees: parts
behind the lips are hidden. The head is still, as lip-reading crops are aligned by the eyes and
nose.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn, Tensor
from tqdm import tqdm

from research.train.flame import FlameLayer
from research.train.motions import MotionSet, VARIANTS
from research.train.rasteriser import nearest_triangles, normals, triangles_of
from thunder_core.face.head import Head
from thunder_core.files import write_file
from thunder_core.types import Columns, FPS

PIXELS = 48
_MILLIMETRES = 72.0  # side of the picture, mm
# mm by which the picture's centre lies below the mouth's corners, since jaws open downwards
_BELOW = 2.0
# size of the kept part of the face, in sides of the picture; triangles outside it are left out
_MARGIN = 1.3
_BEHIND = -0.3  # cosine to the viewer at rest below which no motion makes a triangle visible
# Grey of the parts, so that lips, teeth and tongue differ; others are skin.
_GREY = {
    "Lips": 0.36,
    "Mouth": 0.06,
    "Gums": 0.22,
    "Teeth": 0.95,
    "Side Teeth": 0.95,
    "Back Teeth": 0.95,
    "Tongue": 0.48,
    "Back Tongue": 0.48,
}
_SKIN = 0.62
_LIGHT = (0.0, 0.5, 0.866)  # direction to the light, above the camera
_AMBIENT = 0.4
_FADE = 35.0  # depth behind the lips at which the inside of the mouth is dark, mm
_TOGETHER = 64  # frames drawn at once, which fit a core's cache
_MOUTH_PARTS = ("Mouth", "Gums", "Teeth", "Side Teeth", "Back Teeth", "Tongue", "Back Tongue")


class LipVideo(nn.Module):
    """Motions → pictures of the mouth [B, T, PIXELS, PIXELS], grey 0 … 1, from the front."""

    def __init__(self, head: Head):
        super().__init__()
        self.columns = Columns(head.channels)
        corners = head.v_template[[head.mouth_corner_left, head.mouth_corner_right]].mean(0)
        self.middle = float(corners[1]) - _BELOW / 1e3
        lips = float(
            head.v_template[[head.inner_lip_upper_mid, head.inner_lip_lower_mid], 2].mean()
        )
        triangles, materials = triangles_of(head)
        rest = torch.from_numpy(head.v_template[triangles].astype(np.float32))
        centre = rest.mean(1)
        toward = normals(rest.flatten(0, 1)[None], torch.arange(len(rest) * 3).view(-1, 3))[0, :, 2]
        half = _MARGIN * _MILLIMETRES / 2e3
        near = (
            (centre[:, 0].abs() < half)
            & ((centre[:, 1] - self.middle).abs() < half)
            & (centre[:, 2] > 0)
        )
        kept = (near & (toward > _BEHIND)).numpy()
        vertices, local = np.unique(triangles[kept], return_inverse=True)
        self.layer = FlameLayer(head, vertices)
        names = [head.material_names[material] for material in materials[kept]]
        grey = torch.tensor([_GREY.get(name, _SKIN) for name in names])
        inside = torch.tensor([name in _MOUTH_PARTS for name in names])
        fade = (1 - (lips - centre[torch.from_numpy(kept), 2]) * 1e3 / _FADE).clamp(0.2, 1)
        self.triangles = nn.Buffer(torch.from_numpy(local.reshape(-1, 3)), persistent=False)
        self.grey = nn.Buffer(torch.where(inside, grey * fade, grey), persistent=False)
        self.light = nn.Buffer(torch.tensor(_LIGHT), persistent=False)

    @torch.no_grad()
    def of_packed(self, x: Tensor) -> Tensor:
        """Pictures of packed motions x [B, T, n + 9]."""
        flat = x.flatten(0, 1)
        made = [
            self._draw(part[:, self.columns.expression], part[:, self.columns.jaw])
            for part in flat.split(_TOGETHER)
        ]
        return torch.cat(made).unflatten(0, x.shape[:2])

    def to_pixels(self, points: Tensor) -> Tensor:
        """Picture coordinates of points [B, m, 3], metres: right and down in pixels, and towards
        the viewer in metres."""
        pixel, middle = _MILLIMETRES / 1e3 / PIXELS, (PIXELS - 1) / 2
        return torch.stack(
            [
                points[..., 0] / pixel + middle,
                (self.middle - points[..., 1]) / pixel + middle,
                points[..., 2],
            ],
            -1,
        )

    def _draw(self, expression: Tensor, jaw: Tensor) -> Tensor:
        points = self.layer(expression, jaw)
        shown = nearest_triangles(self.to_pixels(points), self.triangles, PIXELS, PIXELS)
        lit = (normals(points, self.triangles) @ self.light).clamp_min(0)
        shade = self.grey * (_AMBIENT + (1 - _AMBIENT) * lit)
        picture = shade.gather(1, shown.flatten(1).clamp_min(0)).view_as(shown)
        return torch.where(shown < 0, torch.zeros_like(picture), picture)


@dataclass(frozen=True)
class Filmed:
    """One filmed performance: row number and variant of the motion set, and its first picture."""

    row: int
    variant: int
    start: int


class LipFilms:
    """The films of some performances of a motion set: `lips.u8` [pictures, PIXELS, PIXELS] and
    `lips.json` in a folder."""

    def __init__(self, folder: Path):
        self.films = [
            Filmed(**film) for film in json.loads((folder / "lips.json").read_text())["films"]
        ]
        self.pictures = np.memmap(folder / "lips.u8", np.uint8, "r").reshape(-1, PIXELS, PIXELS)
        self._start = {(film.row, film.variant): film.start for film in self.films}

    def rows(self, numbers: list[int]) -> list[int]:
        """Those of row `numbers` that were filmed."""
        filmed = {film.row for film in self.films}
        return [number for number in numbers if number in filmed]

    def variants(self, row: int) -> list[int]:
        """The variants of a row that were filmed."""
        return [variant for variant in range(VARIANTS) if (row, variant) in self._start]

    def crop(self, row: int, variant: int, first: int, frames: int) -> np.ndarray:
        """Pictures uint8 [frames, PIXELS, PIXELS] of a performance from its animation frame
        `first`."""
        start = self._start[row, variant] + first
        return self.pictures[start : start + frames]


def choose_rows(
    motions: MotionSet, least_frames: int, minutes: float, seed: int
) -> list[tuple[int, int]]:
    """(row, variant) to film: about `minutes` of training rows, each in one of its performances,
    and an eighth as much of the validation and of the test voices."""
    rng, pairs = np.random.default_rng([seed, 5]), {}
    train = motions.of("train", least_frames)
    watched = motions.watched_rows(least_frames)
    test = motions.of("test", least_frames)
    for rows, share in ((train, 1.0), (watched, 0.125), (test, 0.125)):
        left = share * minutes * 60 * FPS
        for row in rng.permutation(rows).tolist():
            if left <= 0:
                break
            pairs.setdefault(row, int(rng.integers(VARIANTS)))
            left -= motions.rows[row].frames
    return list(pairs.items())


def film(motions: MotionSet, head: Head, pairs: list[tuple[int, int]], folder: Path) -> LipFilms:
    """Draw the performances `pairs` (row, variant); where the folder holds the first of them
    already, only the others are drawn."""
    folder.mkdir(parents=True, exist_ok=True)
    state, path = folder / "lips.json", folder / "lips.u8"
    films, frames = [], 0
    for row, variant in pairs:
        films.append({"row": row, "variant": variant, "start": frames})
        frames += motions.rows[row].frames
    about = (
        json.loads(state.read_text())
        if state.exists() and path.exists()
        else {"films": [], "pixels": PIXELS}
    )
    done = about["films"] if about["films"] == films[: len(about["films"])] else []
    view = LipVideo(head)
    size = films[len(done)]["start"] * PIXELS**2 if len(done) < len(films) else frames * PIXELS**2
    with path.open("r+b" if done else "wb") as file:
        file.truncate(size)  # an unfinished part of a stopped run is drawn again
        file.seek(size)
        for number in tqdm(range(len(done), len(films)), desc="filming lips", mininterval=10):
            row = motions.rows[films[number]["row"]]
            motion = motions.motions[
                films[number]["variant"], row.start : row.start + row.frames
            ].astype(np.float32)
            pictures = view.of_packed(torch.from_numpy(motion)[None])[0]
            file.write((pictures * 255).round().to(torch.uint8).numpy().tobytes())
            if (number + 1) % 50 == 0 or number + 1 == len(films):
                file.flush()
                write_file(state, json.dumps({"films": films[: number + 1], "pixels": PIXELS}))
    return LipFilms(folder)
