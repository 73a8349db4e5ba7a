# SPDX-License-Identifier: GPL-3.0-or-later
"""What is committed installs anywhere and may be used commercially: locks are hashed and name no server, no
file names somebody's machine, and docs/reference/licences.md lists every licence."""

import ast
import re
import subprocess
from datetime import datetime
from email.message import Message
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
TEXT = {".py", ".toml", ".md", ".txt", ".in", ".json", ".sh", ".cfg", ".yml", ""}


def tracked():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, timeout=30)
    if listed.returncode:
        pytest.skip("not a git work tree, so nobody knows what is part of it")
    return [
        ROOT / name
        for name in listed.stdout.decode().split("\0")
        if name and (ROOT / name).is_file()
    ]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_pins_and_hashes_everything_and_names_no_server(lock):
    text = lock.read_text(encoding="utf-8")
    assert not re.search(
        r"://|^\s*(--(extra-)?index-url|--find-links|--trusted-host|-i|-f)\b", text, re.M
    )
    requirements = re.findall(r"^[A-Za-z0-9].*?(?=^[A-Za-z0-9]|\Z)", text, re.M | re.S)
    assert requirements
    for requirement in requirements:
        assert re.match(r"(?s)[A-Za-z0-9._-]+==\S+.*--hash=sha256:", requirement), requirement[:80]


def test_every_list_has_its_lock():
    lists = sorted((ROOT / "requirements").glob("*.in"))
    assert [path.stem for path in lists] == [lock.stem for lock in LOCKS]
    for path, lock in zip(lists, LOCKS):
        locked = re.findall(r"^(\S+?)==(\S+)", lock.read_text(encoding="utf-8"), re.M)
        wanted = re.findall(
            r"^([A-Za-z0-9][\w.-]*)(?:==([^\s;]+))?", path.read_text(encoding="utf-8"), re.M
        )
        for name, version in wanted:
            assert (name, version or dict(locked).get(name)) in locked, f"{path.name}: {name}"


def test_no_file_names_a_machine_or_a_server_of_ours():
    # Put together from pieces, so that this file does not name them either.
    private = re.compile(
        "|".join(
            (
                r"(?<![\w./])/" + "work/",
                "/" + r"opt/(pypi|wheels|blender)",
                "/" + r"root/",
                "/" + r"home/\w+/",
                r"\.pyenv/versions/3\.",
            )
        )
    )
    for path in tracked():
        if path.suffix in TEXT:
            match = private.search(path.read_text(encoding="utf-8", errors="replace"))
            assert not match, f"{path.relative_to(ROOT)} names {match.group()}"


def test_every_source_file_carries_its_licence_and_says_what_it_is_for():
    for path in tracked():
        if path.suffix == ".py":
            assert re.match(
                r'(#!.*\n)?# SPDX-License-Identifier: GPL-3.0-or-later\n(#.*\n|\s)*("""|$)',
                path.read_text(encoding="utf-8"),
            ), f"{path.relative_to(ROOT)} does not open with its licence and what it is for"


def test_no_committed_file_is_larger_than_a_download_should_be():
    for path in tracked():
        assert path.stat().st_size < 60e6, path.relative_to(ROOT)
    weights = [path for path in tracked() if path.parent == ROOT / "weights"]
    assert sum(path.stat().st_size for path in weights) < 100e6


def named_pictures(page):
    """The pictures that a page shows or links to, as files."""
    text = page.read_text(encoding="utf-8")
    named = re.findall(
        r"\]\(([^)\s]+\.(?:png|jpg|gif|svg|webp|mp4))\)|<img[^>]*\bsrc=\"([^\"]+)\"", text
    )
    return {
        (page.parent / (one or other)).resolve()
        for one, other in named
        if "://" not in (one or other)
    }


def links(page):
    """Files and folders of the repository that a page links to."""
    targets = re.findall(r"\]\(([^)\s#]+)", page.read_text(encoding="utf-8"))
    return {(page.parent / target).resolve() for target in targets if "://" not in target}


def pages():
    return [
        path
        for path in tracked()
        if path.suffix == ".md"
        and (path.parent in (ROOT, ROOT / "research") or path.is_relative_to(ROOT / "docs"))
    ]


def test_a_link_of_a_page_leads_somewhere():
    for page in pages():
        assert {path.name for path in links(page) if not path.exists()} == set(), page.relative_to(
            ROOT
        )


