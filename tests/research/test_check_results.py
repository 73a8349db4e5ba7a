# SPDX-License-Identifier: GPL-3.0-or-later
"""Results are old by the content of what made them, and every figure of a page has a file and a
command."""

import json
import re
import subprocess
from argparse import ArgumentParser
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from research.__main__ import parts
from research.check_results import changes, COMMANDS, NEEDED
from research.harness import RESULTS
from research.quoted_figures import FIGURE, GUIDES, PAGES, quotes_of, wrong_figures
from research.train import denoiser

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


@pytest.mark.parametrize("page", [*PAGES, *(f"guide/{name}" for name in GUIDES)])
def test_every_figure_of_a_page_is_in_a_file_named_beside_it(page):
    text = quotes_of(page)
    assert page not in PAGES or len(FIGURE.findall(text)) > 40
    assert list(wrong_figures(text)) == []


def test_a_guides_wrong_figure_is_noticed():
    guide = (ROOT / "docs" / "guide" / "listen.md").read_text(encoding="utf-8")
    (sentence,) = re.findall(r"Takes as directed have .*?#ranking-and-grades\)\)", guide)
    assert list(wrong_figures(sentence)) == []
    wrong = sentence.replace("96", "97")  # of other things the page of results says 97
    assert list(wrong_figures(wrong)), wrong


def test_a_vote_says_whose_it_was():
    """Nobody's is taken for people's: judges were language models that saw stills."""
    pages = ["README.md", "CHANGELOG.md", *(f"docs/{name}.md" for name in PAGES)]
    pages += [f"docs/guide/{name}.md" for name in GUIDES]
    for page in pages:
        text = (ROOT / page).read_text(encoding="utf-8")
        for block in re.split(r"\n\n|\n(?=- )", text):
            if re.search(r"\b(?:[Jj]udges|votes?|blind_heads|blind_mouths|blind_words)\b", block):
                assert "language models" in block, (page, block)


def test_a_wrong_figure_is_noticed():
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    for right, wrong in (
        ("| 35 | 25 | 27 |", "| 35 | 28 | 24 |"),  # which another line has
        ("**88 %** of 145 takes", "**83 %** of 145 takes"),
        ("## Commit\n", "## Commit\n\nLips are 12.34 mm off.\n"),
        ("[`tracking.txt`](../research/results/tracking.txt)", "Measured"),
    ):
        assert right in page
        assert list(wrong_figures(page.replace(right, wrong))), wrong


def measured_lips():
    """{row of `lips.txt`: opening, also in German and Mandarin}."""
    rows = {}
    for line in (RESULTS / "lips.txt").read_text(encoding="utf-8").splitlines():
        if found := re.match(r"([a-z, ]+?)  +(0\.\d{3}) \[", line):
            values = found[2], *re.findall(r"([\d.–]+)/", line)[-2:]
            rows[found[1]] = [float(v.replace("–", "nan")) for v in values]
    return rows


def test_readme_quotes_the_measured_lips_and_times():
    rows = measured_lips()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    part = re.search(r"## How good is it\?\n(.*?)\n## ", readme, re.S)[1]
    others = ("best by score", "linear map", "teacher", "aligned phones, ridge")
    take = rows["average take"]
    quoted = [float(r) for r in re.findall(r"(?<!\d)\.\d\d", part)]
    measured = [*take, *(rows[name][0] for name in others)]
    assert quoted == pytest.approx(measured, abs=0.005 + 1e-9), "rounded to two digits"
    speed = json.loads((RESULTS / "speed.json").read_text(encoding="utf-8"))
    times = [speed[f"{name}_processor_seconds"] for name in ("minute", "rhubarb")]
    assert re.findall(r"\d\.\d", part) == [f"{seconds:.1f}" for seconds in times]
    assert "docs/results.md" in part


def numbers(cells):
    """The numbers of a table's cells, by cell."""
    return [
        [float(n.replace("−", "-")) for n in re.findall(r"[−+]?\d*\.?\d+", cell)] for cell in cells
    ]


def test_the_page_of_the_paper_says_what_its_tables_say():
    page = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
    tables = {
        name: json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["claims"]
        for name in ("table2", "table3", "table2_people_grid")
    }
    rows = re.findall(
        r"^\| (?:\*with other heads:\* )?([A-Z][\w-]+(?:, \w+)?) \|(.*)\|$", page, re.M
    )
    shown = [(label, numbers(rest.split("|"))) for label, rest in rows if rest.count("|") == 3]
    assert len(shown) == 11
    for number, (label, (lve, dtw, every, paper)) in enumerate(shown):
        base, _, space = label.lower().partition(", ")
        claims = {
            (claim["system"], claim["against"]): claim
            for claim in tables["table2" if number < 8 else "table3"]
        }
        plain = claims[f"{base}+{space or 'mouth2s'}", base]
        masked = claims.get((f"{base}+{space or 'mouth2s'}-masked", base), {})

        def rounded(claim, *names):
            return [round(claim[n], 1) for n in names if claim.get(n) is not None]

        assert (lve, dtw, every) == (
            rounded(masked, "lve"),
            rounded(masked, "dtw"),
            rounded(plain, "lve"),
        )
        assert paper == rounded(plain, "lve_paper", "dtw_paper"), label
    people = tables["table2_people_grid"]
    rising = [c["dtw"] > 0 for c in people if "2s" in c["system"] and "2s" not in c["against"]]
    assert f"DTW rises in {sum(rising)} of {len(rising)}" in page and len(rising) == 12


def test_the_page_of_the_paper_says_what_is_hidden_in_training():
    page = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
    assert f"hidden from {100 * denoiser.HIDE_EVENTS:.0f} % of each batch" in page
    assert f"the mouth in {100 * denoiser.ESTIMATED:.0f} % of each batch" in page


@pytest.mark.parametrize(
    "page", [*PAGES, "../README", "../weights/README", "../research/LOG", "training"]
)
def test_a_command_that_a_page_names_is_there_with_its_options(page):
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    names = parts()
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
