# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine without a process: answers requests with performances made here, one event at a time,
as the real one tells them."""

import wave
from dataclasses import replace

import numpy as np
from performances import performance
from thunder.scene.engine import connection
from thunder.scene.heads import head
from thunder.thunder_core import findings, types
from thunder.thunder_core.findings import Finding, OPEN
from thunder.thunder_core.timings import SOUNDS, Times


def seconds_of(path):
    """Length of a WAV file, whatever its format."""
    path = path[0] if isinstance(path, list) else path  # [path, channel]
    try:
        with wave.open(str(path)) as file:
            return file.getnframes() / file.getframerate()
    except wave.Error:  # of floats, which the standard library does not read
        data = open(path, "rb").read()
        rate, bytes_a_second = np.frombuffer(data[24:32], "<u4")
        at = data.find(b"data")
        return int.from_bytes(data[at + 4 : at + 8], "little") / float(bytes_a_second)


class Asked:
    """A request under way: every poll brings its next event, and the last two at once, as a busy
    window sees them."""

    def __init__(self, events):
        self.events, self.done, self.cancelled = list(events), False, False
        self.result = self.error = None

    def poll(self):
        if self.done or not self.events:
            return []
        count = 2 if len(self.events) == 2 else 1
        some, self.events = self.events[:count], self.events[count:]
        for event in some:
            if event["event"] == "done":
                self.done, self.result = True, event["result"]
            elif event["event"] == "error":
                self.done, self.error = True, event["error"]
        return some

    def cancel(self):
        self.cancelled = True


class PlayedClient:
    """scores: of the takes of a request, in the order they arrive.  fails_after: takes that come
    before `error` does.
    unspoken: whether the sound is silent, in which nobody speaks; None: somebody does.  unclear:
    whether it is hard to understand.

    The mouth of the take of a seed closes at a time of its own, so that takes can be distinguished.
    """

    def __init__(
        self, folder, scores=(80.0, 90.0, 70.0, 85.0), error=None, fails_after=1, unspoken=None
    ):
        self.folder, self.scores, self.error, self.fails_after = (
            str(folder),
            scores,
            error,
            fails_after,
        )
        self.unspoken, self.unclear, self.says_text = unspoken, False, True
        # the text that it recognises, or an error, and what it leaves out: (text, start, end, sure)
        self.recognised, self.left_out = "a bump", []
        self.wordless = []  # seconds (start, end) in which it recognises no words
        self.scores_late = False  # all scores come after the last take
        self.weights, self.fingerprint = None, connection.shipped_fingerprint()
        self.origin, self.note = "shipped", ""  # of the weights
        self.place = {"seconds": 0.0, "sure": 2.0, "by": "mouth"}  # where it finds captures
        # what it hears of a text, and how many takes it has scored
        self.scored = 0
        self.arrays, self.asked, self.requests, self.folders, self.forgotten = {}, [], [], [], []

    def start(self):
        pass

    def put_array(self, array):
        path = f"{self.folder}/array_{len(self.arrays)}.npy"
        np.save(path, np.asarray(array, np.float32))
        self.arrays[path] = np.asarray(array, np.float32)
        return path

    def get_array(self, result, name):
        return None if name is None else self.arrays[name]

    def new_folder(self):
        self.folders.append(f"{self.folder}/request_{len(self.folders)}")
        return self.folders[-1]

    def delete_folder(self, folder):
        self.forgotten.append(folder)

    def request(self, verb, **args):
        if verb == "hello":
            return Asked(
                [
                    {
                        "event": "done",
                        "result": {"weights_origin": self.origin, "weights_note": self.note},
                    }
                ]
            )
        if verb != "spoken":  # which follows each generation
            self.asked.append((verb, args))
        asked = Asked(getattr(self, f"_{verb}")(**args))
        self.requests.append(asked)
        return asked

    def _align(self, sound, expression, jaw, recorded=None):
        """The place that `place` says, told by the recorded sound if there is one."""
        by = {"by": "sound"} if recorded is not None else {}
        return [
            {"event": "done", "result": {**self.place, **by, "sound_seconds": seconds_of(sound)}}
        ]

    def _spoken(self, sound, text, language="", times=""):
        """An m and an a that may be an o; of any text each word within a tenth of a second, the
        last one doubtful. Of a text with times these, with each sound as the first of its
        phones."""
        sounds = [["M", 0.2, 0.3, 0.9, []], ["AA", 0.3, 0.5, 0.5, [["AO", 0.1], ["OW", 0.3]]]]
        said = text.split()
        words = [
            [word, 0.2 + 0.1 * n, 0.3 + 0.1 * n, 0.2 if n and n == len(said) - 1 else 0.9]
            for n, word in enumerate(said)
        ]
        told, timed = Times.of_json(times), ""
        if told is not None:
            words = [[word, *at, 0.9] for word, at in zip(said, told.words, strict=True)]
            timed = told.tells
        if timed == SOUNDS:
            sounds = [
                [phone, start, end, 1.0, [[other, 0.0] for other in others]]
                for (phone, *others), start, end in told.sounds
            ]
        progress = {"event": "progress", "fraction": 0.5, "message": "Finding words and sounds"}
        return [
            progress,
            dict(progress),
            {
                "event": "done",
                "result": {"sounds": sounds, "words": words, "matches": True, "timed": timed},
            },
        ]

    def _recognise(self, sound, python, model, language):
        """The text that `recognised` says, and words as of “spoken”; what was left out of it."""
        if isinstance(self.recognised, Exception):
            return [{"event": "error", "error": self.recognised}]
        *events, done = self._spoken(sound, self.recognised)
        about = {"text": self.recognised, "languages": ["en"], "left_out": self.left_out}
        about["wordless"] = self.wordless
        return [*events, done | {"result": done["result"] | about}]

    def _score(self, sound, expression, jaw, **how):
        """Each take that is scored has a point more than the one before; its lips do not meet half
        a second in."""
        path = f"{self.folder}/per_frame.npy"
        np.save(path, np.full(len(np.load(jaw)), 60.0, np.float32))
        self.scored += 1
        going = {"event": "progress", "fraction": 0.5, "message": "Scoring"}
        return [
            going,
            going,
            {
                "event": "done",
                "result": {
                    "total": 50.0 + self.scored,
                    "parts": {"closures": 0.5},
                    **findings.record_of([Finding(OPEN, 0.5, 0.6, 4.0, 1.0, "m")]),
                    "per_frame": path,
                    "weights": self.fingerprint,
                },
            },
        ]

    def take(self, seconds, seed, score=80.0):
        return performance(
            seconds=seconds, closed_at=(0.2 + 0.04 * (seed % 10),), seed=seed, score=score
        )

    def _around(self, made, motion, mask):
        """A take that keeps of a motion what it is told to, as the engine does."""
        kept = types.unpack(
            np.where(mask, motion, types.pack(made.motion)[: len(mask)]), len(made.channels)
        )
        return replace(made, motion=kept)

    def _generate(  # noqa: PLR0913 (what one request says)
        self, sound, takes, seed, folder, quality="normal", steps=0, guidance=1.0,
            keep_motion=None, keep_mask=None,
        direction=None, spread=0.5, as_asked=True, original=None, like=(), as_heard=None, marks=(),
        text="", language="", times="", role="", said="", sums=None, performed_motion=None,
        performed_sound=None, performed_choice=None, performed_keys=(), performed_direction=None,
        manner="", manner_strength=None,
    ):  # fmt: skip
        seconds, listening = seconds_of(sound), role == "listens"
        common = {
            "engine": "thunder",
            "fps": 25.0,
            "channels": list(head.channel_names()),
            "weights": self.fingerprint,
            "audio": "a",
            "folder": folder,
        }
        events = [] if self.unspoken is None else [{"event": "unspoken", "silent": self.unspoken}]
        events += [{"event": "unclear"}] if self.unclear else []
        events += [{"event": "other_text"}] if text and not self.says_text else []
        unclear, scores = {"unclear": True} if self.unclear else {}, []
        for number in range(takes):
            event = {
                "event": "progress",
                "fraction": number / takes,
                "message": f"Sampling {takes} takes",
            }
            events += [dict(event) for _ in range(2)]
            if self.error is not None and number == self.fails_after:
                return [*events, {"event": "error", "error": self.error}]
            made = self.take(seconds, seed + number, self.scores[number % len(self.scores)])
            if keep_motion is not None:
                made = self._around(made, self.arrays[keep_motion], self.arrays[keep_mask] > 0.5)
            event = {"seed": made.seed, "provenance": dict(unclear)}
            is_silent = listening or self.unspoken is not None
            event["score"] = None if is_silent else made.score
            if direction is not None:
                reading = [float(x) for x in self.arrays[direction].mean(0)]
                event["provenance"] |= {
                    "spread": spread,
                    "as_asked": as_asked and number == 0,
                    "reading": reading,
                }
            if performed_motion is not None:
                places = {"accents": [], "lost": [], "keys": list(performed_keys)}
                places["seconds"] = [seconds, seconds]
                event["provenance"]["moved"] = places
            if listening:
                event["provenance"]["role"] = "listens"
            elif self.unspoken is not None:
                event["provenance"]["role"] = "idle"
            for name, array in (
                ("expression", made.motion.expression),
                ("jaw", made.motion.jaw),
                ("head", made.motion.head),
                ("eyes", made.motion.eyes),
                ("opening", made.opening),
                ("width", made.width),
                (
                    "drift",
                    None if listening else np.full(len(made.opening), made.score, np.float32),
                ),
            ):
                if array is None:
                    continue
                event[name] = f"{len(self.arrays)}_{name}"
                self.arrays[event[name]] = array
            unscored = event | dict.fromkeys(("score", "drift"))
            events.append({"event": "take", "take": unscored, **common})
            if not is_silent:
                about = {"parts": {"closures": 1.0}, **findings.record_of([])}
                event = event | {"provenance": event["provenance"] | about}
            later = scores if self.scores_late else events
            later.append({"event": "score", "take": event, **common})
        return [*events, *scores, {"event": "done", "result": {**common, "takes": []}}]


def seeds(scene):
    return [entry.seed for entry in scene.thunder.takes]


def listed(scene, count, steps):
    """Go on until so many takes are in the list and the animator may do something again."""
    while len(scene.thunder.takes) < count or next(steps).busy:
        if len(scene.thunder.takes) < count:
            next(steps)
