# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine does for each request, and how its arguments are read: of the right kind and
within bounds, or refused with a sentence. docs/reference/protocol.md documents the requests.

A function of VERBS gets the worker, the request's arguments and a callback for progress, and
returns the answer.
"""

import contextlib
import functools
import io
import itertools
import os
import sys
import time
from dataclasses import astuple
from importlib.metadata import version

import numpy as np

from ..direction import Brief, check, read_marks, SPREAD
from ..errors import BadRequest, BadSound
from ..face.mapping import LARGEST
from ..protocol import LEVEL, PROTOCOL, UNSPOKEN
from ..request import check_flag, check_number, check_whole, LAST_SEED, MOST_STEPS, Request
from ..system_calls import memory_used
from ..types import FPS, Keep, Motion, unpack
from .speech.audio import read_sound, write_sound

LAST_FRAME = 10_000_000  # of a take, at 25 a second


# ---- requests


def _hello(worker, args, progress):
    info = worker.load_engine(progress).info()
    versions = {
        "python": ".".join(map(str, sys.version_info[:3])),
        "numpy": version("numpy"),
        **info["versions"],
    }
    return {"protocol": PROTOCOL, **info, "versions": versions, "memory": memory_used()}


def _generate(worker, args, progress):
    started = time.monotonic()
    request = read_request(args)
    folder = _folder_for_arrays(worker, args)
    speech = _sound(args, progress, may_be_silent=not request.listening)
    is_silent = not speech.samples.any()
    if is_silent:  # said before anything is loaded
        progress.give({"event": UNSPOKEN, "silent": True})
    engine = worker.load_engine(progress)
    number = itertools.count(1)

    @functools.cache
    def about():
        """Provenance shared by all takes; the weights' identity is known once they have been
        read, while the first takes are made."""
        info = engine.info()
        shared = {name: info[name] for name in ("engine", "channels", "weights", "device")}
        return {**shared, "fps": FPS, "audio": running.about["audio"], "folder": folder}

    def send_note(what):
        if what != UNSPOKEN:
            progress.give({"event": what})
        elif not is_silent:
            progress.give({"event": UNSPOKEN, "silent": False})

    def send_take(take):
        answer = _save_take(take, folder, next(number))
        progress.give({"event": "take", "take": answer, **about()})
        return answer

    running, sound_seconds = engine.begin(speech, request, progress, send_note), speech.seconds
    del speech  # an hour of it is .23 GB, and takes need only its features
    return {
        "takes": running.run(send_take),
        **about(),
        "sound_seconds": sound_seconds,
        "seconds": time.monotonic() - started,
    }


def _explain(worker, args, progress):
    request = read_request(args)
    frame = check_whole("frame", args.get("frame"), 0, LAST_FRAME)
    speech = _sound(args, progress, may_be_silent=not request.listening)
    engine = worker.load_engine(progress)
    progress(0.3, "Sampling the take again")
    return {"weights": engine.weights, **engine.explain(speech, request, frame)}


def _score(worker, args, progress):
    folder = _folder_for_arrays(worker, args)
    motion = _motion(args)
    speech = _sound(args, progress)
    asked, seed = read_brief(args), _seed(args)
    score = worker.load_engine(progress).score(speech, motion, asked, seed)
    file = os.path.join(folder, "score_per_frame.npy")
    save_array(file, score.per_frame)
    return {"total": float(score.total), "heard": float(score.heard), "per_frame": file}


def _align(worker, args, progress):
    motion, recorded = _motion(args), None
    speech = _sound(args, progress, may_be_silent=True)
    if args.get("recorded") is not None:
        # a film without sound, or in a format that nothing here reads: the mouth tells it
        with contextlib.suppress(BadSound):
            recorded = _sound(args, progress, "recorded", may_be_silent=True)
    engine = worker.load_engine(progress)
    progress(0.3, "Finding the offset")
    match, found_by = engine.align(speech, motion, recorded)
    return {
        "seconds": match.seconds,
        "sure": match.sure,
        "by": found_by,
        "sound_seconds": speech.seconds,
    }


def _check(worker, args, progress):
    motion, text = _motion(args), _transcript({"text": "", **args})
    speech = _sound(args, progress)
    engine = worker.load_engine(progress)
    progress(0.2, "Checking the lips")
    return {
        "findings": [
            each.values()
            for each in engine.check(speech, motion, args.get("tolerance", "realistic"), text)
        ]
    }


def _spoken(worker, args, progress):
    text = _transcript(args)
    speech = _sound(args, progress)
    engine = worker.load_engine(progress)
    progress(0.2, "Finding words and sounds")
    sounds, words, matches = engine.spoken(speech, text)
    return {
        "sounds": [astuple(each) for each in sounds],
        "words": [astuple(each) for each in words],
        "matches": matches,
    }


def _listen(worker, args, progress):
    motion = _motion(args)
    voice = None if args.get("voice") is None else _sound(args, progress, "voice")
    out = _text(args, "out")
    engine = worker.load_engine(progress)
    progress(0.2, "Generating speech")
    speech = engine.listen(motion, voice)
    write_sound(out, speech)
    return {"sound": out, "rate": int(speech.rate), "seconds": speech.seconds}


def _microphones(worker, args, progress):
    from . import microphone

    return {"names": microphone.names()}


def _record(worker, args, progress):
    from . import microphone

    worker.enough.clear()
    name, path = args.get("microphone") or "", _text(args, "path")
    return microphone.record(
        name, path, worker.enough, lambda level: progress.give({"event": LEVEL, **level})
    )


def _check_flame(worker, args, progress):
    files = args.get("arrays")
    if not isinstance(files, dict):
        raise BadRequest(
            "The request lacks “arrays”: the extension and its engine differ in version"
        )
    arrays = {name: _array(files, name) for name in files}
    progress(0.1, "Loading smplx")
    from ..networks.flame import check

    return check(arrays)


def _sound(args, progress, name="sound", may_be_silent=False):
    """The sound that a request names, read as the first 2 % of the work."""
    path = _text(args, name)
    return read_sound(
        path, lambda fraction: progress(0.02 * fraction, "Reading the sound"), may_be_silent
    )


def _folder_for_arrays(worker, args):
    folder = args.get("folder") or worker.folder
    if not folder or not os.path.isdir(folder):
        raise BadRequest(
            f"The folder for the results, “{folder}”, is missing: start the engine again"
        )
    return folder


def _motion(args):
    """Motion of the request's expression [T, n] and jaw [T, 3] files, 25 fps; BadRequest when
    they do not fit."""
    expression, jaw = (_array(args, name) for name in ("expression", "jaw"))
    if (
        expression.ndim != 2
        or jaw.ndim != 2
        or jaw.shape[1:] != (3,)
        or len(expression) != len(jaw)
        or not len(jaw)
    ):
        raise BadRequest(
            f"The animation has the shapes {list(expression.shape)} and {list(jaw.shape)}, "
            f"not [T, channels] and "
            "[T, 3]: choose a frame range with at least one frame"
        )
    return Motion(expression=expression, jaw=jaw)


def _release(worker, args, progress):
    worker.release()
    return {}


VERBS = {
    "hello": _hello,
    "generate": _generate,
    "explain": _explain,
    "score": _score,
    "align": _align,
    "check": _check,
    "spoken": _spoken,
    "listen": _listen,
    "microphones": _microphones,
    "record": _record,
    "check_flame": _check_flame,
    "release": _release,
}


# ---- results


def _save_take(take, folder, number):
    """Write a take's arrays to files; returns the take's entry for the client."""
    arrays = {name: getattr(take.motion, name) for name in ("expression", "jaw", "head", "eyes")}
    arrays |= {
        "opening": take.opening,
        "width": take.width,
        "drift": take.score and take.score.per_frame,
    }
    files = {
        name: None if array is None else f"take_{number:02d}_{name}.npy"
        for name, array in arrays.items()
    }
    for name, file in files.items():
        if file is not None:
            save_array(os.path.join(folder, file), arrays[name])
    score = {
        "score": take.score and float(take.score.total),
        "heard": take.score and float(take.score.heard),
    }
    return {"seed": int(take.seed), **score, "provenance": take.provenance, **files}


def save_array(path, array):
    """Write `array` as float32 .npy. Unlike numpy's function, it raises a clear OSError when the
    disk is full."""
    memory = io.BytesIO()
    np.save(memory, np.asarray(array, dtype=np.float32), allow_pickle=False)
    with open(path, "wb") as file:
        file.write(memory.getbuffer())


# ---- arguments

LONGEST_TRANSCRIPT = 200_000  # letters; nobody says more in an hour


def _array(args, name):
    """The float32 array in the .npy file that a request names."""
    path = _text(args, name)
    try:
        return np.load(path, allow_pickle=False).astype(np.float32)
    except (OSError, ValueError, EOFError) as error:
        raise BadRequest(
            f"The file “{os.path.basename(path)}” cannot be read: try again"
        ) from error


def _text(args, name):
    """A non-empty text of a request. Raises BadRequest, or BadSound for a missing sound."""
    value = args.get(name)
    if not isinstance(value, str) or not value:
        if name in ("sound", "voice"):
            raise BadSound("No sound was given: choose a strip or a sound file")
        raise BadRequest(
            f"The request lacks “{name}”: the extension and its engine differ in version"
        )
    return value


def read_request(args):
    """The Request for takes in a request's arguments. Raises BadRequest."""
    values = {
        name: args[name]
        for name in ("takes", "quality", "guidance", "speech_guidance", "listening", "system")
        if name in args
    }
    if "steps" in args:
        values["steps"] = check_whole("steps", args["steps"], 1, MOST_STEPS)
    arrays = {
        name: _array(args, name) for name in ("reference", "picture") if args.get(name) is not None
    }
    return Request(
        **values,
        seed=_seed(args),
        direction=read_brief(args),
        keep=_keep(args),
        sums=_sums(args),
        **arrays,
    )


