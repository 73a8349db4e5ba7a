# SPDX-License-Identifier: GPL-3.0-or-later
"""The choices for a commit that the panel's settings make."""

from __future__ import annotations

from ....thunder_core.animation.commit.before import Choice
from ....thunder_core.errors import BadRequest

_LONGEST_BLEND = 0.5  # longest blend with the animator's animation before and after a take, seconds
REGION_SETTINGS = {
    "Brows": "brows",
    "Eyes": "eyes",
    "Cheeks & Nose": "cheeks",
    "Mouth": "mouth",
    "Jaw": "jaw",
    "Tongue": "tongue",
    "Head": "head",
}  # region → the setting that switches it on


def chosen(scene, entry) -> Choice:
    """The choice that a scene's settings make for a take. Raises BadRequest."""
    wanted = scene.thunder.commit
    first, last = entry.first, entry.last
    if wanted.range == "PREVIEW":
        if not scene.use_preview_range:
            raise BadRequest("This scene has no preview range: set one in the timeline (P) or commit the whole take")
        first, last = max(first, scene.frame_preview_start), min(last, scene.frame_preview_end)
        if first >= last:
            raise BadRequest(f"The preview range holds none of the take's frames ({entry.first} to {entry.last}): move it there")
    how = wanted.how
    if wanted.to == "NEW" or (wanted.to == "STRIP" and how == "INSERT"):
        how = "REPLACE"
    half_a_second = int(_LONGEST_BLEND * scene.render.fps / scene.render.fps_base)
    regions = frozenset(region for region, name in REGION_SETTINGS.items() if getattr(wanted, name))
    if not regions:
        raise BadRequest("No region is chosen: choose at least one in the Commit panel")
    return Choice(first, last, wanted.to, how, wanted.error, max(1, min(wanted.blend, half_a_second)), wanted.keys, regions, wanted.markers)
