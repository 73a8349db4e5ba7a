# SPDX-License-Identifier: GPL-3.0-or-later
"""A Whisper model made for tests, in megabytes: it says one text, whatever it hears, by the same
files, library and calls as a trained one. A script too, for Pythons without its libraries:

    python made_whisper.py FOLDER TEXT [LANGUAGE]

Attention to the sound and feed-forward layers add nothing to what is decoded, so each position of
the decoder says the token that its position encoding points at.
"""

import sys
from pathlib import Path

import numpy as np

WIDTH, LONGEST = 64, 448
# As of the models that know 99 languages, whose last plain token is an empty one: by that
# CTranslate2 knows that a model is none for English alone.
VOCABULARY = 51865
SPECIAL = ("<|endoftext|>", "<|startoftranscript|>", "<|translate|>", "<|transcribe|>",
           "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>")  # fmt: skip
SECONDS = 7.0  # of a span at which it ends what it says


def make_whisper(folder: Path, text: str, language: str = "en", numeral: str = "") -> Path:
    """Write the model into a folder as CTranslate2 stores it; returns the folder.

    numeral: a number that it would rather say than the first word."""
    from faster_whisper.tokenizer import _LANGUAGE_CODES
    from tokenizers import AddedToken, decoders, models, Tokenizer
    from torch import from_numpy
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    folder.mkdir(parents=True)
    words = [f"Ġ{word}" for word in text.split()]
    stamps = [f"<|{i * 0.02:.2f}|>" for i in range(1501)]
    special = [
        *SPECIAL[:2],
        *(f"<|{code}|>" for code in _LANGUAGE_CODES if code != "yue"),
        *SPECIAL[2:],
    ]
    plain = list(dict.fromkeys(["!", *[f"Ġ{numeral}"] * bool(numeral), *words]))
    plain += [f"Ġx{i}" for i in range(VOCABULARY - 1 - len(plain) - len(special) - len(stamps))]
    names = [*plain, "", *special, *stamps]
    number = {name: i for i, name in enumerate(names)}
    tokenizer = Tokenizer(
        models.WordLevel({name: number[name] for name in [*plain, ""]}, unk_token="!")
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in special])
    tokenizer.add_tokens([AddedToken(name) for name in stamps])
    tokenizer.save(str(folder / "tokenizer.json"))
    assert (
        tokenizer.get_vocab_size() == VOCABULARY
        and tokenizer.token_to_id(stamps[-1]) == VOCABULARY - 1
    )

    rng = np.random.default_rng(0)
    tokens = rng.standard_normal((VOCABULARY, WIDTH)).astype(np.float32)
    tokens /= np.linalg.norm(tokens, axis=1, keepdims=True)
    end = f"<|{SECONDS:.2f}|>"
    said = [f"<|{language}|>", "<|transcribe|>", "<|0.00|>", *words, end, "<|endoftext|>"]
    places = np.repeat(tokens[number["<|endoftext|>"]][None], LONGEST, 0)
    places[: len(said)] = tokens[[number[name] for name in said]]
    if numeral:
        places[3] = 1.2 * tokens[number[f"Ġ{numeral}"]] + tokens[number[words[0]]]
    arrays = {
        "model.decoder.embed_tokens.weight": tokens,
        "model.decoder.embed_positions.weight": 20 * places,
        "model.encoder.embed_positions.weight": rng.standard_normal((1500, WIDTH)),
        "model.encoder.conv1.weight": 0.1 * rng.standard_normal((WIDTH, 80, 3)),
        "model.encoder.conv2.weight": 0.1 * rng.standard_normal((WIDTH, WIDTH, 3)),
        "model.encoder.conv1.bias": np.zeros(WIDTH),
        "model.encoder.conv2.bias": np.zeros(WIDTH),
    }
    for side, attentions in (
        ("encoder", ["self_attn"]),
        ("decoder", ["self_attn", "encoder_attn"]),
    ):
        at = f"model.{side}.layers.0."
        for attention in attentions:
            for part in ("q", "k", "v", "out"):
                adds = part != "out"
                arrays[f"{at}{attention}.{part}_proj.weight"] = (
                    adds * rng.standard_normal((WIDTH, WIDTH)) / 8
                )
                if part != "k":
                    arrays[f"{at}{attention}.{part}_proj.bias"] = np.zeros(WIDTH)
        for name, shape in (("fc1", (WIDTH, WIDTH)), ("fc2", (WIDTH, WIDTH))):
            arrays |= {
                f"{at}{name}.weight": np.zeros(shape),
                f"{at}{name}.bias": np.zeros(shape[0]),
            }
        for norm in (
            *(f"{at}{each}_layer_norm" for each in (*attentions, "final")),
            f"model.{side}.layer_norm",
        ):
            gain = 4.0 if norm == "model.decoder.layer_norm" else 1.0  # so that it is sure
            arrays |= {f"{norm}.weight": np.full(WIDTH, gain), f"{norm}.bias": np.zeros(WIDTH)}
    sizes = {
        f"{side}_{name}": value
        for side in ("encoder", "decoder")
        for name, value in (("layers", 1), ("attention_heads", 1), ("ffn_dim", WIDTH))
    }
    model = WhisperForConditionalGeneration(
        WhisperConfig(d_model=WIDTH, vocab_size=VOCABULARY, **sizes)
    )
    tensors = {name: from_numpy(np.float32(array)) for name, array in arrays.items()}
    assert not model.load_state_dict(tensors, strict=False).unexpected_keys
    model.generation_config.suppress_tokens = []
    model.generation_config.begin_suppress_tokens = [number["<|endoftext|>"]]
    model.generation_config.lang_to_id = {
        code: number[f"<|{code}|>"] for code in _LANGUAGE_CODES if code != "yue"
    }
    store(folder, model, names)
    return folder


def store(folder: Path, model, names: list[str]) -> None:
    """Write a Whisper of transformers, and the names of its tokens, as CTranslate2 does."""
    from ctranslate2.converters.transformers import WhisperLoader

    loader = WhisperLoader()
    spec = loader.get_model_spec(model)
    loader.set_config(spec.config, model, None)
    spec.register_vocabulary(names)
    spec.validate()
    spec.optimize(quantization="float16")
    spec.save(str(folder))


def encoder_sizes(width: int, ahead: int = 8):
    """Sizes (EncoderConfig) of an encoder on one small layer as Whisper's."""
    from thunder_core.weight_files import EncoderConfig

    sizes = {"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2}
    body = sizes | {"model_type": "whisper", "encoder_ffn_dim": 16, "heard": [1]}
    return EncoderConfig(width, layers=1, heads=2, kernel=5, ahead=ahead, body=body)


def wrapper(folder: Path, code: str = "", python: str = sys.executable) -> str:
    """A Python that runs `code` before the recogniser, in the same environment but for torch, which
    users do not have there, and whose import takes seconds."""
    path = folder / "python"
    path.write_text(
        f"#!{python}\nimport os, runpy, sys\nsys.argv = sys.argv[2:]\n"
        f"sys.modules |= dict.fromkeys(('torch', 'transformers'))\n{code}\n"
        "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)\n"
    )
    path.chmod(0o755)
    return str(path)


if __name__ == "__main__":
    make_whisper(Path(sys.argv[1]), *sys.argv[2:])
