# SPDX-License-Identifier: GPL-3.0-or-later
"""Every bench and every target of the Makefile runs, with as little to do as it can have."""

import argparse
import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from made_whisper import make_whisper

from research.__main__ import parts
from thunder_core import installer
from thunder_core.engine.speech.audio import read_sound

ROOT = Path(__file__).resolve().parents[2]
DATA = os.environ.get("THUNDER_DATA", "")
CLIPS = {
    "fit": ["grid_bbaf2n", "grid_brbk7n", "vox_796100172"],
    "check": ["grid_lbbc2a", "grid_lrwp9a"],
}
CHAIN = [
    "paper",
    "--steps",
    "2",
    "--together-steps",
    "2",
    "--batch",
    "2",
    "--only",
    "thunder",
    "thunder+mouth2s*",
    "media2face",
]

# {cache}, {runs}: of a training of seconds.  {heads}: the same with other heads.  {data}: a few of
# THUNDER_DATA's clips, {source}: all.
OF_CORPUS = "--cache {cache} --voices 1 --results {out}/x.txt"
BENCHES = {
    "anthropometry": "",
    "articulation": "--data {data} --quick --takes {out}/takes --results {out}/x.txt",
    "blind": "B --data {data} --solved {solved} --most 1 --out {out}/blind",
    "check_animation": "--data {data} --solved {solved} --takes 1 --read 1 --results {out}/x.txt",
    "check_results": "",
    "weight": "",
    "commit": "--data {data} --takes {out}/takes --results {out}/x.txt",
    "curves": "--data {data} --clips grid_lbbc2a grid_lrwp9a --seconds 1 --out {out}/x.png "
    "--list-out {out}/y.png",
    "direction": f"{OF_CORPUS} --readings 4 --repeats 1",
    "drawn": "--data {source} --lines 1 --results {out}/x.txt",
    "emotion": "--cache {cache} --runs {runs} --seeds 1 --voices 1 --samples 1 --results "
    "{out}/x.txt",
    "events": "--data {data} --takes 1 --results {out}/x.txt",
    "faults": "--kills 1 --skip table,calls --results {out}",
    "habits": "--data {data} --solved {solved} --takes 2 --readings 2 --results {out}/x.txt",
    "hits": "--data {source} --solved {solved} --lines 1 --results {out}/x.txt",
    "words_aligned": "--data {source} --lines 2 --results {out}/x.txt",
    "heard_arousal": "--data {source} --voices 1 --results {out}/x.txt",
    "lips": "--data {data} --takes 2 --out {out} --results {out}/x.txt",
    "live": "--data {data} --clips 1 --seconds 2 --results {out}/x.txt",
    "listeners": "--data {data} --takes 1 --results {out}/x.txt",
    "long": "{bpy} --minutes 0.1 --takes 1 --results {out}/x.json",
    "make_shapes": "--data {source} --heads ours --results {out}/x.txt",
    "manner": "--data {source} --voices 4 --results {out}/x.txt",
    "moods": f"{OF_CORPUS} --learn 2",
    "mouths": "--data {source} --out {out}/x.png",
    "paper": "--cache {cache} --runs {runs} --seeds 1 --clips 2 --samples 2 --steps 2 --results "
    "{out} --docs {out}/x.md",
    "people_or_take": "--data {data} --takes 2 --teacher --out {out}/takes --results {out}/x.txt",
    "perform": "teacher --takes 1 --out {out}/performed",
    "perform_as": "--languages de --results {out}/x.txt",
    "ranking": "--data {data} --voices 1 --steps 1 --sets 1 --clips 2 --results {out}/x.txt",
    "recognise": "--data {source} --model {whisper} --recordings 2 --lines 1 --takes 1 --clips 1 "
    "--clip-takes 1 --results {out}/x.txt",
    "say": "--data {source} --model {whisper} --lines 1 --voices 1 --results {out}/x.txt",
    "speed": "--quick",
    "study": "make {out}/study --data {data} --solved {solved} --pairs 2 --catch 1 --seconds 1 --size 64",
    "style_from": "--cache {cache} --results {out}/x.txt",
    "table1": "--cache {cache} --data {data} --clips 1 --kept {out}/kept.json --results "
    "{out}/x.json",
    "tracking": "--takes 1 --compared 0 --results {out}/x.txt",
    "rounding": "--data {data} --results {out}/x.txt",
    "transcripts": "--data {source} --lines 2 --takes 1 --results {out}/x.txt",
    "unclear": "--data {source} --voices 2 --results {out}/x.txt",
}
IN_BLENDER = {"head_sheet": "{out}/x.png --size 30 --samples 1 --poses jawOpen"}
OF_NETWORK = {"lock"}
# others import them
LIBRARIES = {
    "harness",
    "corpus_lines",
    "paper_rows",
    "quoted_figures",
    "lines_run",
    "viseme_tool",
    "votes",
    "espeak_voice",
}
CALLED = {"takes_in_blender", "takes_of_tree", "start_of_tree", "kills"}  # by commit, speed, faults
IN_WINDOW = {"pictures"}
ALL_TESTS = {"mutations"}  # runs each of them once to list its lines

