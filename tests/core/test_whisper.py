# SPDX-License-Identifier: GPL-3.0-or-later
"""An encoder on Whisper's layers hears what transformers' Whisper hears, in arrays, in torch and as a
graph, from either kind of file."""

import numpy as np
import pytest
import torch
from made_whisper import store
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

from research.train.encoder import adopt_whisper, TrainableEncoder, WhisperMel
from research.train.graphs import write_graphs
from research.train.weight_writing import save_weights
from research.train.whisper import read_whisper
from thunder_core import acoustics
from thunder_core.acoustics import whisper_mel
from thunder_core.engine.speech import encoder as engine_encoder
from thunder_core.engine.speech.audio import read_sound
from thunder_core.errors import BadWeights
from thunder_core.shipped import SAMPLE
from thunder_core.types import RATE

VOICE = read_sound(SAMPLE).samples[: 5 * RATE]


@pytest.fixture(scope="module")
def theirs():
    """A small Whisper of transformers' with random arrays."""
    torch.manual_seed(0)
    sizes = dict(d_model=128, encoder_ffn_dim=96, decoder_ffn_dim=96, vocab_size=51865)
    heads = dict(encoder_attention_heads=2, decoder_attention_heads=2)
    config = WhisperConfig(**sizes, **heads, encoder_layers=3, decoder_layers=1)
    model = WhisperForConditionalGeneration(config).eval()
    for values in model.parameters():
        if values.ndim == 1:  # of arrays that are alike CTranslate2 stores one
            values.data += 0.02 * torch.randn(values.shape)
    return model


@pytest.fixture(scope="module")
def folder(theirs, tmp_path_factory):
    """The same as transformers saves it."""
    path = tmp_path_factory.mktemp("whisper")
    theirs.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def model_bin(theirs, tmp_path_factory):
    """The encoder as CTranslate2 stores it, in float16."""
    path = tmp_path_factory.mktemp("converted")
    store(path, theirs, [str(i) for i in range(theirs.config.vocab_size)])
    return path / "model.bin"


@pytest.fixture
def reference(theirs):
    """(log-mel [3000, 80], outputs of each layer [1500, 128]) of VOICE in 30 s, by transformers."""
    mel = WhisperFeatureExtractor()(VOICE, sampling_rate=RATE, return_tensors="pt").input_features
    with torch.no_grad():
        layers = theirs.model.encoder(mel, output_hidden_states=True).hidden_states
    return mel[0].numpy().T, [layer[0].numpy() for layer in layers]


def test_mels_are_those_of_whisper(reference, monkeypatch):
    padded = np.pad(VOICE, (0, 30 * RATE - len(VOICE)))
    assert np.allclose(whisper_mel(padded), reference[0], atol=1e-4)
    tensor = WhisperMel()(torch.from_numpy(padded)[None])[0].numpy()
    assert np.allclose(tensor, reference[0], atol=1e-4)
    monkeypatch.setattr(acoustics, "PIECE", 1)
    assert np.allclose(whisper_mel(padded), reference[0], atol=1e-4), "in pieces, with one floor"


@pytest.mark.parametrize("kind, far", [("folder", 1e-4), ("model_bin", 5e-2)])
def test_layers_are_those_of_whisper(kind, far, reference, request):
    whisper = read_whisper(request.getfixturevalue(kind), [2, 3])
    with torch.no_grad():
        heard = whisper(torch.from_numpy(reference[0])[None])[0].numpy()
    # after the last of its layers transformers normalises once more
    assert np.abs(heard[:, :128] - reference[1][2]).max() < far
    assert np.allclose(whisper.config()["heard"], [2, 3]) and whisper.heard_width == 256


class Voices:
    """As much of a corpus as the components are found in."""

    clips = [VOICE[i : i + RATE] for i in range(0, len(VOICE), RATE)]

    def of(self, split):
        return self.clips

    def samples(self, clip):
        return clip


def test_an_encoder_on_whisper_is_the_same_in_torch_and_as_a_graph(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("research.train.encoder._COMPONENTS", 32)
    encoder = adopt_whisper(folder, [2], Voices()).eval()
    hidden, logits = encoder.reader().analyse(VOICE)
    assert hidden.shape == (250, 32) and logits.shape == (250, 40)
    # independent of each other, half as unequal as they were
    covariance = np.cov(np.concatenate([encoder.reader().analyse(c)[0] for c in Voices.clips]).T)
    spread = np.sqrt(np.diag(covariance))
    alike = covariance / np.outer(spread, spread) - np.eye(32)
    assert np.abs(alike).max() < 0.05 and (np.diff(spread) < 0.01 * spread[:-1]).all()

    state = {k: v for k, v in encoder.state_dict().items() if not k.startswith("log_mel.")}
    save_weights(tmp_path / "encoder", state, encoder.settings(), {})
    again = TrainableEncoder.load(tmp_path)
    assert np.array_equal(again.reader().analyse(VOICE)[0], hidden)
    assert [path.name for path in write_graphs(tmp_path)] == ["encoder.onnx"]
    graph = engine_encoder.SpeechEncoder.load(tmp_path)
    for ours, of_torch in zip(graph.analyse(VOICE), (hidden, logits)):
        assert np.allclose(ours, of_torch, atol=1e-4)
    for seconds in (
        0.2,
        47.3,
    ):  # shorter than the network's reach; longer than what is read at once
        sound = np.resize(VOICE, round(seconds * RATE))
        assert len(graph.analyse(sound)[0]) == round(seconds * RATE) // 320


def test_other_files_are_refused_in_a_sentence(folder, model_bin, tmp_path):
    with pytest.raises(BadWeights, match="no encoder of a Whisper with 9 layers"):
        read_whisper(folder, [9])
    with pytest.raises(BadWeights, match="has no model.safetensors"):
        read_whisper(tmp_path, [1])
    short = tmp_path / "model.bin"
    for content in (b"", b"nothing of it", model_bin.read_bytes()[:5000]):
        short.write_bytes(content)
        with pytest.raises(BadWeights, match="is no Whisper of CTranslate2"):
            read_whisper(short, [1])
