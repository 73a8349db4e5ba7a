# SPDX-License-Identifier: GPL-3.0-or-later
"""Close-ups of a mouth.

Six sounds by the teacher on two heads, as espeak-ng says them, and by the people of DATA on average
(docs/pictures/sounds.png).
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch

from research.articulation import read_phones
from research.espeak_voice import speak
from research.faces.lip_clips import FOLDERS, read_clips, spoken_phones
from research.harness import add_shared, ROOT, WEIGHTS
from research.train.corpus import sound_beside
from research.train.flame import FlameLayer, rotation_matrix
from research.train.rasteriser import nearest_triangles, normals_at_corners, triangles_of
from research.train.teacher import likeliest, perform
from thunder_core.direction import Direction, Style
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import LOUDNESS, speech_features, SpeechEncoder
from thunder_core.engine.tracking.mouth import tracked_mouth
from thunder_core.face.head import EYE_LEFT, EYE_RIGHT, Head, load_head, NECK
from thunder_core.spoken import PHONES
from thunder_core.types import FPS
from thunder_core.weight_files import SHIPPED

_FINER = 2  # drawn points along each side of a pixel
_EYES = [EYE_LEFT, EYE_RIGHT]
_LIGHT, _AMBIENT = (0.3, 0.45, 0.84), 0.35
_SHINE, _SHINY = 0.12, ("Skin", "Lips")  # lips keep the lamp from what is behind them
# sound → language and text, the first of six frames, the phone on which people are measured
SOUNDS = {
    "ü": ("de", "Ich wünsche mir Schuhe", 3, ""), "oo": ("en", "A cool room", 8, "UW"),
    "sch": ("de", "Die schöne Schule", 12, ""), "sh": ("en", "She should show me", 6, "SH"),
    "f": ("en", "A fine coffee", 17, "F"), "smile": ("en", "My friend is happy", 20, ""),
}  # fmt: skip
# pixels, pixels per metre, metres (as of CloseUps); words a minute
_SMALL, _SPEED = ((88, 58), 1.25e3, 0.002), 140


class CloseUps:
    """Expression [T, n] and jaw [T, 3], or all that moves → pictures [T, height, width, 3] of the
    mouth, 0 … 255.

    size: width and height in pixels.  scale: pixels per metre.  below: metres from the lips down to
    the middle.  hidden: names of materials that are not drawn.  finer: drawn points along each
    side of a pixel.
    """

    def __init__(
        self,
        head: Head,
        size: tuple[int, int],
        scale: float,
        below: float,
        hidden: Collection[str] = (),
        finer: int = _FINER,
    ):
        self.size, self.scale, self.finer = size, scale, finer
        triangles, material = map(torch.from_numpy, triangles_of(head))
        rest = torch.tensor(head.v_template, dtype=torch.float32)
        self.centre = rest[head.inner_lip_upper_mid] - torch.tensor([0.0, below, 0.0])
        reach = 0.8 * max(size) / scale
        near = ((rest[triangles] - self.centre)[..., :2].abs() < reach).all(-1).all(-1)
        near &= (rest[triangles][..., 2] > self.centre[2] - 1.5 * reach).all(-1)
        shown = torch.tensor([name not in hidden for name in head.material_names])
        near &= shown[material]
        ids, self.triangles = triangles[near].unique(return_inverse=True)
        self.layer = FlameLayer(head, ids.numpy())
        self.joints = torch.tensor(head.joints, dtype=torch.float32)
        self.balls = torch.tensor(head.weights[ids.numpy()][:, _EYES] > 0.5)
        of_each = material[near]
        self.colors = torch.tensor(head.material_colors[:, :3], dtype=torch.float32)[of_each]
        shiny = torch.tensor([name in _SHINY for name in head.material_names])
        self.shine = _SHINE * shiny[of_each].float()

    @torch.no_grad()
    def __call__(self, *motion: np.ndarray) -> np.ndarray:
        """The pictures of some frames: expression, jaw and, if they move, head and eyes."""
        parts = [torch.from_numpy(np.asarray(part, np.float32)) for part in motion]
        return np.concatenate(
            [self._draw(*(p[i : i + 8] for p in parts)) for i in range(0, len(parts[0]), 8)]
        )

    def _turn(self, points: torch.Tensor, *turns: torch.Tensor) -> torch.Tensor:
        """Points with the head turned about the neck, and the eyes about their middles."""
        if not turns:
            return points
        head, eyes = (rotation_matrix(each).transpose(1, 2) for each in turns)
        for joint, ball in zip(self.joints[_EYES], self.balls.T):
            turned = joint + (points - joint) @ eyes
            points = torch.where(ball[:, None], turned, points)
        return self.joints[NECK] + (points - self.joints[NECK]) @ head

    def _draw(self, *motion: torch.Tensor) -> np.ndarray:
        points = self._turn(self.layer(*motion[:2]), *motion[2:]) - self.centre
        (wide, high), scale = (self.finer * each for each in self.size), self.finer * self.scale
        right, up = (points[..., :2] * scale).unbind(-1)
        seen = torch.stack([(wide - 1) / 2 + right, (high - 1) / 2 - up, points[..., 2]], -1)
        shown = nearest_triangles(seen, self.triangles, high, wide)
        frame, row, column = (shown >= 0).nonzero().unbind(1)
        triangle = shown[frame, row, column]
        # smooth shading: the normals of the corners, by the pixel's place among them
        a, b, c = seen[frame[:, None], self.triangles[triangle]][..., :2].unbind(1)
        place = torch.stack([column, row], 1).float() - c
        area = _cross(a - c, b - c)
        first, second = _cross(place, b - c) / area, _cross(a - c, place) / area
        corners = normals_at_corners(points, self.triangles)[frame, triangle]
        shares = torch.stack([first, second, 1 - first - second], 1)[..., None]
        normal = torch.nn.functional.normalize((shares * corners).sum(1), dim=-1)
        toward = normal @ torch.tensor(_LIGHT)
        lit = _AMBIENT + (1 - _AMBIENT) * toward.clamp_min(0)
        color = self.colors[triangle] * lit[:, None]
        color += (self.shine[triangle] * toward.clamp_min(0) ** 20)[:, None]
        picture = torch.full((len(points), high, wide, 3), 0.02)
        picture[frame, row, column] = color
        small = torch.nn.functional.avg_pool2d(picture.permute(0, 3, 1, 2), self.finer)
        return (255 * small.permute(0, 2, 3, 1).clamp(0, 1) ** (1 / 2.2)).byte().numpy()


def _cross(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def phones_at(lips: Path, clip: str, frames: int) -> list[str]:
    """The phone at each frame of a voice: as aligned, or, where nobody could, as the encoder hears
    it."""
    said = [""] * frames
    for phone, first, behind in read_phones(lips, {clip: frames})[clip]:
        # read_phones has a frame more to either side
        said[first + 1 : behind - 1] = [phone] * max(behind - first - 2, 0)
    if any(said):
        return said
    sound = read_sound(sound_beside(lips / f"{clip}.npz"))
    belief = SpeechEncoder.load(SHIPPED).analyse(sound.samples)[1]
    rows = belief[np.minimum(2 * np.arange(frames), len(belief) - 1)]
    return [PHONES[number] for number in rows.argmax(1)]


def draw_sounds(data: Path, path: Path) -> None:
    """Write SOUNDS as a picture, a row each: six frames of the teacher on two heads, and of the
    average person."""
    import matplotlib.font_manager
    from PIL import Image, ImageDraw, ImageFont

    encoder, names = SpeechEncoder.load(SHIPPED), list(load_head().expression_names)
    clips = [clip for clip in read_clips(data) if clip.is_tracked]
    said = {name: all_ for some in FOLDERS for name, all_ in spoken_phones(data / some).items()}
    heads = [CloseUps(load_head(WEIGHTS / f"{name}.npz"), *_SMALL)
             for name in ("head", "head_man")]  # fmt: skip
    (each_wide, high), font = _SMALL[0], matplotlib.font_manager.findfont("DejaVu Sans")
    wide, font = 6 * each_wide + 8, ImageFont.truetype(font, 13)
    sheet = Image.new("RGB", (48 + 3 * wide, len(SOUNDS) * (high + 2)), (40, 40, 40))
    pen = ImageDraw.Draw(sheet)
    for row, (sound, (language, text, first, phone)) in enumerate(SOUNDS.items()):
        samples = speak(text, language, _SPEED).samples
        hidden, logits = encoder.analyse(samples)
        heard = speech_features(hidden, logits, samples, len(logits) // 2)
        motion = perform(
            likeliest(logits).astype(np.uint8).repeat(2), heard[:, -LOUDNESS:], names,
            np.random.default_rng(1), Direction(Style(smile=0.8 * (sound == "smile"))),
            features=heard,
        )  # fmt: skip
        frames = slice(first, first + 6)
        moved = (motion.expression[frames], motion.jaw[frames])
        blocks = [head(*moved) for head in heads]
        middles = [(clip, round((each.start + each.end) / 2 * FPS)) for clip in clips
                   for each in said.get(clip.name, ()) if each.symbol == phone]  # fmt: skip
        seen = [clip.shown[at - 3 : at + 3] for clip, at in middles]
        if seen := [each for each in seen if np.isfinite(each).all() and len(each) == 6]:
            blocks.append(heads[0](*tracked_mouth().read(np.mean(seen, 0))))
            print(f"{sound}: {len(seen)} by people")
        pen.text((4, row * (high + 2) + high // 2 - 6), sound, (255, 255, 0), font)
        for place, block in enumerate(blocks):
            at = (48 + place * wide, row * (high + 2))
            sheet.paste(Image.fromarray(np.concatenate(list(block), 1)), at)
    sheet.quantize(256).save(path, optimize=True)


def add_arguments(parser: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(parser, "data")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures" / "sounds.png")


def run(args: Namespace) -> None:
    """Draw the picture."""
    draw_sounds(args.data, args.out)
