# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a picture of a face, an image of the file, as Media2Face takes a mood from it: square and grey."""

from __future__ import annotations

import os

import bpy
import numpy as np

from ...thunder_core.errors import BadRequest
from ...thunder_core.systems import LEAST_PICTURE, MOST_PICTURE

_GREY = (0.2126, 0.7152, 0.0722)  # shares of red, green and blue in brightness (Rec. 709)
_CHOOSE = "choose another one under Picture"


def may_be_picture(image: bpy.types.Image) -> bool:
    """Whether an image has pixels of its own; renders and what nodes show have none that can be read."""
    return image.type not in {"RENDER_RESULT", "COMPOSITING"}


def load(path: str) -> bpy.types.Image:
    """The image of a file, with nobody using it: a saved file leaves it out. Raises BadRequest."""
    try:
        return bpy.data.images.load(os.path.abspath(path))
    except RuntimeError as error:
        raise BadRequest(f"The picture “{path}” cannot be read: choose another file") from error


def grey(name: str) -> np.ndarray:
    """The brightness float32 [n, n], 0 … 1 as it is seen, of the middle square of an image of this file; its top row comes first.

    What is transparent is black. n: from LEAST_PICTURE on, below twice MOST_PICTURE. Raises BadRequest.
    """
    image = bpy.data.images.get(name)
    if image is None:
        raise BadRequest(f"The picture “{name}” is no longer in this file: {_CHOOSE}")
    pixels = _pixels(image)
    height, width = pixels.shape[:2]
    if min(height, width) < LEAST_PICTURE:
        raise BadRequest(f"The picture “{name}” has {width} × {height} pixels and needs {LEAST_PICTURE} × {LEAST_PICTURE}: {_CHOOSE}")
    color = np.clip(np.nan_to_num(pixels[..., :3]), 0, 1)
    if image.is_float:  # scene-linear light
        color = np.where(color < 0.0031308, 12.92 * color, 1.055 * color ** (1 / 2.4) - 0.055)
    shown = np.clip(np.nan_to_num(pixels[..., 3]), 0, 1)
    result = (color @ np.array(_GREY, np.float32)) * shown
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    result = result[top : top + side, left : left + side]
    every = max(1, min(result.shape) // MOST_PICTURE)
    count = min(result.shape) // every
    result = result[: count * every, : count * every].reshape(count, every, count, every).mean((1, 3))
    return np.ascontiguousarray(result[::-1], np.float32)  # Blender's first row is the lowest


def _pixels(image: bpy.types.Image) -> np.ndarray:
    """Red, green, blue and alpha of an image, float32 [h, w, 4]. Raises BadRequest."""
    width, height = image.size  # loads it
    if not width or not height or len(image.pixels) != width * height * image.channels:
        raise BadRequest(f"The picture “{image.name}” cannot be read: find its file, or {_CHOOSE}")
    channels = image.channels
    values = np.empty(width * height * channels, np.float32)
    image.pixels.foreach_get(values)
    pixels = values.reshape(height, width, channels)
    if channels < 3:  # grey, perhaps with alpha
        pixels = np.concatenate([np.repeat(pixels[..., :1], 3, 2), pixels[..., 1:]], 2)
    return pixels if pixels.shape[2] == 4 else np.concatenate([pixels, np.ones_like(pixels[..., :1])], 2)