def _transcript(args):
    """The “text” of a request, what a voice says. Raises BadRequest."""
    value = args.get("text")
    if not isinstance(value, str):
        raise BadRequest("No transcript was given: enter what the voice says")
    if len(value) > LONGEST_TRANSCRIPT:
        raise BadRequest(
            f"The transcript has {len(value):,} letters: enter only what the voice says"
        )
    return value


def _seed(args):
    """The seed of a request, 0 if it has none. Raises BadRequest."""
    return check_whole("seed", args.get("seed", 0), 0, LAST_SEED)


def _keep(args):
    """The part that a request keeps while the rest is sampled again, or None. Raises BadRequest if
    its files do not fit."""
    if args.get("keep_motion") is None:
        return None
    motion, mask = (_array(args, name) for name in ("keep_motion", "keep_mask"))
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
    if args.get("direction") is None:
        for name in ("spread", "as_asked", "original", "like", "as_heard", "marks", "text"):
            if args.get(name) is not None:
                raise BadRequest(
                    f"The request has “{name}” but no “direction” that it belongs to: give a "
                    f"direction too, or neither"
                )
        return None
    vectors = _array(args, "direction")
    check(vectors)
    original = None if args.get("original") is None else _array(args, "original")
    if original is not None:
        check(original)
    spread = check_number("spread", args.get("spread", SPREAD), 0.0, 1.0)
    more = (
        {} if args.get("as_heard") is None else {"as_heard": _strengths(_array(args, "as_heard"))}
    )
    more["marks"] = read_marks(args.get("marks", []))
    more["text"] = _transcript(args) if args.get("text") else ""
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


def _sums(args):
    """The `Driver.sums` of a request's “sums”, None if it has none. Raises BadRequest."""
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
    value = args.get("like", [])
    if not isinstance(value, list) or not all(
        isinstance(pair, list) and len(pair) == 2 for pair in value
    ):
        raise BadRequest(f"“like” is {repr(value)[:40]} but must be pairs of a seed and a spread")
    return tuple(
        (check_whole("seed", seed, 0, LAST_SEED), check_number("spread", spread, 0.0, 1.0))
        for seed, spread in value
    )
