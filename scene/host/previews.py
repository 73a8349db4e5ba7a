# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that panels show as icons."""

import bpy
import bpy.utils.previews
import numpy as np

from .session import Part


class Previews(Part):
    """Pictures of one kind, freed where another file is opened. collection: Blender's, of all of them; None before the first."""

    def __init__(self):
        self.collection = None

    def icon(self, name: str, image: np.ndarray) -> int:
        """The icon of a picture [height, width, 4] of 0 … 1, first row at the bottom; one of that name is replaced."""
        if self.collection is None:
            self.collection = bpy.utils.previews.new()
        self.collection.pop(name, None)
        preview = self.collection.new(name)
        preview.icon_size = image.shape[1], image.shape[0]
        preview.icon_pixels_float.foreach_set(np.ascontiguousarray(image).ravel())
        return preview.icon_id

    def file_opened(self) -> None:
        """Free all pictures; they are drawn again when needed."""
        if self.collection is not None:
            bpy.utils.previews.remove(self.collection)
            self.collection = None
