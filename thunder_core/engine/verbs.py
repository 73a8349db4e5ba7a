# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine does for each request, and how its arguments are read; only our client writes
them, so what a person may have chosen is checked, and no more. docs/reference/protocol.md documents
the requests.

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
from dataclasses import astuple, replace
from importlib.util import find_spec

import numpy as np

from ..direction import check_transcript, DirectionRequest
from ..errors import BadSound
from ..face.moving.driving import visible_motion
from ..findings import REALISTIC
from ..progress import share
from ..protocol import CHANNEL, LEVEL, PROTOCOL, read_channel, SCORE, UNSPOKEN
from ..request import Request
from ..system_calls import memory_used
from ..timings import Times
from ..types import FPS, Motion, unpack
from .generate import generate, hear
from .manner_learning import learn
from .speech.audio import read_sound, write_sound
from .speech.recognition import Recogniser
from .speech.transcript import unread
from .voice import SPOKEN

# ---- requests


def _hello(worker, args, progress):
    from importlib.metadata import version  # takes as long as reading a voice

    libraries = ("numpy", "onnxruntime", "torch", "torchaudio")
    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    versions |= {name: version(name) for name in libraries if find_spec(name)}
    info = worker.load_engine(progress).info()
    return {"protocol": PROTOCOL, **info, "versions": versions, "memory": memory_used()}


def _generate(worker, args, progress):
    started = time.monotonic()
    request = Request.of_record(args, read_array)
    if request.perform_as is not None:
        sound = _sound(args, progress, "performed_sound")
        request = replace(request, perform_as=replace(request.perform_as, sound=sound))
    folder = args.get("folder") or worker.folder
    speech = _sound(args, progress, may_be_silent=not request.listening)
    is_silent = not speech.samples.any()
    engine = worker.load_engine(progress, at_once=True)
    number, sent = itertools.count(1), {}

    @functools.cache
    def about():
        """Provenance shared by all takes; the weights' identity is known once they have been
        read, while the first takes are made."""
        info = engine.info()
        shared = {name: info[name] for name in ("engine", "channels", "weights", "device")}
        return {**shared, "fps": FPS, "audio": line.about["audio"], "folder": folder}

    def send_note(what):
        progress.give({"event": what, **({"silent": is_silent} if what == UNSPOKEN else {})})

    def send_take(take):
        sent[take.seed] = _save_take(take, folder, next(number))
        progress.give({"event": "take", "take": sent[take.seed], **about()})

    def send_score(take):
        answer = sent[take.seed] | _save_score(take, folder)
        progress.give({"event": SCORE, "take": answer, **about()})
        return answer

    line, sound_seconds = hear(engine, speech, request, progress, send_note), speech.seconds
    del speech  # an hour of it is .23 GB, and takes need only its features
    return {
        "takes": generate(engine, line, progress, send_score, send_take),
        **about(),
        "sound_seconds": sound_seconds,
        "seconds": time.monotonic() - started,
    }


def _score(worker, args, progress):
    motion, direction = _motion(args), DirectionRequest.of_record(args, read_array)
    speech = _sound(args, progress)
    engine = worker.load_engine(progress)
    score = engine.score(
        speech, motion, direction, args.get("seed", 0), args.get("tolerance", REALISTIC),
        check_transcript(args.get("text", "")), args.get("language", ""),
    )  # fmt: skip
    file = os.path.join(args.get("folder") or worker.folder, "score_per_frame.npy")
    save_array(file, score.per_frame)
    return {
        "total": float(score.total),
        **score.to_record(),
        "per_frame": file,
        "weights": engine.weights,
        "speaks": bool((engine.analyse(speech).presence > SPOKEN).any()),
    }


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


def _spoken(worker, args, progress):
    text = check_transcript(args["text"])
    speech = _sound(args, progress)
    engine = worker.load_engine(progress)
    progress(0.2, "Finding words and sounds")
    times = Times.of_json(args.get("times", ""))
    sounds, words, matches = engine.spoken(speech, text, args.get("language", ""), times)
    return {
        "timed": times.tells if times is not None and times.are_of(words) else "",
        "sounds": [astuple(each) for each in sounds],
        "words": [astuple(each) for each in words],
        "matches": matches,
        "unread": unread(text, args.get("language", "")),
    }


def _recognise(worker, args, progress):
    speech = _sound(args, progress, may_be_silent=True)
    engine = worker.load_engine(progress)
    by = Recogniser(*(args[name] for name in ("python", "model", "language")))
    found = engine.recognise(speech, by, progress)
    rows = {
        name: [astuple(each) for each in getattr(found, name)]
        for name in ("words", "sounds", "left_out")
    }
    return {
        **rows,
        "text": found.text,
        "wordless": found.wordless,
        "languages": found.languages,
        "matches": found.matches,
        "unread": unread(found.text),
    }


def _listen(worker, args, progress):
    motion = _motion(args)
    voice = None if args.get("voice") is None else _sound(args, progress, "voice")
    out = args["out"]
    engine = worker.load_engine(progress)
    progress(0.2, "Generating speech")
    speech = engine.listen(motion, voice)
    write_sound(out, speech)
    return {"sound": out, "rate": int(speech.rate), "seconds": speech.seconds}


def _record(worker, args, progress):
    from . import microphone

    worker.stop_recording.clear()
    return microphone.record(
        args["path"],
        args.get("microphone", ""),
        worker.stop_recording,
        lambda level: progress.give({"event": LEVEL, **level}),
    )


def _microphones(worker, args, progress):
    from . import microphone

    return {"names": microphone.names()}


