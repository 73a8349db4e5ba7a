# SPDX-License-Identifier: GPL-3.0-or-later
"""The sounds and looks that a head of drawings shows, and which stands in for one that has no
drawing."""

from collections.abc import Collection
from types import MappingProxyType

from ..spoken import MOUTH_SOUNDS, REST

CLOSED, OTHERS = "M B P", "T D K"
SMILE, FROWN = "Smile", "Frown"  # seen at rest instead of it, by the mood of the take
OPEN, HALF, SHUT = "Eyes Open", "Eyes Half Shut", "Eyes Shut"
# A drawing's number is the place of its name, and keys hold numbers: names are only added.
MOUTHS = (*MOUTH_SOUNDS, SMILE, FROWN)
EYES = (OPEN, HALF, SHUT, "Eyes Left", "Eyes Right", "Eyes Up", "Eyes Down")
NAMES = (*MOUTHS, *EYES)
UNUSED = "Not Shown"  # of drawings of mouths that are shown for no sound, and so are hidden

# what is shown of a sound that has no drawing, the likest first
_LIKE = MappingProxyType({
    CLOSED: (REST,), REST: (CLOSED, OTHERS), "F V": (OTHERS, "EE"), "OO": ("OH",),
    "OH": ("OO", "AH"), "AH": ("EH", "OH"), "EH": ("AH", "EE"), "EE": ("EH", OTHERS),
    "L": ("TH", OTHERS), "TH": (OTHERS, "L"), "S CH": (OTHERS, "EE"), OTHERS: ("S CH", "EE"),
    SMILE: (REST,), FROWN: (REST,), HALF: (OPEN,), SHUT: (HALF,),
    **dict.fromkeys(EYES[3:], (OPEN,)),
})  # fmt: skip


def stand_in(name: str, drawn: Collection[str]) -> str:
    """Which of the sounds or looks that are drawn is shown for one: itself, or the likest."""
    near = [name]
    for each in near:
        near += [like for like in _LIKE.get(each, ()) if like not in near]
    return next(each for each in (*near, *NAMES) if each in drawn)
