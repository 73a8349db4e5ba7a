# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the arguments of a request: of the right kind and within bounds, or refused with a sentence."""

import os

from ..errors import BadRequest, BadSound


def array(args, name):
    """The float32 array in the .npy file that a request names."""
    import numpy as np

    path = text(args, name)
    try:
        return np.load(path, allow_pickle=False).astype(np.float32)
    except (OSError, ValueError, EOFError) as error:
        raise BadRequest(f"The file “{os.path.basename(path)}” cannot be read: try again") from error


def text(args, name):
    """A text of a request that is not empty. Raises BadRequest, or BadSound for a missing sound."""
    value = args.get(name)
    if not isinstance(value, str) or not value:
        if name in ("sound", "voice"):
            raise BadSound("No sound was given: choose a strip or a sound file")
        raise BadRequest(f"The request lacks “{name}”: the extension and its engine differ in version")
    return value


def whole(args, name, default, low, high):
    """A whole number of a request, from `low` to `high`. Raises BadRequest."""
    value = args.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadRequest(f"“{name}” is {repr(value)[:40]} but must be a whole number from {low} to {high}")
    return value


def number(args, name, default, low, high):
    """A number of a request as float, from `low` to `high`. Raises BadRequest."""
    value = args.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise BadRequest(f"“{name}” is {repr(value)[:40]} but must be a number from {low:g} to {high:g}")
    return float(value)


def one_of(args, name, names, default):
    """One of `names` in a request. Raises BadRequest."""
    value = args.get(name, default)
    if value not in names:
        raise BadRequest(f"“{name}” is {repr(value)[:40]} but must be one of {', '.join(names)}")
    return value


def flag(args, name, default):
    """True or false in a request. Raises BadRequest."""
    value = args.get(name, default)
    if not isinstance(value, bool):
        raise BadRequest(f"“{name}” is {repr(value)[:40]} but must be true or false")
    return value


def asked(args):
    """The Asked of a request's “direction”, “spread”, “as_asked”, “original” and “like”, None if it has no direction."""
    from ..direction import Asked, check

    if args.get("direction") is None:
        for name in ("spread", "as_asked", "original", "like"):
            if args.get(name) is not None:
                raise BadRequest(f"The request has “{name}” but no “direction” that it belongs to: give a direction too, or neither")
        return None
    vectors = array(args, "direction")
    check(vectors)
    original = None if args.get("original") is None else array(args, "original")
    if original is not None:
        check(original)
    return Asked(vectors, number(args, "spread", 0.5, 0.0, 1.0), flag(args, "as_asked", True), original, _like(args))


def sums(args):
    """The `Sum.sums` of a request's “sums”, None if it has none. Raises BadRequest."""
    from ..face.mapping import LARGEST

    value = args.get("sums")

    def is_part(part):
        is_number = isinstance(part, list) and len(part) == 2 and isinstance(part[1], (int, float)) and not isinstance(part[1], bool)
        return is_number and isinstance(part[0], str) and abs(part[1]) <= LARGEST

    if value is None or isinstance(value, list) and all(isinstance(added, list) and all(map(is_part, added)) for added in value):
        return value
    raise BadRequest(f"“sums” is {repr(value)[:40]} but must be lists of names and weights: look at the character's mapping")


def _like(args):
    """The pairs of seed and spread of a request's “like”. Raises BadRequest."""
    value = args.get("like", [])
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        raise BadRequest(f"“like” is {repr(value)[:40]} but must be pairs of a seed and a spread")
    of_pair = ({"seed": seed, "spread": spread} for seed, spread in value)
    return tuple((whole(pair, "seed", 0, 0, 2**63 - 1), number(pair, "spread", 0.0, 0.0, 1.0)) for pair in of_pair)