# Targets: the rest is the tests themselves, what CI runs, or needs the network.
FEW_STEPS = [f"{name}_STEPS=2" for name in "DENOISER M2S TOGETHER DISTIL".split()]
TARGETS = {
    "demo": ["TAKES=1"],
    "retrain": ["SPEECH={voices}", "TRAINED={out}/trained", *FEW_STEPS],
    "paper": ["SPEECH={voices}", "TRAINED={out}/paper", "SEEDS=1", *FEW_STEPS],
    "engine": [], "develop": [], "package": [], "check-results": [], "fuzz": ["MINUTES=0.05"],
}  # fmt: skip
ELSEWHERE = set(
    "test test-all test-core test-core-engine test-core-around test-core-all test-core-slow "
    "test-blender test-blender-once "
    "test-blender-each test-blender-slow test-blenders test-blender-oldest test-window "
    "test-window-slow test-cluster docs-pictures train-smoke bench bench-speed faults mutations "
    "lint licences locks languages "
    "clean weight packages repository results".split()
)


def test_the_makefile_names_benches_that_are_there():
    makefile = (ROOT / "Makefile").read_text()
    names = " ".join(
        re.findall(r"for name in ([a-z_ ]+); do .*-m research", makefile)
    ).split() + re.findall(r"-m research ([a-z_]+)", makefile)
    assert names and set(names) <= parts().keys()


def test_the_makefile_s_benches_have_the_options_that_it_names():
    recipes = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    commands = re.findall(r"-m research ([a-z_]+) ([^\n&;|}]*)", recipes)
    assert "paper" in dict(commands)
    for name, words in commands:
        parser = argparse.ArgumentParser()
        module = importlib.import_module(f"research.{name}")
        if hasattr(module, "add_arguments"):
            module.add_arguments(parser)
        named = set(re.findall(r"--[a-z0-9-]+", words))
        assert named <= set(parser._option_string_actions), name


def test_every_bench_and_every_target_has_a_run_or_a_reason():
    modules = {path.stem for path in (ROOT / "research").glob("[a-z]*.py")}
    benches = {*BENCHES, *IN_BLENDER, *ALL_TESTS, *OF_NETWORK}
    assert modules == {*benches, *LIBRARIES, *CALLED}
    assert parts().keys() == {*benches, *IN_WINDOW, "sculpt", "train"}
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    assert set(phony) == {*TARGETS, *ELSEWHERE}


def ran(command, **environment):
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


