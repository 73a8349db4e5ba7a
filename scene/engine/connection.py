# SPDX-License-Identifier: GPL-3.0-or-later
"""The one engine process of a Blender session: started by the first request, stopped with the
add-on or Blender; and how it is asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from functools import lru_cache
from typing import Any

import bpy

from ...thunder_core.client import Client, temporary_arrays
from ...thunder_core.engine_python import find_engine_python, has_fitting_libraries
from ...thunder_core.errors import attempt, BadWeights, WorkerDied
from ...thunder_core.shipped import WEIGHTS
from ...thunder_core.types import Motion
from ..host.compat import PACKAGE
from ..host.jobs import Part, session, Step
from . import install

# where the name of the microphone is, in a context
MICROPHONE = f'preferences.addons["{PACKAGE}"].preferences.microphone'
LOG_TEXT = "Thunder Engine Log"
# torch calls AMD cards cuda too, through ROCm
DEVICES = {"AUTO": None, "CPU": "cpu", "CUDA": "cuda:0", "MPS": "mps"}


class _Engine(Part):
    """The engine's client, and data about the process.

    answer: the process that answered last, and its answer.
    fingerprints: of the weights that have answered, by their folder, None for the bundled ones.
    """

    client: Client | None = None
    answer: tuple[int, dict] | None = None

    def __init__(self) -> None:
        self.fingerprints: dict[str | None, str] = {}

    def close(self) -> None:
        stop()


_engine = session.add(_Engine())


def preferences():
    """The add-on's preferences; None when the code runs as a script and is not an enabled
    add-on."""
    addon = bpy.context.preferences.addons.get(PACKAGE)
    return addon.preferences if addon else None


def microphone() -> str:
    """The name of the microphone that was chosen, "" for the system's."""
    return getattr(preferences(), "microphone", "")


def venvs() -> tuple[str, ...]:
    """Virtual environments that may hold the engine: the one in this extension's user folder,
    once it is complete. Where libraries came with the package, only one of this version and with
    torch, which computes on graphics cards."""
    place = install.folder()
    if place is None:
        return ()
    state = install.state(place)
    ready = (
        state.kind == "READY" and "torch" in state.versions
        if has_fitting_libraries()
        else state.kind in ("READY", "OUTDATED")
    )
    return (place,) if ready else ()


def is_packaged() -> bool:
    """Whether the next request would use the libraries that came with the package, so that nothing
    needs to be installed."""
    return has_fitting_libraries() and not (
        _other_python() or os.environ.get("THUNDER_PYTHON") or venvs()
    )


def weights() -> str | None:
    """The folder of weights that the preferences name, None for the ones that come with the add-on.
    Raises BadWeights."""
    place = _chosen_weights()
    return check_weights(place) if place else None


def _chosen_weights() -> str | None:
    """The folder that the preferences name, whatever is in it."""
    chosen = preferences()
    return bpy.path.abspath(chosen.weights) if chosen and chosen.weights else None


def weights_in_use() -> str:
    """The fingerprint of the weights that the preferences choose, "" where it is not known: a
    folder of one's own has to answer a request first. Quick: for every redraw."""
    folder = _chosen_weights()
    return _engine.fingerprints.get(folder) or ("" if folder else shipped_fingerprint())


@lru_cache(maxsize=1)
def shipped_fingerprint() -> str:
    """The fingerprint of the bundled weights, which the list of their sums begins with."""
    return (WEIGHTS / "SHA256SUMS").read_text(encoding="utf-8").split()[2]


def check_weights(place: str) -> str:
    """A folder of weights that holds all model files; without the distilled one, which training
    may leave out, the engine samples by the whole one. Raises BadWeights."""
    if not os.path.isdir(place):
        raise BadWeights(
            f"There is no weights folder at “{place}”: choose another, or leave it empty to use "
            f"the bundled ones"
        )
    models = {path.name for kind in ("head.npz", "*.safetensors") for path in WEIGHTS.glob(kind)}
    if lacking := models - {"distilled.safetensors"} - set(os.listdir(place)):
        raise BadWeights(
            f"The weights folder “{place}” lacks {', '.join(sorted(lacking))}: choose another, or "
            f"none for those of the extension"
        )
    return place


