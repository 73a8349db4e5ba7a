# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks computed by ONNX Runtime are those of torch, for any number of takes and frames, and need
neither torch nor what it brings."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from research.harness import ROOT
from research.train.graphs import TRACED, write_graphs
from research.train.loop import start_from
from research.train.weight_writing import save_weights
from thunder_core.engine.loaded import Thunder
from thunder_core.engine.network import Graph, LazyNetwork
from thunder_core.engine.performance import Performance
from thunder_core.errors import BadWeights
from thunder_core.face.head import load_head
from thunder_core.networks.denoiser import DenoiserNetwork
from thunder_core.networks.running import TorchNetwork
from thunder_core.networks.weights import load_weights
from thunder_core.weight_files import DenoiserConfig, SHIPPED

onnx = pytest.importorskip("onnx")
LENGTHS = [1, 57, 300]
WITHOUT_GRAPHS = shutil.ignore_patterns("*.onnx")


def drawn(seed=0):
    """Draws normal numbers float32 of a shape, times a scale."""
    rng = np.random.default_rng(seed)
    return lambda *shape, scale=1.0: (scale * rng.standard_normal(shape)).astype(np.float32)


def config(name):
    return json.loads((SHIPPED / f"{name}.json").read_text())["config"]


def denoised(takes, frames):
    """Inputs of a denoiser but for silent, style and free; every other curve of events is not
    planned."""
    normal, known = drawn(), config("denoiser")
    x = normal(takes, frames, known["motion"])
    audio = normal(1, frames, known["audio"])
    style = normal(takes, frames, known["style"])
    events = normal(takes, frames, known["events"])
    events[..., ::2] = np.nan
    mouth = drawn(5)(1, frames, known["mouth"])
    given = {"x": x, "step": np.array([700]), "audio": audio, "events": events, "mouth": mouth}
    return given, style


