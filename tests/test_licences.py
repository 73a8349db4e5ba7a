# SPDX-License-Identifier: GPL-3.0-or-later
"""What every user installs may be used commercially, and docs/reference/licences.md lists it,
Thunder's own files too."""

import re
import subprocess
from email.message import Message
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


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
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {licence_of_file(licences, path) for path in files} == {licences.GPL, licences.CC0}
    for path in files:
        if path.endswith(".py"):
            assert licence_of_file(licences, path) == licences.GPL
            assert (
                f"SPDX-License-Identifier: {licences.GPL}"
                in (ROOT / path).read_text(encoding="utf-8")[:200]
            ), path
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
        pytest.skip("the FLAME extra is not installed")
    with pytest.raises(licences.Refused):
        licences.licence_of("smplx", smplx)


def test_only_the_extra_and_the_tests_bring_smplx_and_only_development_brings_plots():
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


def test_versions_in_two_lists_are_the_same(licences):
    engine = licences.locked_versions(licences.LOCK.read_text(encoding="utf-8"))
    for name in ("waveform", "develop", "test"):
        other = licences.locked_versions(
            (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        )
        assert {package: other[package] for package in other if package in engine} == {
            package: engine[package] for package in other if package in engine
        }
