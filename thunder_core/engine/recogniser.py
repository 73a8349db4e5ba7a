# SPDX-License-Identifier: GPL-3.0-or-later
"""What the process that recognises words does for each request, by Whisper and the library
faster-whisper, in a Python that has these; its arguments come from `speech/recognition.py`.

recognise: "sound", path of float32 samples at 16 kHz (.npy), "spans" [[start, end] …] in seconds,
"model", a folder, "language", a code, "" for the one that is spoken, "threads" → of each span
"language" and "segments": "text", "start", "end", "log_prob", "compression", "words" [[word, start,
end] …].  download: "name" on the hub, "folder".
"""

import io
import os
import shutil
import sys
from functools import lru_cache
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path

import numpy as np

from ..errors import BadRequest, BadWeights, is_full_disk, is_out_of_memory, ThunderError
from ..progress import Progress
from ..types import RATE
from ..whisper import find_model

# temperatures at which a span is tried until what is recognised neither repeats itself nor is
# improbable
_TEMPERATURES = (0.0, 0.4, 0.8)
# Probability above which a span is taken to be in the language that it sounds like, where the
# voice's other spans are in another: of short spans the language is often mistaken.
_SURE = 0.8
# Seconds of the pieces of a span whose languages are looked for, and probability above which one is
# in a language that nothing else of the voice is in: pieces in another one are read by themselves.
_PIECE, _CHANGES = 7.0, 0.95
_CUT, _BLOCK = (
    2.0,
    0.02,
)  # seconds around a cut of pieces, made where it is quietest, and of a block
_LOOKING = 0.2  # share of the time that looking for languages takes
# tokens of a span at most, and of each second: what repeats itself goes on to the model's limit
_TOKENS, _MOST_TOKENS = (24, 12), 440
# files of a model on the hub
_FILES = ["config.json", "preprocessor_config.json", "tokenizer.json", "vocabulary.*", "model.bin"]
_NUMERALS = frozenset("0123456789%$£€¥")  # numbers are written as words, whose letters lips follow