def said(frames):
    """A mel spectrogram of speech's range, units and a speaker."""
    normal = drawn(2)
    speaker = normal(1, 256)
    units = np.random.default_rng(2).integers(0, 200, (1, max(1, frames // 2)))
    return {
        "mel": normal(1, frames, 80, scale=2.0) - 4,
        "units": units,
        "speaker": speaker / np.linalg.norm(speaker),
    }


def mouths(frames, speakers=1):
    return {
        "mouths": drawn(3)(1, frames, config("m2s")["inputs"], scale=2e-3),
        "speakers": drawn(3)(speakers, 256) / 16,
    }


# Name → (inputs of so many frames, largest difference from torch in each output): ten times what
# was measured on one processor. A matrix product of ONNX Runtime adds in another order than
# torch's, so last digits differ, most in outputs that are large.
CASES = {
    "m2s": (mouths, (5e-5, 1e-4, 1e-4)),
    "vocoder": (said, (5e-5, 2e-4)),
    "encoder": (lambda frames: {"mel": drawn()(1, 2 * frames, 80)}, (5e-5,) * 2),
    "speaker": (lambda parts: {"mels": np.abs(drawn()(min(parts, 20), 160, 40))}, (5e-6,)),
}


@pytest.mark.parametrize("frames", LENGTHS)
@pytest.mark.parametrize("name", CASES)
def test_every_graph_is_its_network_of_torch_at_any_length(name, frames):
    inputs, within = CASES[name]
    given = inputs(frames)
    made, true = (
        network(**given) for network in (Graph(SHIPPED / name), TorchNetwork(SHIPPED / name, "cpu"))
    )
    assert len(made) == len(true) == len(within)
    for ours, theirs, most in zip(made, true, within):
        assert ours.dtype == theirs.dtype == np.float32 and ours.shape == theirs.shape
        assert np.isfinite(ours).all() and np.abs(ours - theirs).max() < most


@pytest.mark.parametrize("takes, frames", [(1, 1), (3, 57), (2, 300)])
@pytest.mark.parametrize("name", ["denoiser", "distilled"])
def test_the_denoisers_estimates_are_those_of_torch_whatever_takes_are_beside_them(
    name, takes, frames
):
    networks = Graph(SHIPPED / name), TorchNetwork(SHIPPED / name, "cpu")
    given, directed = denoised(takes, frames)
    anyhow = np.zeros((1, 1, directed.shape[2]), np.float32)
    for style, free, silent in (
        (directed, False, False),
        (directed[:, :1], False, True),
        (anyhow, True, False),
        (anyhow, True, True),
    ):
        asked = given | {"silent": np.array([silent]), "free": np.array([free]), "style": style}
        [estimate], [expected] = (network(**asked) for network in networks)
        assert estimate.dtype == np.float32 and np.allclose(estimate, expected, atol=3e-4)
        [alone] = networks[0](
            **asked | {part: asked[part][:1] for part in ("x", "events", "style")}
        )
        assert np.array_equal(estimate[:1], alone)


def test_a_denoiser_that_hears_the_map_of_mouths_has_it_in_its_graph(tmp_path):
    """Also of takes that hear other phones; until it has learned, it is the one without."""
    sizes, state = config("denoiser"), load_weights(SHIPPED / "denoiser")[0]
    earlier, network = (
        DenoiserNetwork(DenoiserConfig(**sizes | {"mouth": mouth})) for mouth in (0, sizes["mouth"])
    )
    given, style = denoised(3, 57)
    given |= {"silent": np.array([False]), "free": np.array([False]), "style": style}

    def graph_of(name: str, each: DenoiserNetwork) -> Graph:
        (folder := tmp_path / name).mkdir(exist_ok=True)
        start_from(each, {name: value for name, value in state.items() if "mouth_in" not in name})
        save_weights(folder / "denoiser", each.state_dict(), each.settings(), {})
        write_graphs(folder)
        return Graph(folder / "denoiser")

    [before] = graph_of("earlier", earlier)(**given)
    for learned, mouths in ((0.0, 1), (1.0, 1), (1.0, 3)):
        torch.nn.init.normal_(network.mouth_in.weight, std=learned)
        graph = graph_of("now", network)
        asked = given | {"mouth": drawn(5)(mouths, 57, sizes["mouth"])}
        [estimate], [expected] = (
            each(**asked) for each in (graph, TorchNetwork(tmp_path / "now" / "denoiser", "cpu"))
        )
        assert np.allclose(estimate, expected, atol=3e-4)
        assert np.allclose(estimate, before, atol=3e-4) == (not learned)
    with pytest.raises(BadWeights, match="was written for another version"):
        graph(**{name: value for name, value in given.items() if name != "mouth"})


def test_mesh_to_speech_reads_lips_alike_whether_it_speaks_or_not():
    graph, given = Graph(SHIPPED / "m2s"), mouths(37)
    for network in (graph, TorchNetwork(SHIPPED / "m2s", "cpu")):
        features, units, mels = network(**given | {"speakers": np.zeros((0, 256), np.float32)})
        assert mels.shape == (0, 74, 160)
        assert all(np.allclose(a, b, atol=5e-5) for a, b in zip((features, units), graph(**given)))


@pytest.mark.parametrize("frames", [1, 37, 200])
def test_the_encoder_gives_the_same_on_any_number_of_threads(frames):
    mel = drawn()(1, 2 * frames, 80)
    one, two = (Graph(SHIPPED / "encoder", threads)(mel=mel) for threads in (1, 2))
    assert len(one) == 2 and all(map(np.array_equal, one, two))


def test_the_graphs_of_the_shipped_weights_are_up_to_date(tmp_path):
    shutil.copytree(SHIPPED, tmp_path, ignore=WITHOUT_GRAPHS, dirs_exist_ok=True)
    names = {path.name for path in write_graphs(tmp_path)}
    assert names == {path.name for path in SHIPPED.glob("*.onnx")}
    compared = {*CASES, "denoiser", "distilled"}
    assert {name.split(".")[0] for name in names} == compared <= TRACED.keys()
    for name in names:
        nodes = [
            onnx.load_from_string((folder / name).read_bytes()).graph.node
            for folder in (tmp_path, SHIPPED)
        ]
        assert [node.op_type for node in nodes[0]] == [node.op_type for node in nodes[1]], (
            f"{name}: run the stage graphs"
        )


@pytest.fixture(scope="module")
def without_graphs(tmp_path_factory):
    """The shipped weights without their graphs."""
    folder = tmp_path_factory.mktemp("weights") / "without_graphs"
    return shutil.copytree(SHIPPED, folder, ignore=WITHOUT_GRAPHS)


def test_the_first_call_opens_a_network_and_what_is_damaged_is_said_then(tmp_path):
    shutil.copytree(SHIPPED, tmp_path, dirs_exist_ok=True)
    thunder = Thunder(tmp_path, "cpu", load_head())
    networks = thunder.encoder.network, thunder.distilled.network, thunder.denoiser.network
    assert all(network._run is None for network in networks)
    (tmp_path / "encoder.onnx").write_bytes(b"no graph")
    LazyNetwork.begin(
        [thunder.encoder.network]
    )  # what goes wrong beside other work is raised by the call
    for _ in range(2):
        with pytest.raises(BadWeights, match="encoder.onnx"):
            thunder.analyse(np.zeros(8000, np.float32), 12)
    shutil.copy(SHIPPED / "encoder.onnx", tmp_path)
    voice = thunder.analyse(np.zeros(8000, np.float32), 12)
    assert voice.frames == 12 and [isinstance(network._run, Graph) for network in networks] == [
        True,
        False,
        False,
    ]
    thunder.perform(voice, [Performance(1)], 1, 1.0, lambda fraction: None)
    assert [isinstance(network._run, Graph) for network in networks] == [True, False, True]


# ---- without torch

WITHOUT = """
import sys
sys.modules["torch"] = sys.modules["torchaudio"] = None  # as where they are not installed
"""


def sentences(code, *arguments):
    """What code prints in a Python of its own, by lines of JSON."""
    run = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, capture_output=True,
        text=True, timeout=300
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


USUAL = """
import json
import sys
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.direction import DirectionRequest, Direction
from thunder_core.request import Request
from thunder_core.shipped import SAMPLE
speech, engine = read_sound(SAMPLE), Engine.load()
for step in engine.prepare():
    pass
takes = engine.generate(speech, Request(2, 1, direction=DirectionRequest(Direction(mood="warm", strength=0.5).vector()[None], 0.5)))
takes += engine.generate(speech, Request(1, 1, guidance=1.5, steps=2)) + engine.generate(speech, Request(1, 3, listening=True))
print(json.dumps([take.score and take.score.total for take in takes]))
print(json.dumps([engine.score(speech, takes[0].motion).total, takes[0].provenance["seen"]]))
heard = engine.listen(takes[0].motion, speech)
print(json.dumps([len(heard.samples), float(abs(heard.samples).max())]))
sounds, words, matches = engine.spoken(speech, "Please call Stella. Ask her to bring these things with her from the store")
print(json.dumps([len(sounds), len(words)]))
print(json.dumps([engine.device, sorted(name for name in sys.modules if name.partition(".")[0] == "torch")]))
"""


def test_usual_requests_need_no_torch(sample):
    (scores, (again, seen), (samples, loudest), (sounds, words), (device, imported)) = sentences(
        WITHOUT + USUAL
    )
    assert len(scores) == 4 and all(0 < score for score in scores[:3]) and scores[3] is None
    assert 0 < again and seen
    assert samples == pytest.approx(len(sample.samples), abs=640) and 0.01 < loudest <= 0.9
    assert sounds > 0 and words > 0
    assert device == "cpu" and imported == ["torch"], "the none that stands for it"


REFUSED = """
import json
import sys
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.request import Request
from thunder_core.shipped import SAMPLE
try:
    Engine.load(sys.argv[1]).generate(read_sound(SAMPLE), Request(1, 1))
except Exception as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""


def test_what_needs_torch_says_so_where_it_is_not_installed(without_graphs):
    [graphless] = sentences(WITHOUT + REFUSED, without_graphs)
    assert (
        graphless[0] == "BadWeights"
        and str(without_graphs) in graphless[1]
        and "have no graph of “" in graphless[1]
    )
    assert "install the engine for graphics cards, or choose another weights folder" in graphless[1]


# ---- hostile graphs


@pytest.fixture
def folder(tmp_path):
    for ending in ("json", "safetensors", "onnx"):
        shutil.copy(SHIPPED / f"distilled.{ending}", tmp_path)
    return tmp_path


def test_files_that_a_graph_names_elsewhere_are_not_read(folder):
    model = onnx.load_from_string((SHIPPED / "distilled.onnx").read_bytes())
    for entry in (each for tensor in model.graph.initializer for each in tensor.external_data):
        entry.value = "/etc/passwd"
    (folder / "distilled.onnx").write_bytes(model.SerializeToString())
    given, style = denoised(1, 4)
    inputs = given | {"silent": [False], "style": style, "free": [True]}
    # what it says of files is not read
    assert np.array_equal(*(Graph(place / "distilled")(**inputs)[0] for place in (folder, SHIPPED)))


LOADING = """
import json, sys
from thunder_core.engine.engine import Engine
engine = Engine.load(device="cpu")
before = sorted({name.partition(".")[0] for name in sys.modules})
steps = sum(1 for step in engine.prepare())
after = sorted({name.partition(".")[0] for name in sys.modules})
from thunder_core.engine.speech.audio import read_sound
from thunder_core.request import Request
engine.generate(read_sound("assets/sample.wav"), Request(1, 1))
print(json.dumps([before, after, sorted({name.partition(".")[0] for name in sys.modules}), steps]))
"""
# by users
NOT_INSTALLED = {
    "torch",
    "torchaudio",
    "transformers",
    "scipy",
    "sklearn",
    "matplotlib",
    "diffusers",
}


def test_starting_imports_only_what_the_networks_need_and_preparing_the_rest():
    [(before, after, performed, steps)] = sentences(LOADING)
    assert "onnxruntime" not in before and "soundfile" not in before
    assert {"onnxruntime", "soundfile"} <= set(after) and steps > 1
    assert not NOT_INSTALLED & set(after)
    assert not NOT_INSTALLED & set(performed)