def client(python: str | None = None, folder: str | None = None) -> Client:
    """The session's client, created anew when Python, device or weights folder change in the
    preferences.

    python, folder (of weights): from the command line, which has checked them, instead of the
    preferences. Raises BadWeights for that of the preferences.
    """
    chosen = preferences()
    python = python or _other_python() or None
    device = DEVICES[chosen.device] if chosen else None
    folder = folder or weights()
    if _engine.client is not None and (
        _engine.client.python,
        _engine.client.device,
        _engine.client.weights,
    ) != (python, device, folder):
        stop()
    if _engine.client is None:
        _engine.client = Client(python, weights=folder, device=device)
    # these may have been installed since
    _engine.client.venvs, _engine.client.kanji = venvs(), install.KANJI.venvs()
    return _engine.client


def start_client() -> Client:
    """The client, whose engine runs or is starting. Raises as `client`, and NoEngine."""
    result = client()
    result.start()
    return result


def recorder() -> Client:
    """A client of the same Python and weights for one recording, so that a driver that hangs or
    crashes does not take the engine along. Raises as `client`."""
    engine = client()
    return Client(engine.python, engine.venvs, engine.weights, "cpu")


def running_engine() -> dict | None:
    """The running engine's answer to “hello” (docs/reference/protocol.md), None if it was not
    asked."""
    if _engine.answer is None or _engine.client is None or _engine.client.pid != _engine.answer[0]:
        return None
    return _engine.answer[1]


def current_python() -> tuple[str | None, str]:
    """The Python that the next request would use, and ""; or None, and a sentence on what is
    missing."""
    return attempt(find_engine_python, _other_python() or None, venvs())


def _other_python() -> str:
    """The Python that the preferences name, "" for none."""
    chosen = preferences()
    return bpy.path.abspath(chosen.engine_python) if chosen and chosen.engine_python else ""


def stop() -> None:
    """End the engine's process and remove its temporary files."""
    if _engine.client is not None:
        _engine.client.stop()
        _engine.client = None


def ask(
    client: Client,
    verb: str,
    span: tuple[float, float],
    message: str,
    on_event: Callable[[dict], None] | None = None,
    **args: Any,
) -> Generator[Step, None, dict]:
    """Send a request and wait for it in steps. Returns the engine's result; closing the generator
    cancels the request.

    on_event gets every event that is neither progress nor the end. Raises ThunderError.
    """
    pending = client.request(verb, **args)
    fraction = 0.0
    try:
        while not pending.done:
            for event in pending.poll():
                if event["event"] == "progress":
                    fraction, message = event["fraction"], event["message"] or message
                elif on_event is not None and event["event"] not in ("done", "error"):
                    on_event(event)
            if not pending.done:
                # the engine starts
                yield Step(
                    span[0] + fraction * (span[1] - span[0]), message, begins=fraction == 0.0
                )
    finally:
        if not pending.done:
            pending.cancel()
    if pending.error is not None:
        if isinstance(pending.error, WorkerDied) and pending.error.log:
            # its last words, for the animator to read or send
            text = bpy.data.texts.get(LOG_TEXT) or bpy.data.texts.new(LOG_TEXT)
            text.from_string(pending.error.log)
        raise pending.error
    assert pending.result is not None
    if fingerprint := pending.result.get("weights"):
        _engine.fingerprints[client.weights] = fingerprint
    if verb == "hello" and client is _engine.client and (pid := client.pid) is not None:
        _engine.answer = pid, pending.result
    return pending.result


def ask_about(
    client: Client, verb: str, motion: Motion, span: tuple[float, float], message: str, **args: Any
) -> Generator[Step, None, dict]:  # fmt: skip
    """As `ask`, about the mouth of a motion."""
    with temporary_arrays(client) as put:
        args |= {"expression": put(motion.expression), "jaw": put(motion.jaw)}
        return (yield from ask(client, verb, span, message, **args))