def test_an_idea_of_the_log_has_a_verdict_and_at_most_150_words():
    text = (ROOT / "research" / "LOG.md").read_text(encoding="utf-8")
    ideas = re.findall(r"^### (.*)\n((?:(?!##).*\n)*)", text, re.M)
    assert len(ideas) > 50 and len(text.split()) <= 7000
    for heading, idea in ideas:
        assert re.search(r": (kept|deleted|left out|measured|open)\b", heading), heading
        assert len(idea.split()) <= 150, heading
    days = [datetime.strptime(day, "%d %B %Y") for day in re.findall(r"^## (.*)$", text, re.M)]
    assert days == sorted(days, reverse=True)


def test_a_module_that_the_architecture_names_exists():
    page = ROOT / "docs" / "development" / "architecture.md"
    named = set(re.findall(r"`([\w./-]+\.(?:py|json|md))`", page.read_text(encoding="utf-8")))
    there = {path.name for path in tracked()} | {
        name
        for name in named
        for folder in (ROOT, ROOT / "thunder_core", page.parent)
        if "/" in name and (folder / name).exists()
    }
    assert len(named) > 60 and named <= there


def anchors(page):
    """The anchors that a page's headings have."""
    headings = re.findall(
        r"^#+ (.*)$",
        re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S),
        re.M,
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_a_link_to_a_heading_finds_it():
    for page in pages():
        for name, anchor in re.findall(
            r"\]\(([^)\s#:]*\.md|)#([^)\s]+)\)", page.read_text(encoding="utf-8")
        ):
            assert anchor in anchors((page.parent / name) if name else page), (
                f"{page.relative_to(ROOT)}: {name}#{anchor}"
            )