def _recognise(worker, args, progress):
    """Words of the spans of a sound. Raises ThunderError."""
    import ctranslate2

    model = load(find_model(args["model"], sys.prefix), args["threads"])
    samples = np.load(args["sound"], mmap_mode="r", allow_pickle=False)
    pieces = [list(pairwise([a, *find_cuts(samples, a, b), b])) for a, b in args["spans"]]
    last, decode = model.hf_tokenizer.token_to_id("<|endoftext|>"), model.hf_tokenizer.decode
    numerals = [token for token in range(last) if _NUMERALS & {*decode([token])}]
    # parts of the file, of which each is read when its turn comes
    sounds = [[samples[round(a * RATE) : round(b * RATE)] for a, b in each] for each in pieces]
    spoken, found = languages(model, sounds, args["language"], progress), []
    spans = []
    for each, names in zip(pieces, spoken):
        for language, same in groupby(zip(each, names), key=itemgetter(1)):
            places = [place for place, _ in same]
            spans.append((places[0][0], places[-1][1], language))
    for number, (start, end, language) in enumerate(spans):
        progress(_LOOKING + (1 - _LOOKING) * number / len(spans), "Recognizing words")
        span = samples[round(start * RATE) : round(end * RATE)]
        ctranslate2.set_random_seed(0)  # the same sound has the same words
        segments, _ = model.transcribe(
            np.array(span), language=language, beam_size=1, temperature=_TEMPERATURES,
            word_timestamps=True, condition_on_previous_text=False, suppress_tokens=[-1, *numerals],
            max_new_tokens=min(_MOST_TOKENS, _TOKENS[0] + _TOKENS[1] * len(span) // RATE),
        )  # fmt: skip
        said = [
            {
                "text": each.text.strip(),
                "start": start + each.start,
                "end": start + each.end,
                "log_prob": each.avg_logprob,
                "compression": each.compression_ratio,
                "words": [[w.word.strip(), start + w.start, start + w.end] for w in each.words],
            }
            for each in segments
        ]
        found.append({"language": language, "segments": said})
    return {"spans": found}


def find_cuts(samples, start: float, end: float) -> list[float]:
    """Seconds at which a span of a sound is cut into pieces, each where it is quietest nearby."""
    result, count = [], round((end - start) / _PIECE)
    for number in range(1, count):
        at = start + number * (end - start) / count
        first, block = round((at - _CUT) * RATE), round(_BLOCK * RATE)
        near = np.array(samples[first : round((at + _CUT) * RATE)])
        level = np.abs(near[: len(near) // block * block]).reshape(-1, block).mean(1)
        smooth = np.convolve(level, np.ones(5), "same")
        smooth[:2] = smooth[-2:] = np.inf  # whose neighbours are not all there
        result.append(first / RATE + (int(smooth.argmin()) + 0.5) * _BLOCK)
    return result


def languages(model, spans: list, given: str, progress: Progress) -> list[list[str]]:
    """The language of each piece of each span: the given one, else the one that it surely sounds
    like, else that of the span, or where that is not sure that of the whole voice. Raises
    BadRequest."""
    known = model.supported_languages
    if given and given not in known:
        which = "give a code such as en, de or zh" if len(known) > 1 else "it is for English alone"
        raise BadRequest(f"The model knows no language “{given}”: {which}, or choose another model")
    if given or not model.model.is_multilingual:
        return [[given or "en"] * len(pieces) for pieces in spans]
    count, done = sum(map(len, spans)), 0
    chances_by_span: list[list[dict[str, float]]] = []
    for pieces in spans:
        chances_by_span.append([])
        for piece in pieces:
            progress(_LOOKING * done / count, "Recognizing words")
            chances_by_span[-1].append(dict(model.detect_language(piece)[2]))
            done += 1
    lengths = [[len(piece) for piece in pieces] for pieces in spans]
    usual, _ = likeliest(sum(chances_by_span, []), sum(lengths, [])) if spans else ("en", 1.0)
    each = [[likeliest([p], [1]) for p in chances] for chances in chances_by_span]
    spoken = {name for pieces in each for name, sure in pieces if sure > _CHANGES}
    result = []
    for chances, seconds, pieces in zip(chances_by_span, lengths, each):
        of_span, sure = likeliest(chances, seconds)
        of_span = of_span if sure > _SURE else usual
        result.append(
            [
                name if sure > (_SURE if name in spoken else _CHANGES) else of_span
                for name, sure in pieces
            ]
        )
    return result


def likeliest(chances: list[dict[str, float]], lengths: list[int]) -> tuple[str, float]:
    """The likeliest language of parts of these lengths together, and its probability."""
    total = sum(lengths)
    share = {
        name: sum(p[name] * length for p, length in zip(chances, lengths)) / total
        for name in chances[0]
    }
    name = max(share, key=lambda name: share[name])
    return name, share[name]


@lru_cache(maxsize=1)
def load(folder: Path, threads: int):
    """The model in a folder, with 8-bit weights on the processor. Raises BadWeights."""
    from faster_whisper import WhisperModel

    try:
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


def _download(worker, args, progress):
    """A model by its name on the hub: the only request that uses the network. Raises BadRequest."""
    os.environ["HF_HUB_OFFLINE"] = "0"
    from faster_whisper.utils import _MODELS, tqdm
    from huggingface_hub import HfApi, snapshot_download

    name, folder = args["name"], Path(args["folder"])
    part = folder.with_name(f"{folder.name}.part")  # what is there already is not downloaded again

    class Bar(tqdm):
        def __init__(self, *given, **how):
            super().__init__(*given, **how | {"disable": False, "file": io.StringIO()})

        def update(self, n=1):
            super().update(n)
            if self.unit == "B" and self.total:
                progress(self.n / self.total, f"Downloading {self.total / 1e9:.2g} GB")

    progress(0.0, f"Looking for “{name}”")
    try:
        # Without a revision a part that is there would pass for the whole where the hub is away.
        found = HfApi().model_info(_MODELS.get(name, name))
        snapshot_download(
            found.id, revision=found.sha, local_dir=str(part), allow_patterns=_FILES,
            tqdm_class=Bar,
        )  # fmt: skip
    except ThunderError:
        raise
    except Exception as error:  # the library raises any kind
        if is_full_disk(error):
            raise
        if getattr(error, "response", None) is None:
            sentence = (
                f"The Hugging Face hub cannot be reached, so “{name}” was not downloaded: check "
            )
            raise BadRequest(f"{sentence}the connection") from error
        raise BadRequest(
            f"“{name}” was not downloaded: check the name ({str(error).splitlines()[0][:200]})"
        ) from error
    try:
        find_model(str(part))
    except BadWeights as error:
        shutil.rmtree(part)
        raise BadRequest(
            f"“{name}” is no Whisper model as CTranslate2 stores it: enter another name, such as "
            f"base"
        ) from error
    part.rename(folder)
    return {}


VERBS = {"recognise": _recognise, "download": _download}
