# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes of a Whisper model as Hugging Face stores it one that CTranslate2 reads, by CTranslate2's
own converter, which is handed the arrays of the files instead of a model of torch's."""

import hashlib
import json
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from ..whisper_folder import is_converted, MODELS

_TYPES = {"F32": "<f4", "F16": "<f2"}


def convert(folder: Path) -> Path:
    """The model of a Hugging Face folder as CTranslate2 reads it, kept in this environment. Raises
    OSError, or anything else where the folder holds something else."""
    from ctranslate2.converters import transformers as converters
    from tokenizers import Tokenizer

    files = sorted(folder.glob("*.safetensors"))
    state = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    key = hashlib.sha256(json.dumps(state).encode()).hexdigest()[:12]
    made = Path(sys.prefix, MODELS, f"{folder.name}-{key}")
    if is_converted(made):
        return made
    arrays = {name: array for path in files for name, array in _read_safetensors(path).items()}
    arrays.setdefault("proj_out.weight", arrays["model.decoder.embed_tokens.weight"])
    model = _tree(arrays)
    settings: dict = {}
    for text in (folder / "config.json", folder / "generation_config.json"):
        settings |= json.loads(text.read_text("utf-8")) if text.is_file() else {}
    tokens = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab(with_added_tokens=True)
    languages = [tokens[name] for name in tokens if re.fullmatch(r"<\|[a-z]{2,3}\|>", name)]
    size = len(arrays["proj_out.weight"])
    names = sorted(tokens, key=tokens.get)[:size]
    names += [f"<|{i * 0.02:.2f}|>" for i in range(size - len(names))]
    model.config = SimpleNamespace(**settings)
    model.generation_config = SimpleNamespace(lang_to_id=dict(enumerate(languages)), **{
        name: settings.get(name) for name in ("suppress_tokens", "begin_suppress_tokens",
                                              "alignment_heads")})  # fmt: skip
    # which the converter asks whether a layer is one of its own
    converters.transformers = SimpleNamespace(Conv1D=())
    loader = converters.WhisperLoader()
    spec = loader.get_model_spec(model)
    loader.set_config(spec.config, model, None)
    spec.register_vocabulary(names)
    spec.validate()
    spec.optimize(quantization="float16")
    part = made.with_name(f"{made.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    spec.save(str(part))
    for name in ("tokenizer.json", "preprocessor_config.json"):
        if (folder / name).is_file():
            shutil.copy(folder / name, part / name)
    part.rename(made)
    return made


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file, which stay on the disk. Raises ValueError, KeyError, OSError."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            raise ValueError(f"{path.name} is damaged")
        about = json.loads(file.read(length))
    about.pop("__metadata__", None)
    data = np.memmap(path, np.uint8, "r", 8 + length)
    return {
        name: data[slice(*each["data_offsets"])].view(_TYPES[each["dtype"]]).reshape(each["shape"])
        for name, each in about.items()
    }


def _tree(arrays: dict[str, np.ndarray]) -> SimpleNamespace:
    """Arrays as a model has them: “a.0.weight” as .a[0].weight."""
    parts: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        first, _, rest = name.partition(".")
        parts.setdefault(first, {})[rest] = array
    made = {name: part[""] if "" in part else _tree(part) for name, part in parts.items()}
    numbered = all(name.isdigit() for name in made)
    return [made[str(i)] for i in range(len(made))] if numbered else SimpleNamespace(**made)
