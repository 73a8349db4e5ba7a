# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the engine's Python which sound files cannot be used (thunder_core/engine/speech/audio.py), before jobs are baked."""

import json
import os
import subprocess
from collections.abc import Iterable

from .. import system_calls
from ..engine_python import ROOT

LONGEST = 60.0  # seconds for all files; what has not been checked by then is noticed when it is baked
_CHECK = f"{__package__.split('.')[-2]}.engine.speech.audio"


def problems(python: str, paths: Iterable[str]) -> dict[str, str]:
    """Path → the reason, one sentence, of each file that the engine refuses. python: the engine's. Files not judged are left out."""
    asked = sorted(set(paths))
    if not asked:
        return {}
    try:
        done = subprocess.run(
            [python, "-m", _CHECK],
            input=json.dumps(asked).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=LONGEST,
            env={**os.environ, "PYTHONPATH": ROOT, "PYTHONUTF8": "1"},
            **system_calls.new_group(),
        )
        answer = done.stdout
    except subprocess.TimeoutExpired as error:
        answer = error.stdout or b""
    except OSError:  # which the bake then reports in full
        return {}
    answers = {}
    for line in answer.decode("utf-8", "replace").splitlines():
        try:
            path, reason = json.loads(line)
            answers[path] = reason
        except ValueError:  # cut off at the end of the time, or not ours
            continue
    return {path: reason for path, reason in answers.items() if path in asked}
