# SPDX-License-Identifier: GPL-3.0-or-later
"""Systems of the paper hear through a wav2vec 2.0 or a HuBERT of transformers, tiny and random here:
as the network itself hears at each frame, kept in a file that goes on, and never mixed up with
others."""

import json

import numpy as np
import pytest
import torch
from made_motions import made_motions
from torch.nn import functional as F
from transformers import HubertConfig, HubertModel, Wav2Vec2Config, Wav2Vec2Model

from research.__main__ import main
from research.measures.evaluate import Clip, Trained
from research.train.ear import Ear, hear_by
from research.train.motions import MotionSet
from research.train.paper import Chain, folder_of, Stage
from thunder_core.errors import BadRequest
from thunder_core.face.head import load_head
from thunder_core.weight_files import SHIPPED

KINDS = {"wav2vec2": (Wav2Vec2Model, Wav2Vec2Config), "hubert": (HubertModel, HubertConfig)}
SIZES = dict(
    hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
    conv_dim=(8,) * 7, num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2,
)  # fmt: skip
RNG = np.random.default_rng(0)


def leave(folder, kind, seed=0):
    """Leave a tiny random network in a folder, as transformers saves one."""
    torch.manual_seed(seed)
    network, config = KINDS[kind]
    network(config(**SIZES)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    torch.set_num_threads(1)
    made = tmp_path_factory.mktemp("ears")
    return {kind: leave(made / kind, kind) for kind in KINDS}


class AtFrames(torch.nn.Module):
    """Convolutions whose output is interpolated to so many frames."""

    def __init__(self, convolutions, frames):
        super().__init__()
        self.convolutions, self.frames = convolutions, frames

    def forward(self, samples):
        heard = self.convolutions(samples)
        return F.interpolate(heard, self.frames, mode="linear", align_corners=True)


@pytest.mark.parametrize("kind", KINDS)
def test_an_ear_hears_what_its_network_makes_of_convolutions_at_frames(folders, kind):
    sound = (0.1 * RNG.standard_normal(30 * 640)).astype(np.float32)
    heard = Ear(folders[kind])(sound, 30)
    network = KINDS[kind][0].from_pretrained(folders[kind]).eval()
    network.feature_extractor = AtFrames(network.feature_extractor, 30)
    even = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)
    with torch.no_grad():
        expected = network(torch.from_numpy(even)[None]).last_hidden_state[0].numpy()
    assert heard.shape == (30, 16) and np.allclose(heard, expected, atol=1e-5)
    assert heard.std(0).min() > 1e-3


def test_an_ear_hears_long_sounds_in_parts_and_short_ones_with_silence(folders):
    ear = Ear(folders["wav2vec2"])
    long = (0.1 * RNG.standard_normal(1100 * 640)).astype(np.float32)
    assert ear(long, 1100).shape == (1100, 16) and np.isfinite(ear(long, 1100)).all()
    assert np.isfinite(ear(np.zeros(100, np.float32), 7)).all()


@pytest.mark.parametrize(
    "config", [None, "{", '{"model_type": "bert"}', '{"model_type": "hubert"}']
)
def test_what_is_no_ear_is_refused_with_a_sentence(tmp_path, config):
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(BadRequest, match="no wav2vec 2.0 or HuBERT.*choose the folder of another"):
        Ear(tmp_path)


def test_what_an_ear_hears_is_kept_and_goes_on_where_it_was_stopped(tmp_path, folders):
    motions, ear = made_motions(tmp_path / "set", load_head()), Ear(folders["hubert"])
    path = hear_by(motions, ear, tmp_path)
    whole = path.read_bytes()
    assert motions.features.shape == (len(motions.motions[0]), 16) and motions.ear == ear.name
    row = motions.rows[2]
    heard = ear(motions.samples(2, 0, row.frames), row.frames).astype(np.float16)
    assert np.array_equal(motions.features[row.start : row.start + row.frames], heard)
    path.write_bytes(whole[: len(whole) // 2 + 7])  # in the middle of a row
    asked = []
    samples, motions.samples = motions.samples, lambda *a: (asked.append(a[0]), samples(*a))[1]
    assert hear_by(motions, ear, tmp_path).read_bytes() == whole and asked == [3, 4, 5, 6]


def test_a_system_learns_through_an_ear_and_performs_through_no_other(tmp_path, folders):
    head = load_head()
    made_motions(tmp_path / "cache", head)
    words = ["train", "--cache", str(tmp_path / "cache"), "--runs", str(tmp_path), "--threads", "1",
             "--device", "cpu", "paper", "--steps", "1", "--together-steps", "1", "--batch", "2",
             "--only", "flameformer", "--ear"]  # fmt: skip
    main([*words, str(folders["wav2vec2"])])
    folder = folder_of(tmp_path, 1, "flameformer")
    about = json.loads((folder / "network.json").read_text())
    ear = Ear(folders["wav2vec2"])
    assert about["config"]["audio"] == 16 and about["card"]["ear"] == ear.name
    motions = MotionSet(
        made_motions(tmp_path / "other", head).corpus, tmp_path / "other" / "motions"
    )
    trained = Trained("flameformer", folder, head, ear=ear)
    assert trained(Clip.of(motions, 4), 2).shape == (2, 110, head.channels + 9)
    for other in (None, Ear(folders["hubert"])):
        with pytest.raises(BadRequest, match=f"hear through {ear.name}: name its folder"):
            Trained("flameformer", folder, head, ear=other)
    with pytest.raises(SystemExit, match="another ear"):
        main([*words, str(folders["hubert"])])
    motions.use_features(np.zeros((1, 16)), ear.name)
    chain = Chain(motions, head, SHIPPED, tmp_path, None, 1)
    assert "frozen" in chain.lacks(Stage("thunder-t", "thunder", trained_encoder=True))
