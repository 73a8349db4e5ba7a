# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a picture of a face, an image of the file, as Media2Face takes a mood from it: square and
grey."""

import os

import bpy
import numpy as np

from ...thunder_core.errors import BadRequest
from ...thunder_core.files import not_a_file
from ...thunder_core.request import LEAST_PICTURE, MOST_PICTURE

_GREY = (0.2126, 0.7152, 0.0722)  # shares of red, green and blue in brightness (Rec. 709)
_CHOOSE = "choose another one under Picture"


def load(path: str) -> bpy.types.Image:
    """The image of a file, with nobody using it: a saved file leaves it out. Raises BadRequest."""
    if problem := not_a_file(path):
        raise BadRequest(f"{problem}: choose another picture")
    try:
        image = bpy.data.images.load(os.path.abspath(path))
    except RuntimeError as error:
        raise BadRequest(f"The picture “{path}” cannot be read: choose another file") from error
    _check(image)
    return image


def read_brightness(name: str) -> np.ndarray:
    """The brightness float32 [n, n], 0 … 1 as it is seen, of the middle square of an image of this
    file; its top row comes first.

    What is transparent is black. n: from LEAST_PICTURE on, below twice MOST_PICTURE. Raises
    BadRequest.
    """
    image = bpy.data.images.get(name)
    if image is None:
        raise BadRequest(f"The picture “{name}” is no longer in this file: {_CHOOSE}")
    pixels = _pixels(image)
    height, width = pixels.shape[:2]
    if min(height, width) < LEAST_PICTURE:
        raise BadRequest(
            f"The picture “{name}” has {width} × {height} pixels and needs {LEAST_PICTURE} × "
            f"{LEAST_PICTURE}: {_CHOOSE}"
        )
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    every = max(1, side // MOST_PICTURE)
    count = side // every
    rows = (
        pixels[first : first + every, left : left + count * every]
        for first in range(top, top + count * every, every)
    )
    # Row by row, so that a large picture is not in memory several times.
    result = [
        _brightness(row, image.is_float).reshape(every, count, every).mean((0, 2)) for row in rows
    ]
    return np.ascontiguousarray(result[::-1], np.float32)  # Blender's first row is the lowest


def _brightness(pixels: np.ndarray, is_linear: bool) -> np.ndarray:
    """The brightness [h, w] as it is seen, 0 … 1, of pixels [h, w, 1 … 4]. is_linear: of
    scene-linear light."""
    values = np.clip(np.nan_to_num(pixels), 0, 1)
    channels = values.shape[2]
    color = values[..., :3] if channels > 2 else values[..., [0, 0, 0]]  # grey, perhaps with alpha
    if is_linear:
        color = np.where(color < 0.0031308, 12.92 * color, 1.055 * color ** (1 / 2.4) - 0.055)
    brightness = color @ np.array(_GREY, np.float32)
    return brightness * values[..., -1] if channels in (2, 4) else brightness


def _pixels(image: bpy.types.Image) -> np.ndarray:
    """The channels of an image, float32 [h, w, 1 … 4]. Raises BadRequest."""
    _check(image)
    width, height = image.size  # loads it
    if not width or not height or len(image.pixels) != width * height * image.channels:
        raise BadRequest(
            f"The picture “{image.name}” is missing or damaged: find its file, or {_CHOOSE}"
        )
    values = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(height, width, image.channels)


def _check(image: bpy.types.Image) -> None:
    """Raise BadRequest if an image is no single picture."""
    if image.source not in ("FILE", "GENERATED"):
        raise BadRequest(f"“{image.name}” is no single picture: save it as a PNG, or {_CHOOSE}")
