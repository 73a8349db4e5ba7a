# SPDX-License-Identifier: GPL-3.0-or-later
"""Results are old by the content of what made them, and every figure of a page has a file and a
command."""

import re
import subprocess
from argparse import ArgumentParser
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from research.__main__ import parts
from research.check_results import changes, COMMANDS, NEEDED

ROOT = Path(__file__).resolve().parents[2]
BENCH = '''"""A bench."""
from typing import TYPE_CHECKING

from research.harness import keep
from thunder_core import lips as of_lips

if TYPE_CHECKING:
    from thunder_core.unused import Nothing

HEAD = "head.npz"


def run(args):
    """Measure."""
    from thunder_core.late import size as how_large

    keep(of_lips.gap(1.0) + how_large(), HEAD)  # millimetres
'''
FILES = {
    "research/__init__.py": "",
    "research/bench.py": BENCH,
    "research/harness.py": "def keep(x, path):\n    return x\n\n\ndef other():\n    import setup_only\n",
    "thunder_core/__init__.py": "",
    "thunder_core/lips.py": "SHARE = 2\n\n\ndef gap(x):\n    return SHARE * x\n\n\ndef idle():\n    pass\n",
    "thunder_core/late.py": "def size():\n    return Size().of\n\n\nclass Size:\n    of = 3\n",
    "thunder_core/unused.py": "class Nothing:\n    pass\n",
    "setup_only.py": "x = 1\n",
}


def git(tree, *words):
    form = ["git", "-C", tree, "-c", "user.name=x", "-c", "user.email=x@example.org"]
    return subprocess.run([*form, *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def tree(tmp_path):
    """A repository whose result names the commit that made it."""
    git(tmp_path, "init", "-q")
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "weights").mkdir()
    save_head(tmp_path)
    commit(tmp_path)
    (tmp_path / "research" / "results").mkdir()
    made = git(tmp_path, "rev-parse", "--short=10", "HEAD").strip()
    (tmp_path / "research" / "results" / "bench.txt").write_text(f"1\ncommit {made}, 2026-11-26\n")
    commit(tmp_path)
    return tmp_path


def save_head(tree, **arrays):
    shape = {"v_template": np.zeros((2, 3)), "tints": np.ones(2), "hair_vertices": np.zeros(3)}
    np.savez(tree / "weights" / "head.npz", **shape | arrays)


def commit(tree):
    git(tree, "add", "-A")
    git(tree, "commit", "-qm", "x")


def changed(tree):
    return changes(tree, tree / "research" / "results" / "bench.txt", "bench --data {data}")[1]


def rewrite(tree, name, *pairs):
    text = (tree / name).read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    (tree / name).write_text(text)


def test_what_a_bench_does_not_reach_and_how_heads_look_make_no_result_old(tree):
    rewrite(
        tree,
        "thunder_core/lips.py",
        ("    pass", "    return 5"),
        ("SHARE = 2", "SHARE = 2  # twice"),
    )
    rewrite(tree, "research/bench.py", ("Measure.", "Measures."), ("# millimetres", "# mm"))
    rewrite(tree, "thunder_core/unused.py", ("pass", "x = 1"))
    rewrite(tree, "setup_only.py", ("1", "2"))
    save_head(tree, tints=np.zeros(2), hair_vertices=np.ones(3))
    commit(tree)
    assert changed(tree) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("thunder_core/lips.py", "SHARE = 2", "SHARE = 3", "lips.py: SHARE"),
        ("thunder_core/lips.py", "SHARE * x", "SHARE + x", "lips.py: gap"),
        ("thunder_core/late.py", "of = 3", "of = 4", "late.py: Size"),
        ("research/bench.py", "gap(1.0)", "gap(2.0)", "bench.py: run"),
        ("research/harness.py", "return x", "return -x", "harness.py: keep"),
    ],
)
def test_a_change_of_what_a_bench_reaches_makes_its_result_old(tree, name, old, new, said):
    rewrite(tree, name, (old, new))
    commit(tree)
    assert set(changed(tree)) == {said}


