# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the arguments of a request: of the right kind and within bounds, or refused with a
sentence."""

import os

from ..errors import BadRequest, BadSound

LONGEST_TRANSCRIPT = 200_000  # letters; nobody says more in an hour


def array(args, name):
    """The float32 array in the .npy file that a request names."""
    import numpy as np

    path = text(args, name)
    try:
        return np.load(path, allow_pickle=False).astype(np.float32)
    except (OSError, ValueError, EOFError) as error:
        raise BadRequest(
            f"The file “{os.path.basename(path)}” cannot be read: try again"
        ) from error


def text(args, name):
    """A non-empty text of a request. Raises BadRequest, or BadSound for a missing sound."""
    value = args.get(name)
    if not isinstance(value, str) or not value:
        if name in ("sound", "voice"):
            raise BadSound("No sound was given: choose a strip or a sound file")
        raise BadRequest(
            f"The request lacks “{name}”: the extension and its engine differ in version"
        )
    return value


def request(args):
    """The Request for takes in a request's arguments. Raises BadRequest."""
    from ..request import check_whole, MOST_STEPS, Request

    values = {
        name: args[name]
        for name in ("takes", "quality", "guidance", "speech_guidance", "listening", "system")
        if name in args
    }
    if "steps" in args:
        values["steps"] = check_whole("steps", args["steps"], 1, MOST_STEPS)
    arrays = {
        name: array(args, name) for name in ("reference", "picture") if args.get(name) is not None
    }
    return Request(
        **values,
        seed=seed(args),
        direction=read_brief(args),
        keep=keep(args),
        sums=sums(args),
        **arrays,
    )


def transcript(args):
    """The “text” of a request, what a voice says. Raises BadRequest."""
    value = args.get("text")
    if not isinstance(value, str):
        raise BadRequest("No transcript was given: enter what the voice says")
    if len(value) > LONGEST_TRANSCRIPT:
        raise BadRequest(
            f"The transcript has {len(value):,} letters: enter only what the voice says"
        )
    return value


def seed(args):
    """The seed of a request, 0 if it has none. Raises BadRequest."""
    from ..request import check_whole, LAST_SEED

    return check_whole("seed", args.get("seed", 0), 0, LAST_SEED)


def keep(args):
    """The part that a request keeps while the rest is sampled again, or None. Raises BadRequest if
    its files do not fit."""
    import numpy as np

    from ..types import Keep, unpack

    if args.get("keep_motion") is None:
        return None
    motion, mask = (array(args, name) for name in ("keep_motion", "keep_mask"))
    if motion.ndim != 2 or motion.shape != mask.shape or motion.shape[1] < 10:
        raise BadRequest(
            f"The kept part has the shapes {list(motion.shape)} and {list(mask.shape)}: choose "
            f"the frames again"
        )
    if not np.isfinite(motion).all():
        raise BadRequest(
            "The kept part holds values that are not numbers: look at the keys and drivers of the "
            "head"
        )
    return Keep(unpack(motion, motion.shape[1] - 9), mask > 0.5)


def read_brief(args):
    """The Brief of a request: its “direction” and what belongs to it; None if it has no direction.
    Raises BadRequest."""
    from ..direction import Brief, check, read_marks, SPREAD
    from ..request import check_flag, check_number

    if args.get("direction") is None:
        for name in ("spread", "as_asked", "original", "like", "as_heard", "marks", "text"):
            if args.get(name) is not None:
                raise BadRequest(
                    f"The request has “{name}” but no “direction” that it belongs to: give a "
                    f"direction too, or neither"
                )
        return None
    vectors = array(args, "direction")
    check(vectors)
    original = None if args.get("original") is None else array(args, "original")
    if original is not None:
        check(original)
    spread = check_number("spread", args.get("spread", SPREAD), 0.0, 1.0)
    more = {} if args.get("as_heard") is None else {"as_heard": _strengths(array(args, "as_heard"))}
    more["marks"] = read_marks(args.get("marks", []))
    more["text"] = transcript(args) if args.get("text") else ""
    return Brief(
        vectors,
        spread,
        check_flag("as_asked", args.get("as_asked", True)),
        original,
        _like(args),
        **more,
    )


def _strengths(values):
    """Strengths [1 or T], 0 … 1. Raises BadRequest."""
    if values.ndim != 1 or not len(values) or not ((values >= 0) & (values <= 1)).all():
        raise BadRequest(
            "“as_heard” must be a list of strengths from 0 to 1: move the slider of the mood's "
            "strength back"
        )
    return values


def sums(args):
    """The `Driver.sums` of a request's “sums”, None if it has none. Raises BadRequest."""
    from ..face.mapping import LARGEST

    value = args.get("sums")

    def is_part(part):
        is_number = (
            isinstance(part, list)
            and len(part) == 2
            and isinstance(part[1], (int, float))
            and not isinstance(part[1], bool)
        )
        return is_number and isinstance(part[0], str) and abs(part[1]) <= LARGEST

    if (
        value is None
        or isinstance(value, list)
        and all(isinstance(added, list) and all(map(is_part, added)) for added in value)
    ):
        return value
    raise BadRequest(
        f"“sums” is {repr(value)[:40]} but must be lists of names and weights: look at the "
        f"character's mapping"
    )


def _like(args):
    """The pairs of seed and spread of a request's “like”. Raises BadRequest."""
    from ..request import check_number, check_whole, LAST_SEED

    value = args.get("like", [])
    if not isinstance(value, list) or not all(
        isinstance(pair, list) and len(pair) == 2 for pair in value
    ):
        raise BadRequest(f"“like” is {repr(value)[:40]} but must be pairs of a seed and a spread")
    return tuple(
        (check_whole("seed", seed, 0, LAST_SEED), check_number("spread", spread, 0.0, 1.0))
        for seed, spread in value
    )
