# SPDX-License-Identifier: GPL-3.0-or-later
"""The one door of the laboratory: it lists what there is without importing it, and gives every
bench the same options."""

import ast
import subprocess
import sys
from argparse import ArgumentParser
from importlib import import_module
from pathlib import Path

import pytest

from research.__main__ import GATES, main, parts
from research.harness import add_shared, DATA, ROOT, SHARED, WEIGHTS

IN_BLENDER = {"head_sheet"}  # imports bpy
BENCHES = [name for name, _ in parts() if name not in IN_BLENDER]


def test_the_list_names_everything_with_a_sentence_and_imports_nothing_heavy():
    code = (
        "import sys; from research.__main__ import main; main([]); sys.exit(bool({'torch', "
        "'numpy', 'thunder_core'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    listed = [line.split(maxsplit=1) for line in done.stdout.splitlines() if line.startswith("  ")]
    assert [name for name, _ in listed[: len(GATES)]] == list(GATES)
    assert sorted(name for name, _ in listed) == sorted(name for name, _ in parts())
    assert all(sentence.endswith((".", "?")) and len(sentence) < 150 for _, sentence in listed)


def test_an_unknown_name_ends_with_a_sentence():
    with pytest.raises(SystemExit, match="no “lisp” in research: python -m research lists"):
        main(["lisp"])


@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_says_what_its_options_are(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0 and f"python -m research {name}" in said
    assert (import_module(f"research.{name}").__doc__ or "").split()[0] in said


def test_options_that_benches_share_have_one_meaning_and_a_default_each():
    parser = ArgumentParser()
    add_shared(parser, "cache", "weights", data=None, seed=7)
    args = parser.parse_args([])
    assert (args.cache, args.weights, args.data, args.seed) == (ROOT / "cache", WEIGHTS, None, 7)
    assert parser.parse_args(["--data", "x", "--seed", "3"]) != args
    assert parser.parse_args(["--data", "x"]).data == Path("x")


@pytest.mark.skipif(DATA is not None, reason="THUNDER_DATA names recordings")
def test_recordings_that_nobody_named_are_asked_for(capsys):
    with pytest.raises(SystemExit):
        main(["lips"])
    assert "--data" in capsys.readouterr().err


def test_no_bench_sets_up_its_own_path_or_shared_option():
    """Benches find the repository because they are modules of it, and take shared options from the
    harness."""
    for path in sorted((ROOT / "research").rglob("*.py")):
        if path.stem in ("harness", "takes_of_tree", "mutations") or path.stem.endswith(
            "_in_blender"
        ):
            continue  # these import from other trees, or are no benches
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            words = ast.unparse(node) if isinstance(node, (ast.Call, ast.Assign)) else ""
            assert not words.startswith(("sys.path.insert", "sys.path[:0]")), (
                f"{path.name}:{node.lineno}"
            )
            if (
                isinstance(node, ast.Call)
                and words.partition("(")[0].endswith("add_argument")
                and path.parent.name == "research"
            ):
                option = str(getattr(node.args[0], "value", "")).removeprefix("--")
                assert option not in {*SHARED} - {"steps"}, (
                    f"{path.name}:{node.lineno}: --{option} is shared"
                )