def test_a_change_of_a_heads_shape_makes_a_result_old_that_reads_it(tree):
    save_head(tree, v_template=np.ones((2, 3)))
    commit(tree)
    assert set(changed(tree)) == {"weights/head.npz: v_template.npy"}


def parser_of(name):
    parser = ArgumentParser(name)
    getattr(import_module(f"research.{name}"), "add_arguments", lambda _: None)(parser)
    return parser


def test_every_result_has_a_command_that_is_understood():
    made = {path.stem for path in (ROOT / "research" / "results").glob("*.[tj][xs]*")}
    assert made - {"README"} <= set(COMMANDS)
    there = {name.lower(): "x" for name in NEEDED} | {"bpy": "x", "scratch": "x"}
    for command in COMMANDS.values():
        name, *words = command.format_map(there).split()
        parser_of(name).parse_args(words)


PAGES = ("results", "paper", "speed")
FIGURE = re.compile(r"(?<![\w.#-])[.−+]?\d[\d.,]*(?![\w-])")
SOURCE = re.compile(r"research/(results/|LOG\.md)|results\.md|\bBy hand\b")


def blocks(text):
    """(section, table or list item or paragraph) of a page; what is in code or a link is no
    figure."""
    for section in re.split(r"^(?=#{2,3} )", text, flags=re.M):
        for block in re.split(r"\n\n|\n(?=- )", section):
            yield section, block


@pytest.mark.parametrize("page", PAGES)
def test_every_figure_of_a_page_has_a_file(page):
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    text = text.partition("## Differences")[0]  # what follows are sizes and settings
    figures = 0
    for section, block in blocks(text):
        plain = re.sub(r"`[^`]*`|\]\([^)]*\)|^#.*$|\d+ November|20\d\d", "", block, flags=re.M)
        if FIGURE.search(plain):
            figures += 1
            source = block if block.startswith("- ") and "## More" in section else section
            assert SOURCE.search(source), f"no file has the figures of: {block[:200]}"
    assert figures > 3


def test_readme_quotes_the_measured_lips():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    part = re.search(r"## How good is it\?\n(.*?)\n## ", readme, re.S)[1]
    lips = (ROOT / "research" / "results" / "lips.txt").read_text(encoding="utf-8")
    rows = dict(
        re.findall(
            r"^(average take|best by score|linear map|teacher|aligned phones, ridge) +(0\..*)$",
            lips,
            re.M,
        )
    )
    languages = re.findall(r"(0\.\d\d)/", rows["average take"])[-2:]  # German, Mandarin
    others = ("best by score", "linear map", "teacher", "aligned phones, ridge")
    opening = [rows[name].split()[0] for name in others]
    measured = [rows["average take"].split()[0], *languages, *opening]
    assert re.findall(r"\.\d\d", part) == [f"{float(r):.2f}"[1:] for r in measured]
    assert "docs/results.md" in part


@pytest.mark.parametrize(
    "page", [*PAGES, "../README", "../weights/README", "../research/LOG", "training"]
)
def test_a_command_that_a_page_names_is_there_with_its_options(page):
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    names = {name for name, _ in parts()}
    commands = re.findall(r"python -m research ([^`#\n]+)", text)
    if page == "results":  # which says once that commands begin so
        commands += [
            c for c in re.findall(r"`([a-z_]+(?: [^`]*)?)`", text) if c.split()[0] in names
        ]
        assert len(commands) > 10
    for command in commands:
        name, *words = command.split()
        if name == "…":
            continue
        assert name in names, command
        known = parser_of(name)._option_string_actions if name != "train" else None
        options = [word for word in words if word.startswith("--")]
        assert known is None or set(options) <= set(known), command


def test_the_list_of_pages_has_every_page():
    listed = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    links = {(ROOT / "docs" / name).resolve() for name in re.findall(r"\]\(([^)\s#]+)", listed)}
    pages = {*(ROOT / "docs").rglob("*.md"), ROOT / "research" / "LOG.md"}
    missing = pages - links - {ROOT / "docs" / "README.md"}
    assert len(pages) > 20 and not missing, sorted(path.name for path in missing)
