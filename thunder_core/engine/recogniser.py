# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that recognises words, by Whisper and the library faster-whisper, in a Python that
has these; `speech/recognition.py` starts it. It reads what to do as lines of JSON from stdin,
answers by lines of JSON on stdout, and ends when its stdin does, or nothing is asked for a minute.

    {"model": folder, "sound": path of float32 samples at 16 kHz (.npy), "spans": [[start, end] …],
    seconds, "language": code, "" for the one that is spoken, "threads": int}
        → {"event": "progress"} every quarter of a second, then for each span {"event": "span",
        "language", "segments": [{"text", "start", "end", "log_prob", "compression",
        "words": [[word, start, end] …]} …]}

or, with --download NAME FOLDER, downloads a model, and last {"event": "done"}, or {"event": "error", "kind", "message"}.
"""

import contextlib
import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from ..errors import (
    BadRequest,
    BadWeights,
    is_full_disk,
    is_out_of_memory,
    NoEngine,
    OutOfMemory,
    ThunderError,
)
from ..types import RATE
from ..whisper_folder import find_model, is_converted
from .whisper_conversion import convert
from .worker import explain

_ALIVE = 0.25  # seconds between two signs of life
# temperatures at which a span is tried until what is recognised neither repeats itself nor is
# improbable
_TEMPERATURES = (0.0, 0.4, 0.8)
# Probability above which a span is taken to be in the language that it sounds like, where the
# voice's other spans are in another: of short spans the language is often mistaken.
_SURE = 0.8
# tokens of a span at most, and of each second: what repeats itself goes on to the model's limit
_TOKENS, _MOST_TOKENS = (24, 12), 440
_NUMERALS = frozenset("0123456789%$£€¥")  # numbers are written as words, whose letters lips follow
_IDLE = 60.0  # seconds for which the model is kept for another request
_lock, _working = threading.Lock(), threading.Event()


def _tell(event: str, **more) -> None:
    """Send an event."""
    with _lock:
        print(json.dumps({"event": event, **more}), flush=True)


def recognise(request: dict) -> None:
    """Recognise the words of a sound's spans. Raises ThunderError."""
    import ctranslate2
    import numpy as np

    model = load(find_model(request["model"], sys.prefix), request["threads"])
    samples = np.load(request["sound"], mmap_mode="r", allow_pickle=False)
    spans = [np.array(samples[round(a * RATE) : round(b * RATE)]) for a, b in request["spans"]]
    tokens = model.hf_tokenizer
    numerals = [
        i for i in range(tokens.token_to_id("<|endoftext|>")) if _NUMERALS & {*tokens.decode([i])}
    ]
    for (start, _), span, language in zip(
        request["spans"], spans, languages(model, spans, request["language"])
    ):
        ctranslate2.set_random_seed(0)  # the same sound has the same words
        segments, _ = model.transcribe(
            span, language=language, beam_size=1, temperature=_TEMPERATURES, word_timestamps=True,
            condition_on_previous_text=False, suppress_tokens=[-1, *numerals],
            max_new_tokens=min(_MOST_TOKENS, _TOKENS[0] + _TOKENS[1] * len(span) // RATE),
        )  # fmt: skip
        found = [
            {
                "text": each.text.strip(), "start": start + each.start, "end": start + each.end,
                "log_prob": each.avg_logprob, "compression": each.compression_ratio,
                "words": [[w.word.strip(), start + w.start, start + w.end] for w in each.words],
            }
            for each in segments
        ]  # fmt: skip
        _tell("span", language=language, segments=found)


def languages(model, spans: list, given: str) -> list[str]:
    """The language of each span: the given one, else the one that it surely sounds like, else that
    of the whole voice. Raises BadRequest."""
    if given and given not in model.supported_languages:
        raise BadRequest(f"The model knows no language “{given}”: give a code such as en, de or zh")
    if given or not model.model.is_multilingual:
        return [given or "en"] * len(spans)
    heard = [dict(model.detect_language(span)[2]) for span in spans]
    total = {name: sum(p[name] * len(span) for p, span in zip(heard, spans)) for name in heard[0]}
    usual = max(total, key=total.get)
    best = [max(p, key=p.get) for p in heard]
    return [name if p[name] > _SURE else usual for name, p in zip(best, heard)]


@lru_cache(maxsize=1)
def load(folder: Path, threads: int):
    """The model in a folder, with 8-bit weights on the processor. Raises BadWeights."""
    from faster_whisper import WhisperModel

    try:
        if not is_converted(folder):
            folder = convert(folder)
        return WhisperModel(
            str(folder), device="cpu", compute_type="int8", cpu_threads=threads,
            local_files_only=True,
        )  # fmt: skip
    except Exception as error:  # the libraries raise any kind
        if is_out_of_memory(error) or isinstance(error, (ImportError, OSError)):
            raise
        raise BadWeights(
            f"“{folder}” holds no Whisper model that can be read ({error}): choose another, or get "
            f"it again"
        ) from error


# ---- the process


def download(name: str, place: str) -> None:
    """Download a model by its name on the hub, the only work that uses the network; a folder that is
    there is complete. Raises BadRequest."""
    os.environ["HF_HUB_OFFLINE"] = "0"
    from faster_whisper.utils import download_model
    from huggingface_hub.errors import HfHubHTTPError

    folder = Path(place)
    part = folder.with_name(f"{folder.name}.part")  # what is there already is not downloaded again
    try:
        download_model(name, output_dir=str(part))
    except (ValueError, OSError, HfHubHTTPError) as error:
        if is_full_disk(error):
            raise
        raise BadRequest(
            f"The model “{name}” cannot be downloaded ({str(error).splitlines()[0][:200]}): check "
            f"its name and the connection"
        ) from error
    find_model(str(part))
    part.rename(folder)


def _read_requests(requests: queue.SimpleQueue) -> None:
    """Thread: queue what is asked; the end of stdin ends the process."""
    while line := sys.stdin.buffer.raw.readline():
        requests.put(json.loads(line))
    os._exit(3)


def _show_life() -> None:
    """Thread: tell that a request is worked on."""
    while _working.wait():
        _tell("progress", fraction=0.5, message="Downloading the model")
        time.sleep(_ALIVE)


def main() -> None:
    """Do what the lines on stdin say, until none comes."""
    requests: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(requests,), daemon=True).start()
    threading.Thread(target=_show_life, daemon=True).start()
    if sys.argv[1:2] == ["--download"]:
        _answer(download, *sys.argv[2:])
        os._exit(0)
    with contextlib.suppress(queue.Empty):
        while True:
            _answer(recognise, requests.get(timeout=_IDLE))
    os._exit(0)  # a thread is in a read


def _answer(work: Callable[..., None], *arguments) -> None:
    """Do some work, and say how it ended."""
    _working.set()
    try:
        work(*arguments)
        end, about = "done", {}
    except Exception as error:
        traceback.print_exc()
        known = _explain(error)
        end, about = "error", {"kind": type(known).__name__, "message": str(known)}
    _working.clear()
    _tell(end, **about)


def _explain(error: Exception) -> ThunderError:
    if is_out_of_memory(error) and not isinstance(error, ThunderError):
        return OutOfMemory(
            "The memory is too small to recognise words: close other programs, or choose a smaller "
            "model"
        )
    if isinstance(error, ImportError):
        return NoEngine(
            f"The Python at “{sys.executable}” cannot recognise words ({error}): install it again "
            f"in the preferences"
        )
    return explain(error, "recognising words")


if __name__ == "__main__":
    main()
