# SPDX-License-Identifier: GPL-3.0-or-later
"""How lips open is predicted from inner layers of the encoder, and fitted to measured lips."""

import json
import shutil

import numpy as np
import pytest
import torch

from research.train.opening import fit_kernel, inner_features, LAYERS, main_directions, r_at_best_lag
from thunder_core.engine.engine import Engine
from thunder_core.engine.planning.lip_kernels import around
from thunder_core.engine.speech import encoder as encoder_module
from thunder_core.engine.speech.encoder import opening_map, OpeningMap, OpeningMapConfig, PredictedOpening, REACH, SpeechEncoder
from thunder_core.engine.weights import SHIPPED
from thunder_core.errors import BadWeights
from thunder_core.types import RATE


@pytest.fixture(scope="module")
def encoder():
    return SpeechEncoder.load(SHIPPED)


@pytest.fixture(scope="module")
def samples():
    t = np.arange(6 * RATE) / RATE
    return (
        0.3 * np.sin(2 * np.pi * 150 * t) * (1 + np.sin(2 * np.pi * 3 * t)) + 0.01 * np.random.default_rng(0).standard_normal(len(t))
    ).astype(np.float32)


def read(encoder, by, samples, frames):
    """The opening [frames] that a map predicts."""
    reader = PredictedOpening(by)
    encoder.analyse(samples, readers=[reader])
    return reader.over(frames)


def test_a_prediction_is_the_kernel_over_the_frames_around(encoder, samples, monkeypatch):
    kernel = torch.randn(2 * REACH + 1, 2 * 192, generator=torch.Generator().manual_seed(0)).numpy()
    by = OpeningMap(OpeningMapConfig(LAYERS), kernel)
    features = inner_features(encoder, samples, 150)
    wanted = around(features, REACH) @ kernel.ravel()
    got = read(encoder, by, samples, 150)
    assert got == pytest.approx(wanted, abs=1e-3 * float(np.abs(wanted).max()))
    monkeypatch.setattr(encoder_module, "_CHUNK", 100)  # as of a long sound
    assert np.corrcoef(read(encoder, by, samples, 150), wanted)[0, 1] > 0.98


def test_a_map_of_layers_that_the_encoder_lacks_is_refused(tmp_path, encoder):
    for name in ("opening.safetensors", "encoder.safetensors", "opening.json"):
        shutil.copy(SHIPPED / name, tmp_path)
    card = json.loads((tmp_path / "opening.json").read_text())
    assert opening_map(tmp_path, encoder.config).config.layers == LAYERS
    for layers in ([1, 4], [-1, 3]):
        card["config"]["layers"] = layers
        (tmp_path / "opening.json").write_text(json.dumps(card))
        with pytest.raises(BadWeights, match=r"opening\.json"):
            opening_map(tmp_path, encoder.config)


def test_a_map_of_another_encoder_is_not_read_and_without_one_nothing_is_predicted(tmp_path, encoder):
    folder = tmp_path / "weights"
    shutil.copytree(SHIPPED, folder)
    with open(folder / "encoder.safetensors", "r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    assert opening_map(folder, encoder.config) is None
    (folder / "opening.json").unlink()
    (folder / "opening.safetensors").unlink()
    thunder = Engine.load(folder, device="cpu").thunder
    assert thunder.opening is None
    assert not thunder.analyse(np.zeros(RATE, np.float32), 25).opening.any()


def test_a_kernel_that_made_the_lips_is_fitted_again():
    rng = np.random.default_rng(1)
    features = rng.standard_normal((4, 2000, 6)) * np.arange(1, 7)
    true = np.zeros((2 * REACH + 1, 6))
    true[REACH, 2], true[REACH - 1, 5] = 1.0, 0.3
    directions = main_directions(features[0], 6)[1]
    openings = [around(one, REACH) @ true.ravel() for one in features]
    openings[0][100:200] = np.nan  # no face is seen
    kernel = fit_kernel(list(zip(features[:3], openings)), directions)
    curve = around(features[3], REACH) @ kernel.ravel()
    assert r_at_best_lag(curve, openings[3]) > 0.95
    assert r_at_best_lag(np.roll(curve, 2), openings[3]) > 0.95 > 0.3 > abs(r_at_best_lag(np.roll(curve, 9), openings[3]))


def test_directions_vary_by_the_square_root_of_what_they_did():
    features = np.random.default_rng(2).standard_normal((5000, 3)) @ np.array([[1, 1, 0], [0, 1, 0], [0, 0, 5.0]])
    mean, directions = main_directions(features, 2)
    variances = np.linalg.eigvalsh(np.corrcoef(features.T))[::-1][:2]
    assert ((features - mean) @ directions).var(0) == pytest.approx(np.sqrt(variances), rel=0.02)