def train(*words):
    return ran([sys.executable, "-m", "research", "train", "--device", "cpu", *words])


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    """Eight recordings by four speakers, stretches of the sample voice."""
    folder = tmp_path_factory.mktemp("voices")
    samples, rows = read_sound(ROOT / "assets" / "sample.wav").samples, ["file\tspeaker\ttext"]
    for number, speaker in enumerate(("ada", "bob", "eve", "367")):
        for name, start in (
            (f"{number}a.wav", 14000 * number),
            (f"{number}b.wav", 44000 - 14000 * number),
        ):
            soundfile.write(folder / name, samples[start : start + 84000], 16000)
            rows.append(f"{name}\t{speaker}\t")
    (folder / "transcripts.tsv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def trained(voices, tmp_path_factory):
    """{cache}, {runs}, {heads}: what the benches of a training measure."""
    folder = tmp_path_factory.mktemp("training")
    places = ["--cache", folder / "cache", "--runs", folder / "runs"]
    train(*places, "corpus", voices)
    train(*places, "hear", "--same-units", "--quiet-clips", "2")
    train("--seed", "5", *places, "animate")  # in which the one who validates plays strong moods
    train(*places, "heads", "--to", folder / "heads")
    train(*places, *CHAIN)
    return {name: folder / name for name in ("cache", "runs", "heads")}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """{data}: a few clips of THUNDER_DATA; {solved}: where solved faces are kept."""
    if not DATA:
        pytest.skip("THUNDER_DATA names no folder of recordings")
    source, folder = Path(DATA), tmp_path_factory.mktemp("data")
    for place in ("lips", "lips/landmarks", "lips/baseline_ridge"):
        (folder / place).mkdir()
        for path in (source / place).iterdir():
            if path.is_file() and (
                path.suffix not in (".npz", ".wav") or path.stem in sum(CLIPS.values(), [])
            ):
                (folder / place / path.name).symlink_to(path)
    (folder / "lips" / "split.toml").unlink()
    (folder / "lips" / "split.toml").write_text(
        "".join(f"{name} = {clips}\n" for name, clips in CLIPS.items())
    )
    rows = (source / "lips" / "phones.tsv").read_text().splitlines(keepends=True)
    (folder / "lips" / "phones.tsv").unlink()
    (folder / "lips" / "phones.tsv").write_text(
        "".join(row for row in rows if row.split("\t")[0] in ("clip", *sum(CLIPS.values(), [])))
    )
    for part in ("speech", "grid"):
        (folder / part).mkdir()
    for name in (
        *("grid/phones.tsv", "grid/s1.npz", "grid/s1.ogg"),
        "heads",
        "channel_spread.tsv",
        "speech/librivox_pocketsphinx",
        "speech/librispeech_train5",
    ):
        (folder / name).symlink_to(source / name)
    return {"source": source, "data": folder, "solved": tmp_path_factory.mktemp("solved")}


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    """{whisper}: a model that says one text, whatever it hears."""
    return {"whisper": make_whisper(tmp_path_factory.mktemp("made") / "made-bench", "He did it.")}


@pytest.fixture
def unchanged():
    """Results, pages and constants of the repository stay as they are."""
    status = ["git", "status", "--porcelain", "research/results", "docs", "weights", "*.json"]
    before = ran(status)
    yield
    assert ran(status) == before


def blender():
    """The Python of the newest Blender that is there as a module."""
    pythons = sorted(
        Path(installer.python_in(str(folder))) for folder in (ROOT / ".venv").glob("bpy-*")
    )
    return (
        pythons[-1] if pythons else pytest.skip("no Blender is among the environments (make test)")
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", [*BENCHES, *IN_BLENDER])
def test_a_bench_runs(name, request, tmp_path, unchanged):
    words = (BENCHES | IN_BLENDER)[name]
    if name == "table1":
        pytest.importorskip("pesq")
    known = {"out": tmp_path}
    for fixture, places in (
        ("data", ("{data}", "{solved}", "{source}")),
        ("trained", ("{cache}", "{runs}", "{heads}")),
        ("whisper", ("{whisper}",)),
    ):
        if any(place in words for place in places):
            known |= request.getfixturevalue(fixture)
    if "{bpy}" in words:
        known["bpy"] = blender()
    python = blender() if name in IN_BLENDER else sys.executable
    environment = {"BPY_PYTHON": str(blender())} if name == "faults" else {}
    ran([python, "-m", "research", name, *words.format(**known).split()], **environment)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_a_target_runs(name, request, tmp_path, unchanged):
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    words = [
        word.format(out=tmp_path, voices=request.getfixturevalue("voices"))
        for word in TARGETS[name]
    ]
    ran(["make", name, *words], BLENDER="")
