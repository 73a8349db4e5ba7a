# SPDX-License-Identifier: GPL-3.0-or-later
"""The one door of the laboratory: it lists what there is without importing it, and gives every
bench the same options."""

import subprocess
import sys
from importlib import import_module

import pytest

from research.__main__ import GATES, main, parts
from research.harness import DATA, ROOT

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


@pytest.mark.skipif(DATA is not None, reason="THUNDER_DATA names recordings")
def test_recordings_that_nobody_named_are_asked_for(capsys):
    with pytest.raises(SystemExit):
        main(["lips"])
    assert "--data" in capsys.readouterr().err