def test_the_page_on_the_paper_lists_every_step_after_sampling_with_its_reason():
    page = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
    steps = {}
    for path in sorted((ROOT / "thunder_core").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for mark in getattr(node, "decorator_list", ()):
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "step":
                    steps[node.name] = ast.unparse(mark.args[0]).lower()
    assert len(steps) > 15
    rows = dict(
        row
        for names, kind in re.findall(r"^\| (`[^|]*) \| (\w+) \|", page, re.M)
        for row in ((n, kind) for n in re.findall(r"`(\w+)`", names))
    )
    assert rows == steps


def test_readme_is_short_and_every_page_of_the_docs_is_reached_from_it():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 90
    reached, next_ones = set(), {ROOT / "README.md"}
    while next_ones:
        reached |= next_ones
        next_ones = {
            path for page in next_ones for path in links(page) if path.suffix == ".md"
        } - reached
    assert {page.relative_to(ROOT) for page in pages() if page.is_relative_to(ROOT / "docs")} - {
        page.relative_to(ROOT) for page in reached if page.is_relative_to(ROOT)
    } == set()


def test_pages_and_pictures_know_each_other():
    files = tracked()
    pictures = {
        path.resolve()
        for path in files
        if ROOT / "docs" in path.parents and path.suffix in (".png", ".webp", ".mp4")
    }
    named = set().union(*map(named_pictures, pages()))
    assert len(pages()) > 5 and len(pictures) > 10
    assert {path.name for path in named if path not in pictures} == set(), (
        "a page shows a picture that is not there"
    )
    assert {path.name for path in pictures if path not in named} == set(), (
        "a picture that no page shows"
    )


def test_the_workflow_names_every_blender_with_its_python(setup_script):
    blenders = setup_script("environment").BLENDERS
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    assert dict(re.findall(r'version: "([\d.]+)", python: "([\d.]+)"', workflow)) == blenders


@pytest.fixture(scope="module")
def licences(setup_script):
    return setup_script("licences")


def about(**fields):
    message = Message()
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    return message


def licence_of_file(licences, path):
    """The licence of one of Thunder's own files: that of the first pattern that it matches."""
    return next(
        licence
        for pattern, (licence, _) in licences.FILE_LICENCES.items()
        if fnmatchcase(path, pattern)
    )


def names_in(lock):
    return set(
        re.findall(
            r"^([A-Za-z0-9._-]+)==",
            (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8"),
            re.M,
        )
    )


@pytest.mark.parametrize(
    ("lock", "package", "count"),
    [("card", "torch", 25), ("cluster", "ray", 2), ("waveform", "transformers", 2)],
)
def test_every_licence_of_what_is_installed_here_allows_commercial_use(
    licences, lock, package, count
):
    listed = licences.locked_versions(
        (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    )
    assert package in listed and len(listed) > count and not set(listed) & {"smplx"}
    for name in listed:
        # of another system's packages the page has what was read there
        if licences.metadata_of(name) is not None:
            licences.licence_of(name, licences.metadata_of(name))


def test_the_page_lists_every_package_of_the_lock_with_its_version_and_licence(licences):
    lines = re.findall(
        r"^- \*\*(.+?)\*\*: (.+)\.$", licences.PAGE.read_text(encoding="utf-8"), re.M
    )
    rows = {
        name: (version, licence)
        for licence, line in lines
        for name, _, version in (each.partition(" ") for each in line.split(", "))
    }
    listed = licences.locked_versions(licences.LOCK.read_text(encoding="utf-8"))
    assert set(rows) == set(listed), "run make licences"
    for name, versions in listed.items():
        version, licence = rows[name]
        assert version == " or ".join(versions), f"{name}: run make licences"
        if licences.metadata_of(name) is not None:
            assert licence == licences.licence_of(name, licences.metadata_of(name))[0], (
                f"{name}: run make licences"
            )


def test_code_is_gpl_and_every_asset_is_gpl_or_cc0_on_the_page_and_in_the_manifest(licences):
    files = [path.relative_to(ROOT).as_posix() for path in tracked()]
    of_code = {licence_of_file(licences, path) for path in files if path.endswith(".py")}
    assert of_code == {licences.GPL}
    assert {licence_of_file(licences, path) for path in files} == {
        licences.GPL,
        licences.CC0,
        "MIT",
    }
    page = licences.PAGE.read_text(encoding="utf-8")
    for pattern, (licence, source) in licences.FILE_LICENCES.items():
        assert f"| `{pattern}` | {licence} | {source} |" in page, "run make licences"
    assert f'license = ["SPDX:{licences.GPL}", "SPDX:{licences.CC0}"]' in (
        ROOT / "blender_manifest.toml"
    ).read_text(encoding="utf-8")


def test_no_exception_is_left_of_a_package_that_is_gone(licences):
    assert set(licences.EXCEPTIONS) <= names_in("card")


@pytest.mark.parametrize(
    "said",
    [
        {"License_Expression": "MIT"},
        {"License": "Apache 2.0 License"},
        {"Classifier": "License :: OSI Approved :: MIT License"},
        {"License_Expression": "GPL-3.0-only OR (MIT AND Zlib)"},
        {"License": "the whole text of MIT …", "License_Expression": "MIT"},
    ],
)
def test_a_licence_that_allows_commercial_use_passes(licences, said):
    licences.licence_of("new", about(**said))


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"License": "UNKNOWN"},
        {"License": "BSD"},
        {"License_Expression": "CC-BY-NC-4.0"},
        {"License_Expression": "AGPL-3.0-only"},
        {"License_Expression": "MIT AND CC-BY-NC-4.0"},
        {"License_Expression": "MIT)"},
        {"License_Expression": "(MIT"},
        {"License_Expression": "MIT OR"},
        {"Classifier": "License :: Other/Proprietary License"},
        {"Classifier": "Programming Language :: MIT License"},
        {"License_Expression": "LicenseRef-NVIDIA-Proprietary"},
    ],
)
def test_a_licence_that_is_unknown_or_restricts_use_is_refused(licences, said):
    with pytest.raises(licences.Refused, match="new: .* no licence known to allow commercial use"):
        licences.licence_of("new", about(**said))


def test_what_smplx_says_of_itself_would_be_refused(licences):
    smplx = licences.metadata_of("smplx")
    if smplx is None:
        pytest.skip("smplx is not installed")
    with pytest.raises(licences.Refused):
        licences.licence_of("smplx", smplx)


def test_only_tests_bring_smplx_and_only_development_brings_plots():
    assert names_in("flame") == {"smplx"}
    assert "transformers" in names_in("waveform")
    assert not {
        "smplx",
        "transformers",
        "scipy",
        "matplotlib",
        "accelerate",
        "triton",
        "nvidia-cusolver",
    } & names_in("engine")
    assert {"matplotlib", "scipy", "tqdm"} <= names_in("develop") and not {
        "smplx",
        "matplotlib",
    } & names_in("test")


def test_nothing_needs_the_part_of_torch_whose_library_is_left_out():
    solvers = re.compile(
        r"torch\.(linalg(?!\.(cross|norm)\b)|inverse|svd|lstsq|cholesky|pinverse|det)\b"
    )
    for path in (ROOT / "thunder_core").rglob("*.py"):
        assert not solvers.search(path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("name", ("waveform", "develop", "test"))
def test_versions_in_two_lists_are_the_same(licences, name):
    engine = licences.locked_versions(licences.LOCK.read_text(encoding="utf-8"))
    other = licences.locked_versions(
        (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    )
    assert {package: other[package] for package in other if package in engine} == {
        package: engine[package] for package in other if package in engine
    }