def _live(worker, args, progress):
    from . import live, microphone

    worker.stop_recording.clear()
    direction = DirectionRequest.of_record(args, read_array) or DirectionRequest()
    speech = _sound(args, progress) if args.get("sound") else None
    face = live.LiveFace(
        worker.load_engine(progress).thunder,
        direction.vectors[:1],
        args["ahead"],
        args.get("seed", 1),
        microphone.RATE if speech is None else speech.rate,
        direction.manner,
        float(direction.manner_strength[0]),
    )
    face.prepare()
    record = functools.partial(
        microphone.record, args.get("path", ""), args.get("microphone", ""), waits=True
    )
    listen = record if speech is None else functools.partial(live.play, speech)
    return live.perform(face, listen, progress.give, worker.stop_recording)


def _mark_face(worker, args, progress):
    from ..face.making import shapes  # takes tenths of the engine's start, which others wait for

    progress(0.1, "Looking for the face")
    points = read_array(args["points"]).astype(float)
    marks, ahead, is_seen = shapes.guess(points, _triangles(args))
    return {"marks": marks.tolist(), "ahead": ahead.tolist(), "is_seen": is_seen}


def _learn(worker, args, progress):
    engine, lines = worker.load_engine(progress), args["lines"]
    corrected = []
    for number, line in enumerate(lines):
        part = share(progress, number / len(lines), (number + 1) / len(lines), "Reading your lines")
        part(0.0)
        speech = _sound(line, progress)
        edited = unpack(read_array(line["edited"]), len(engine.thunder.channel_names))
        if line.get("take"):
            take = unpack(read_array(line["take"]), len(engine.thunder.channel_names))
        else:  # as it would be without a manner
            request = replace(Request.of_record(line["request"], read_array), takes=1)
            (made,) = engine.generate(speech, request, part)
            take = made.motion
            if (sums := args.get("sums")) is not None:
                take = visible_motion(take, engine.thunder.channel_names, sums)
        corrected.append(engine.corrected_line(speech, line.get("text", ""), take, edited))
    manner = learn(corrected, engine.thunder.channel_names, engine.thunder.pipeline.mouth)
    return {"manner": manner.to_json()}


def _make_shapes(worker, args, progress):
    from ..face.making import shapes

    points, marks = (read_array(args[name]).astype(float) for name in ("points", "marks"))
    made = shapes.make(points, _triangles(args), marks, progress)
    file = os.path.join(args["folder"], "moves.npy")
    save_array(file, made.moves)
    faults = {
        fault: {name: ids.tolist() for name, ids in spots.items()}
        for fault, spots in made.faults.items()
    }
    return {"names": made.names, "moves": file, "faults": faults}


def _triangles(args):
    """The triangles of a request's mesh, [F, 3]."""
    return read_array(args["triangles"]).astype(int)


def _sound(args, progress, name="sound", may_be_silent=False):
    """The sound that a request names, a path or [path, channel], read as the first 2 % of the work;
    says which channel was chosen if none is given. Raises BadSound."""
    given = args.get(name)
    path, channel = given if isinstance(given, list) and len(given) == 2 else (given, None)
    if not isinstance(path, str) or not path:
        raise BadSound("No sound was given: choose a strip or a sound file")
    try:
        channel = read_channel(channel)
    except ValueError as error:
        raise BadSound(f"The channel of a sound {error}: choose one of these") from error
    speech = read_sound(
        path,
        lambda fraction, _="": progress(0.02 * fraction, "Reading the sound"),
        may_be_silent,
        channel,
    )
    if channel is None and speech.channel:
        progress.give({"event": CHANNEL, "channel": speech.channel})
    return speech


def _motion(args):
    """The motion of the request's expression [T, n] and jaw [T, 3] files, 25 fps."""
    return Motion(expression=read_array(args["expression"]), jaw=read_array(args["jaw"]))


def _release(worker, args, progress):
    worker.release()
    return {}


VERBS = {
    "hello": _hello,
    "generate": _generate,
    "score": _score,
    "align": _align,
    "spoken": _spoken,
    "recognise": _recognise,
    "listen": _listen,
    "record": _record,
    "microphones": _microphones,
    "live": _live,
    "mark_face": _mark_face,
    "make_shapes": _make_shapes,
    "learn": _learn,
    "release": _release,
}


# ---- results


def _save_take(take, folder, number):
    """Write a take's arrays to files; returns the take's entry for the client, not scored."""
    arrays = {name: getattr(take.motion, name) for name in ("expression", "jaw", "head", "eyes")}
    arrays |= {"opening": take.opening, "width": take.width}
    files = {
        name: None if array is None else f"take_{number:02d}_{name}.npy"
        for name, array in arrays.items()
    }
    for name, file in files.items():
        if file is not None:
            save_array(os.path.join(folder, file), arrays[name])
    unknown = dict.fromkeys(("score", "drift"))
    return {"seed": int(take.seed), **unknown, "provenance": take.provenance, **files}


def _save_score(take, folder):
    """What a take's score adds to its entry for the client; its curve is written to a file."""
    about, score = {"provenance": take.provenance}, take.score
    if score is None:
        return about
    file = f"take_of_{take.seed}_drift.npy"
    save_array(os.path.join(folder, file), score.per_frame)
    return about | {"score": float(score.total), "drift": file}


def save_array(path, array):
    """Write `array` as float32 .npy. Unlike numpy's function, it raises a clear OSError when the
    disk is full."""
    memory = io.BytesIO()
    np.save(memory, np.asarray(array, dtype=np.float32), allow_pickle=False)
    with open(path, "wb") as file:
        file.write(memory.getbuffer())


# ---- arguments


def read_array(path):
    """The float32 array in a .npy file; no pickle is read."""
    return np.load(path, allow_pickle=False).astype(np.float32)
