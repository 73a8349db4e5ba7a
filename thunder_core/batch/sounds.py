# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the engine's Python which sound files cannot be used (thunder_core/engine/speech/audio.py), before jobs are baked."""

from __future__ import annotations

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
    environment = {**os.environ, "PYTHONPATH": ROOT, "PYTHONUTF8": "1"}
    try:
        process = subprocess.Popen(
            [python, "-m", _CHECK],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            **system_calls.new_group(),
        )
    except OSError:  # which the bake then reports in full
        return {}
    try:
        answer = process.communicate(json.dumps(asked).encode(), timeout=LONGEST)[0]
    except subprocess.TimeoutExpired:
        system_calls.kill_group(process)
        answer = process.communicate()[0]
    except BaseException:
        system_calls.kill_group(process)
        process.wait()
        raise
    answers = {}
    for line in answer.decode("utf-8", "replace").splitlines():
        try:
            path, reason = json.loads(line)
        except ValueError:  # cut off at the end of the time, or not ours
            continue
        answers[path] = reason
    return {path: reason for path, reason in answers.items() if path in asked}
