# SPDX-License-Identifier: GPL-3.0-or-later
"""Results are old by the content of what made them, and every figure of a page has a file and a
command."""

import json
import re
import subprocess
from argparse import ArgumentParser
from importlib import import_module
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from research.__main__ import parts
from research.check_results import changes, COMMANDS, NEEDED
from research.harness import RESULTS
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


PAGES = ("results", "paper", "speed")
GUIDES = sorted(path.stem for path in (ROOT / "docs" / "guide").glob("*.md"))
FIGURE = re.compile(r"(?<![\w.#-])(?:\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)(?!\w|-[a-z]|\.\w)")
# what is in code, a link, a heading or a date, and how wide an interval is, is no measured figure
NO_FIGURE = re.compile(
    r"`[^`]*`|\]\([^)]*\)|^#.*$|^\|[-| ]*\|$|\d+ (?:and \d+ )?November|20\d\d(-\d\d-\d\d)?|\d+ % interval"
    r"|\b(?=[a-f]*\d)[0-9a-f]{7,10}\b",
    re.M,
)
# nobody kept these: measured once, or the file as it was at a commit
NO_FILE = re.compile(r"\b[Bb]y hand\b|\.txt\) at [0-9a-f]{8}")


def files_named(text):
    """The results that a text names, and the log; those of a section of the page of results where
    a guide links to that: the page's other figures are of something else."""
    names = re.findall(r"research/(?:results/[\w.]+|LOG\.md)|`\w+\.(?:txt|json|md)`", text)
    paths = {ROOT / n if "/" in n else RESULTS / n.strip("`") for n in names}
    sections = (section_of_results(each) for each in re.findall(r"\.\./results\.md#([\w-]+)", text))
    paths |= {path for section in sections for path in files_named(section)}
    return {path for path in paths if path.is_file()}


def section_of_results(anchor):
    """The section of the page of results that a link's anchor means."""
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    for section in re.split(r"^(?=## )", page, flags=re.M):
        heading = section.partition("\n")[0].removeprefix("## ")
        if re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") == anchor:
            return section
    raise AssertionError(f"results.md has no section {anchor}")


def lines_of(files):
    """The values in each line of files."""
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    numbers = (re.findall(r"\d*\.?\d+", re.sub(r"(?<=\d),(?=\d{3})", "", line)) for line in lines)
    return [{float(number) for number in found} for found in numbers if found]


def figures_in(text):
    """(digits, whether it is a share in per cent) of each figure of a text."""
    return [(each.replace(",", ""), "%" in text) for each in FIGURE.findall(text)]


def is_among(figure, values):
    """Whether a figure is one of the values, rounded as it is."""
    digits, percent = figure
    off = 0.5 * 10 ** -len(digits.partition(".")[2]) + 1e-9
    return any(
        abs(float(digits) - scale * value) <= off
        for value in values
        for scale in ((1, 100) if percent else (1,))
    )


def lies_apart(figures, lines):
    """Whether a row's figures are on more lines than one for every two of them."""
    found = {frozenset(each for each in figures if is_among(each, line)) for line in lines}
    largest = [one for one in found if not any(one < other for other in found)]
    most = max(1, len(figures) // 2)
    unions = (frozenset().union(*some) for some in combinations(largest, min(most, len(largest))))
    return all(union < set(figures) for union in unions)


def wrong_figures(text):
    """Figures of a page that no file has which is named beside them: in their paragraph or list
    item, else in their section. A row of a table, or a column, must come from one line of a file, or
    from one for every two of its figures.
    """
    for section in re.split(r"^(?=#{2,3} )", text, flags=re.M):
        for block in re.split(r"\n\n|\n(?=- )", section):
            plain = NO_FIGURE.sub(" ", block)
            if NO_FILE.search(block) or not FIGURE.search(plain):
                continue
            files = files_named(block) or files_named(section)
            lines = lines_of(files)
            everything = set().union(*lines)
            rows = [row.split("|")[1:] for row in plain.split("\n") if row.startswith("|")]
            clauses = ["|".join(row) for row in rows] or re.split(r"(?<=[.;:])\s", plain)
            for clause in clauses:
                for figure in figures_in(clause):
                    if not is_among(figure, everything):
                        yield f"{figure[0]} of: {clause.strip()}"
            if not rows or any(file.suffix == ".json" for file in files):
                continue
            by_row = [figures_in("|".join(row[1:])) for row in rows]
            by_column = [
                [figure for row in rows for figure in figures_in(row[number])]
                for number in range(1, len(rows[0]) - 1)
            ]
            apart = [
                [group for group in groups if group and lies_apart(group, lines)]
                for groups in (by_row, by_column)
            ]
            if all(apart):
                yield f"a table whose figures lie apart: {min(apart, key=len)}"


@pytest.mark.parametrize("page", [*PAGES, *(f"guide/{name}" for name in GUIDES)])
def test_every_figure_of_a_page_is_in_a_file_named_beside_it(page):
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    if page in PAGES:
        text = text.partition("## Differences")[0]  # what follows are sizes and settings
        assert len(FIGURE.findall(text)) > 40
    else:  # guides measure nothing, but some sentences quote a file
        sentences = re.split(r"(?<=\.)\s", text)
        text = "\n\n".join(each for each in sentences if files_named(each))
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
        ("**87 %** of 145 takes", "**83 %** of 145 takes"),
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
