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
from pathlib import Path

from ..errors import BadRequest, BadWeights, is_full_disk, is_out_of_memory, ThunderError
from ..progress import Progress
from ..types import RATE
from ..whisper_folder import find_model, is_converted
from .whisper_conversion import convert

# temperatures at which a span is tried until what is recognised neither repeats itself nor is
# improbable
_TEMPERATURES = (0.0, 0.4, 0.8)
# Probability above which a span is taken to be in the language that it sounds like, where the
# voice's other spans are in another: of short spans the language is often mistaken.
_SURE = 0.8
_LOOKING = 0.2  # share of the time that looking for languages takes
# tokens of a span at most, and of each second: what repeats itself goes on to the model's limit
_TOKENS, _MOST_TOKENS = (24, 12), 440
# files of a model on the hub, as CTranslate2 or Hugging Face store it in one kind of numbers
_FILES = [
    "config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json",
    "vocabulary.*", "model.bin", "model.safetensors", "model-0*.safetensors",
]  # fmt: skip
_NUMERALS = frozenset("0123456789%$£€¥")  # numbers are written as words, whose letters lips follow


def _recognise(worker, args, progress):
    """Words of the spans of a sound. Raises ThunderError."""
    import ctranslate2
    import numpy as np

    model = load(find_model(args["model"], sys.prefix), args["threads"])
    samples = np.load(args["sound"], mmap_mode="r", allow_pickle=False)
    # parts of the file, of which each is read when its turn comes
    spans = [samples[round(a * RATE) : round(b * RATE)] for a, b in args["spans"]]
    last, decode = model.hf_tokenizer.token_to_id("<|endoftext|>"), model.hf_tokenizer.decode
    numerals = [token for token in range(last) if _NUMERALS & {*decode([token])}]
    spoken, found = languages(model, spans, args["language"], progress), []
    for number, ((start, _), span, language) in enumerate(zip(args["spans"], spans, spoken)):
        progress(_LOOKING + (1 - _LOOKING) * number / len(spans), "Recognizing words")
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


def languages(model, spans: list, given: str, progress: Progress) -> list[str]:
    """The language of each span: the given one, else the one that it surely sounds like, else that
    of the whole voice. Raises BadRequest."""
    known = model.supported_languages
    if given and given not in known:
        which = "give a code such as en, de or zh" if len(known) > 1 else "it is for English alone"
        raise BadRequest(f"The model knows no language “{given}”: {which}, or choose another model")
    if given or not model.model.is_multilingual:
        return [given or "en"] * len(spans)
    heard = []
    for number, span in enumerate(spans):
        progress(_LOOKING * number / len(spans), "Recognizing words")
        heard.append(dict(model.detect_language(span)[2]))
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
            f"“{name}” is no Whisper model that can be used: enter another name"
        ) from error
    part.rename(folder)
    return {}


VERBS = {"recognise": _recognise, "download": _download}
