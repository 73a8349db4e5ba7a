# SPDX-License-Identifier: GPL-3.0-or-later
"""The real Blender gets its package from a repository, updates it and removes it; and in a window,
from the dragged file to the take."""

import subprocess

import pytest
import shelf
from timing import keeps, measured

pytestmark = [pytest.mark.window, pytest.mark.timeout(900)]


def act(real_blender, part, folder, url):
    """A session without a window, with the preferences of the sessions before it; what it saw."""
    own = shelf.session_environment(folder)
    environment = {
        **real_blender.environment(),
        **{name: own[name] for name in ("BLENDER_USER_RESOURCES", "TMPDIR")},
    }
    del environment["THUNDER_PYTHON"]
    done = subprocess.run(
        [
            real_blender.path,
            "-b",
            "--python-exit-code",
            "9",
            "--python",
            shelf.SESSION,
            "--",
            part,
            folder,
            url,
        ],
        cwd=shelf.SESSION.parents[1],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return shelf.answer(folder, part)


def test_it_takes_the_package_of_its_python(real_blender, packaging):
    folder = real_blender.scratch / "stand_ins"
    (folder / "shelf").mkdir(parents=True)
    for platform, python in packaging.vendor.TARGETS:
        shelf.stand_in(packaging, folder / "shelf", platform, python)
    index = packaging.make_index(folder / "shelf", packaging.extension_tool())
    seen = act(real_blender, "choose", folder, index.as_uri())
    assert (
        seen["made_for"] == {"platform": packaging.this_platform(), "python": real_blender.python()}
        and seen["enabled"]
    )


@pytest.fixture(scope="module")
def life(real_blender, packaging, package):
    folder = real_blender.scratch / "life"
    folder.mkdir()
    shelf.fill(packaging, packaging.extension_tool(), folder, package)
    with shelf.served(folder / "shelf") as url:
        return {
            part: act(real_blender, part, folder, url) for part in ("update", "reopen", "is_gone")
        }, packaging.field("version")


@pytest.mark.slow
def test_an_update_brings_the_newer_code_and_keeps_what_the_user_made(life):
    shelf.check_update(*life)
    shelf.check_kept(life[0])


@pytest.mark.slow
def test_a_removed_extension_leaves_nothing_and_its_engine_ends_first(life):
    shelf.check_order(life[0])
    shelf.check_removed(life[0])


@pytest.fixture(scope="module")
def first_take(real_blender, package):
    return real_blender.act("shelf_scenarios.from_zip_to_take", package=package, timeout=800)


@pytest.mark.slow
def test_the_dragged_package_leads_to_a_playing_take(windowed, first_take):
    assert first_take["takes"] == 8 and first_take["playing"] and first_take["frame"] > 1
    assert "Traceback" not in first_take["log"], first_take["log"][-3000:]
    measured.append(f"from the dragged package to the take, s: {first_take['steps']}")


@pytest.mark.slow
def test_the_first_take_comes_soon_after_the_drag(windowed, first_take):
    seconds = first_take["steps"]
    keeps(
        20,
        seconds["install"] + seconds["head"] + seconds["voice"] + seconds["playing"],
        "from the drag to the playing take",
    )
