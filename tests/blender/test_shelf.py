# SPDX-License-Identifier: GPL-3.0-or-later
"""A Blender gets its own package from a repository, updates it without loss, and is as before when
it has removed it."""

import json
import subprocess
import sys

import pytest
import shelf


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
    for platform in packaging.vendor.PLATFORMS:
        shelf.stand_in(packaging, folder, platform)
    return folder


def test_a_blender_gets_the_package_of_its_platform(packaging, tool, stand_ins, tmp_path):
    index = packaging.make_index(stand_ins, tool)
    for order in (-1, 1):  # wherever it stands in the list
        listed = json.loads(index.read_text())
        listed["data"].sort(key=lambda item: item["platforms"])
        listed["data"] = listed["data"][::order]
        index.write_text(json.dumps(listed))
        (folder := tmp_path / f"user{order}").mkdir()
        seen = act("choose", folder, index.as_uri())
        assert seen["made_for"]["platform"] == packaging.this_platform() and seen["enabled"], seen


@pytest.mark.one_blender
def test_the_index_lists_the_newest_of_each_platform_alone(packaging, tool, stand_ins):
    here = packaging.this_platform()
    for version in ("0.0.9", "10.0.0", "10.0.0-beta", "9.0.0"):
        shelf.stand_in(packaging, stand_ins, here, version)
    listed = json.loads(packaging.make_index(stand_ins, tool).read_text())["data"]
    versions = {tuple(item["platforms"]): item["version"] for item in listed}
    assert len(listed) == len(versions) == len(packaging.vendor.PLATFORMS)
    assert versions.pop((here,)) == "10.0.0" and set(versions.values()) == {
        packaging.field("version")
    }


@pytest.mark.one_blender
def test_what_is_none_of_our_packages_is_refused(packaging, tool, stand_ins):
    stranger = stand_ins / "thunder-0.0.9-linux-x64-py311.zip"  # as they were named
    stranger.write_bytes(next(stand_ins.glob("*.zip")).read_bytes())
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
