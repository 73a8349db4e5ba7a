# SPDX-License-Identifier: GPL-3.0-or-later
"""A Blender gets its own package from a repository, updates it without loss, and is as before when
it has removed it."""

import json
import subprocess
import sys

import pytest
import shelf

PYTHON = "{}.{}".format(*sys.version_info)


def act(part, folder, url):
    """A session of this Blender; what it saw."""
    done = subprocess.run(
        [sys.executable, shelf.SESSION, part, folder, url],
        cwd=folder,
        env=shelf.session_environment(folder),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return {**shelf.answer(folder, part), "log": done.stdout + done.stderr}


@pytest.fixture
def stand_ins(packaging, tmp_path):
    folder = tmp_path / "shelf"
    folder.mkdir()
    for platform, python in packaging.vendor.TARGETS:
        shelf.stand_in(packaging, folder, platform, python)
    return folder


def test_a_blender_gets_the_package_of_its_platform_and_python(
    packaging, tool, stand_ins, tmp_path
):
    seen = act("choose", tmp_path, packaging.make_index(stand_ins, tool).as_uri())
    assert (
        seen["made_for"] == {"platform": packaging.this_platform(), "python": PYTHON}
        and seen["enabled"]
    ), seen


def test_pythons_are_told_apart_in_any_order_of_the_list(packaging, tool, stand_ins, tmp_path):
    """A Blender that did not look at the Python would take the last that its version allows."""
    index = packaging.make_index(stand_ins, tool)
    listed = json.loads(index.read_text())
    listed["data"].sort(key=lambda item: item["python_versions"] != [PYTHON])
    index.write_text(json.dumps(listed))
    assert listed["data"][-1]["python_versions"] != [PYTHON]
    assert act("choose", tmp_path, index.as_uri())["made_for"]["python"] == PYTHON


@pytest.mark.one_blender
def test_the_index_lists_the_newest_of_each_target_alone(packaging, tool, stand_ins):
    here = packaging.this_platform()
    for version in ("0.0.9", "10.0.0", "10.0.0-beta", "9.0.0"):
        shelf.stand_in(packaging, stand_ins, here, "3.11", version)
    listed = json.loads(packaging.make_index(stand_ins, tool).read_text())["data"]
    assert len(listed) == len(packaging.vendor.TARGETS)
    versions = {(*item["platforms"], *item["python_versions"]): item["version"] for item in listed}
    assert versions.pop((here, "3.11")) == "10.0.0" and set(versions.values()) == {
        packaging.field("version")
    }


@pytest.mark.one_blender
def test_a_blender_that_does_not_look_at_the_python_takes_that_of_the_first_blenders(
    packaging, tool, stand_ins
):
    listed = json.loads(packaging.make_index(stand_ins, tool).read_text())["data"]
    for platform in packaging.vendor.PLATFORMS:
        fitting = [
            item
            for item in listed
            if item["platforms"] == [platform] and item["blender_version_min"] == "4.2.0"
        ]
        assert len(fitting) > 1 and fitting[-1]["python_versions"] == ["3.11"]


@pytest.mark.one_blender
def test_what_is_none_of_our_packages_is_refused(packaging, tool, stand_ins):
    (stand_ins / "stranger.zip").write_bytes(next(stand_ins.glob("*.zip")).read_bytes())
    with pytest.raises(packaging.Missing, match="none of our packages"):
        packaging.make_index(stand_ins, tool)


@pytest.fixture(scope="module")
def life(packaging, tool, package, tmp_path_factory):
    """What was seen in an update, in a second session that removes the extension, and in a third
    without it."""
    folder = tmp_path_factory.mktemp("life")
    shelf.fill(packaging, tool, folder, package)
    with shelf.served(folder / "shelf") as url:
        return [act(part, folder, url) for part in ("update", "reopen", "is_gone")]


@pytest.mark.slow
def test_an_update_brings_the_newer_code_and_nothing_of_the_older(life, packaging):
    """In the same session and without Blender being started again."""
    update, reopen, _ = life
    version = packaging.field("version")
    assert (update["first"], update["second"]) == (shelf.EARLIER, version)
    assert update["old_code"] and update["new_code"] and not update["left_of_old"]
    assert update["takes"] == 3, "two takes of the earlier version, one of the newer"
    assert reopen["enabled"] and reopen["version"] == version


@pytest.mark.slow
def test_what_the_user_made_survives_the_update(life):
    """Environment, presets, preferences and saved takes."""
    update, reopen, _ = life
    assert (
        update["kept"]
        and "engine/installed" in update["user_files"]
        and len(update["user_files"]) == 2
    )
    assert update["device"] == "CPU" and len(reopen["presets"]) == 1
    assert reopen["device"] == ("CPU" if reopen["read_preferences"] else "AUTO")
    assert (
        reopen["scores"] == update["scores"]
        and all(reopen["actions"])
        and len(reopen["actions"]) == 2
    )
    assert reopen["takes"] == 3


@pytest.mark.slow
def test_the_engine_ends_before_its_files_are_replaced_or_removed(life):
    for seen in life[:2]:
        assert seen["watched"] == {"files": ["thunder"], "worker": False}


@pytest.mark.slow
def test_nothing_is_left_of_a_removed_extension(life):
    """In the Blender that runs, on the disk, and in the next session; the keys in a saved file
    stay."""
    _, reopen, after = life
    used = reopen["traces_in_use"]
    assert used["types"] and used["handlers"] and reopen["temporary_in_use"]
    for traces in (reopen["traces"], after["traces"]):
        assert not any(traces.values()), traces
    assert not reopen["place"] and not reopen["user_folder"] and reopen["temporary"] == []
    assert after["files"] == [], after["files"]
    assert reopen["keyed"] and after["moves"] > 0.03  # radians of the jaw
