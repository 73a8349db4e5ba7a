# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m research` lists what there is without importing it, gives every bench the same
options, and replaces no result without data; what a repository weighs is counted as `make weight`
says."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from research import harness, speed, weight
from research.__main__ import GATES, main, parts
from research.harness import RESULTS, results_file, ROOT

IN_BLENDER = {"head_sheet"}  # they import bpy
BENCHES = [name for name in parts() if name not in IN_BLENDER]


def test_the_list_names_everything_with_a_sentence_and_imports_nothing_heavy():
    code = (
        "import sys; from research.__main__ import main; import research.mutations; main([]); "
        "sys.exit(bool({'torch', 'numpy', 'thunder_core'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    listed = [line.split(maxsplit=1) for line in done.stdout.splitlines() if line.startswith("  ")]
    assert [name for name, _ in listed[: len(GATES)]] == list(GATES)
    assert sorted(name for name, _ in listed) == sorted(parts())
    assert all(sentence.endswith((".", "?")) and len(sentence) < 150 for _, sentence in listed)


@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_says_what_its_options_are(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0 and f"python -m research {name}" in said
    assert (import_module(f"research.{name}").__doc__ or "").split()[0] in said


def test_recordings_that_nobody_named_are_asked_for(capsys, monkeypatch):
    monkeypatch.setitem(harness.SHARED, "data", (None, harness.SHARED["data"][1]))
    with pytest.raises(SystemExit):
        main(["lips"])
    assert "--data" in capsys.readouterr().err


@pytest.fixture
def results():
    """The results as they are; what the test changed of them is an error."""
    before = {path: path.read_bytes() for path in RESULTS.iterdir()}
    yield before
    assert {path: path.read_bytes() for path in RESULTS.iterdir()} == before


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("lips", ["--data", "{missing}"]),
        ("commit", ["--data", "{missing}"]),
        ("habits", ["--data", "{missing}"]),
        ("listeners", ["--data", "{missing}"]),
        ("moods", ["--cache", "{missing}"]),
        ("ranking", ["--data", "{missing}"]),
        ("style_from", ["--cache", "{missing}"]),
        ("table1", ["--cache", "{missing}", "--data", "{missing}"]),
        ("paper", ["--cache", "{missing}"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bench_ends_with_a_sentence_where_its_data_is_missing(results, tmp_path, name, arguments):
    with pytest.raises(SystemExit, match="missing.*as it was"):
        main([name, *(a.format(missing=tmp_path / "missing") for a in arguments)])


@pytest.mark.parametrize(
    "asked, measured, kept",
    [(None, True, RESULTS / "x.txt"), (None, False, None), (Path("y"), False, Path("y"))],
)
def test_only_real_data_replaces_a_result_unasked(asked, measured, kept):
    assert results_file(asked, "x.txt", measured) == kept


def test_the_table_says_what_was_not_measured_and_what_misses_its_bar():
    lines = speed.table(
        {
            "machine": "a machine",
            "one_take_over_torch": 1.5,
            "takes8_over_torch": 1.02,
            "keying_seconds": 0.4,
        }
    )
    label = "the same, over the engine in torch"
    assert (
        lines[0].startswith("a machine")
        and "\n".join(lines).count("not measured") == len(speed.BARS) - 3
    )
    assert (
        f"| {label} | 1.5 × | ≤ 1.1 ×: missed |" in lines
        and f"| {label} | 1.02 × | ≤ 1.05 × |" in lines
    )
    assert "| keying eight takes of a minute | 0.4 s | ≤ 0.5 s |" in lines
    assert "<!-- figures -->" in speed.PAGE.read_text(encoding="utf-8")


FILES = {
    "README.md": "five words of a page",
    "thunder_core/__init__.py": '"""A package."""\n',
    "thunder_core/a.py": '''"""What a module is for: 17 is no number of it."""
from __future__ import annotations
import os
from . import b
from .b import f
LIMITS = {"low": 0.25, "high": -3}  # two numbers
STEP: float = 7.5
lower = 4

class A:
    """Not counted."""
    width = 2

    def g(self):
        """Not counted."""
        from .inner import c
        return c.h(9) + f(0) - 1 + 0.5 + True
''',
    "thunder_core/b.py": "def f(x):\n    return x\n",
    "thunder_core/inner/__init__.py": "",
    "thunder_core/inner/c.py": "from ..b import f\n\ndef h(x):\n    return f(x)\n",
    "tests/test_a.py": "from thunder.thunder_core import a\nimport made\n",
    "tests/made.py": "x = 12\n",
    "tools/t.py": "from thunder_core import b\nfrom thunder_core.inner.c import h\n",
    "tools/tests/test_t.py": "assert 3\n",
    "out/ignored.py": "1 / 0\n",
    ".gitignore": "out/\n",
}


@pytest.fixture
def tree(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    subprocess.run(["git", "init", "-q", tmp_path / "tree"], check=True)
    return tmp_path / "tree"


def test_statements_modules_imports_numbers_and_words_of_each_folder(tree):
    counted = weight.figures_of(tree)
    assert set(counted) == {".", "thunder_core", "tests", "tools"}
    assert counted["."] == dict.fromkeys(weight.FIGURES, 0) | {"words": 5}
    # a: 4 imports, 3 assignments, a class with one, a function with an import and a return; b and
    # c: 2 and 3.
    assert counted["thunder_core"] == {
        "statements": 12 + 2 + 3, "modules": 5, "imports": 3, "named numbers": 3, "literals": 2,
        "words": 0,
    }  # fmt: skip
    assert counted["tests"] == {
        "statements": 4,
        "modules": 3,
        "imports": 2,
        "named numbers": 0,
        "literals": 2,
        "words": 0,
    }
    moods = tree / "thunder_core" / "moods"
    moods.mkdir()
    (moods / "sad.json").write_text(
        '{"label": "2.5", "habits": {"pose": [5, 0, 2.5], "nods": 0.8}}'
    )
    (tree / "thunder_core" / "other.json").write_text("[7]")
    assert weight.behaviour_of(tree) == {"files": 1, "numbers": 3}
    assert (counted["tools"]["modules"], counted["tools"]["imports"]) == (1, 2)
    totals = weight.totals_of(counted)
    assert [totals[name]["modules"] for name in weight.TOTALS] == [5, 1, 3] and totals[
        "product without tests"
    ]["words"] == 5


@pytest.fixture
def releases(tree, tmp_path, monkeypatch):
    """Runs `make weight` in `tree`; its stored figures, of two releases that it grew since."""
    who = ["-c", "user.name=x", "-c", "user.email=x"]
    for command in (["add", "."], [*who, "commit", "-qm", "1"]):
        subprocess.run(["git", "-C", tree, *command], check=True)
    monkeypatch.setattr(weight, "ROOT", tree)
    monkeypatch.setattr(weight, "KEPT", tmp_path / "weight.json")
    monkeypatch.setattr(weight, "trace_take", lambda tree: ({"modules": 3}, {"modules": 1}))
    for name, more in (("0.9", "x = 5\n"), ("1.0", "y = 6\nz = 7\n")):
        main(["weight", "--keep", name])
        with open(tree / "thunder_core" / "b.py", "a") as file:
            file.write(more)
    return weight.KEPT


def test_what_grew_is_told_beside_the_last_two_releases(releases, capsys):
    capsys.readouterr()
    main(["weight"])
    said = capsys.readouterr().out.splitlines()
    [row] = [line.split() for line in said if line.startswith("thunder_core          statements")]
    assert row == ["thunder_core", "statements", "20", "18", "17", "+11.1", "%", "+17.6", "%"]
    assert [line for line in said if "thunder_core/b.py +3" in line]


def test_figures_of_a_release_are_never_replaced(releases, capsys):
    before = releases.read_bytes()
    with pytest.raises(SystemExit, match=r"0\.9 is stored already"):
        main(["weight", "--keep", "0.9"])
    assert releases.read_bytes() == before
    main(["weight", "--keep", "1.1"])
    assert releases.read_bytes().startswith(before.rstrip(b"\n}"))


@pytest.mark.parametrize(
    "code, count",
    [
        ("a = 1", 1), ("a, b = 1, 2", 2), ("a = b = 1", 2), ("a, b = f()", 1),
        ("(a, b), c = d, e = (1, 2), 3", 5), ("a: int = 1", 1), ("a, *b = [1, 2]", 2),
        ("for a, b in c: pass", 2),
    ],
)  # fmt: skip
def test_an_assignment_counts_once_for_each_target(code, count):
    assert weight.count_statements(list(ast.walk(ast.parse(code)))) == count


def test_the_product_has_no_more_statements_than_were_agreed():
    """Whoever adds code adds a line with its reason to docs/development/budget.toml."""
    totals = weight.totals_of(weight.figures_of(weight.ROOT))
    assert 30_000 < totals[weight.PRODUCT]["statements"] <= weight.agreed_statements()


def test_one_take_changes_module_no_more_often_than_was_agreed():
    walk = "from research import weight; print(weight.trace_take(weight.ROOT)[0])"
    said = subprocess.run(
        [sys.executable, "-c", walk], cwd=weight.ROOT, check=True, capture_output=True, text=True
    )
    figures = ast.literal_eval(said.stdout)
    # 9 of them are what the model expects of the voice, which the score compares a take with, 10 what
    # is steady in a sound, which nobody hears, 19 the person whose head and eyes a take has, 11
    # what the diffusion model hears of the map of mouths, and 1 whether poses are held
    assert 50 < figures["entries"] <= 171 and 10 < figures["modules"] <= 31


def test_a_part_whose_packages_are_missing_says_how_to_get_them():
    code = (
        "import sys; sys.modules['torch'] = None; from research.__main__ import main; "
        "main(['train', 'encoder', '--help'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith("train needs “torch”, which this Python lacks: make develop")


def test_the_old_command_of_training_says_where_it_went():
    command = [sys.executable, "-m", "thunder_core.train", "denoiser", "--steps", "5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.endswith("run python -m research train denoiser --steps 5\n")
