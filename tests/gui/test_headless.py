# SPDX-License-Identifier: GPL-3.0-or-later
"""The real Blender without a window: it installs and enables the extension as it does for an
animator, bake.py bakes or ends with a sentence, and a strip is spoken as in the window."""

import json
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.window, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "assets" / "sample.wav"


def test_bake_py_bakes(real_blender):
    out = real_blender.scratch / "baked"
    options = ("--audio", SAMPLE, "--takes", 2, "--seed", 5, "--steps", 5, "--npz", "--out", out)
    done = real_blender.run("--python", "bake.py", "--", *options, timeout=300)
    assert done.returncode == 0, done.stdout
    first, second = json.loads((out / "report.json").read_text())["takes"]
    assert first["score"] >= second["score"]
    assert {int(np.load(path)["seed"]) for path in out.glob("take_*.npz")} == {5, 6} and list(
        out.glob("*.blend")
    )
    assert real_blender.left_behind() == []


def test_commands_of_blender_bake_and_check_with_exit_codes(real_blender):
    enable = "import addon_utils; addon_utils.enable('bl_ext.user_default.thunder')"
    real_blender.link_extension()
    out = real_blender.scratch / "by_command"

    def command(*words):
        return real_blender.run("--python-expr", enable, "-c", "thunder", *words, timeout=300)

    done = command("bake", "--audio", SAMPLE, "--takes", 1, "--steps", 5, "--out", out)
    assert done.returncode == 0 and "1 take in" in done.stdout, done.stdout
    told = command("check", out / "sample.blend", "--format", "json")
    assert (
        told.returncode in (0, 3)
        and '"head": "Thunder Head"' in told.stdout
        and '"error": ""' in told.stdout
    ), told.stdout
    options = (
        "--strip",
        "sample",
        "--takes",
        1,
        "--steps",
        5,
        "--outputs",
        "blend,glb",
        "--out",
        out / "again",
    )
    opened = real_blender.run(
        out / "sample.blend",
        "--python-expr",
        enable,
        "-c",
        "thunder",
        "bake",
        *options,
        timeout=300,
    )
    assert opened.returncode == 0 and (out / "again" / "take_01.glb").is_file(), opened.stdout
    assert command("bake", "--audio", out / "none.wav", "--out", out).returncode == 1
    assert real_blender.left_behind() == []


def test_strips_that_only_blender_can_mix_down_are_heard_whole(real_blender):
    """Two of them, of seven seconds at 1.4 times their length: without a window Blender 5.2 mixes
    down in a job, and begins no other before that ends."""
    code = (
        "import bpy, addon_utils, time\n"
        "addon_utils.enable('bl_ext.user_default.thunder', default_set=True)\n"
        "from bl_ext.user_default.thunder.scene.voice import mixdown, strip\n"
        "from bl_ext.user_default.thunder.thunder_core.progress import result\n"
        "scene = bpy.context.scene\n"
        "strips = scene.sequence_editor_create().strips\n"
        "for name, start in (('one', 1), ('two', 400)):\n"
        f"    line = strips.new_sound(name, {str(SAMPLE)!r}, 1, start)\n"
        "    end = int(getattr(line, 'right_handle', line.frame_final_end))\n"
        "    keys = line.retiming_keys\n"
        "    keys.add(timeline_frame=start), keys.add(timeline_frame=end)\n"
        "    keys[-1].timeline_frame = int(start + 1.4 * (end - start))\n"
        "    voice = strip.of_strip(scene, line)\n"
        "    began = time.monotonic()\n"
        f"    path = {str(real_blender.scratch)!r} + '/' + name + '.wav'\n"
        "    result(mixdown.mix_down(voice, path))\n"
        "    print('MIXED', (voice.last - voice.clock.start) / voice.clock.fps, "
        "time.monotonic() - began, len(bpy.data.scenes))\n"
    )
    real_blender.link_extension()
    done = real_blender.run("--python-exit-code", 9, "--python-expr", code, timeout=120)
    lines = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("MIXED ")]
    assert done.returncode == 0 and len(lines) == 2, done.stdout
    for name, (seconds, took, scenes) in zip(("one", "two"), lines):
        data = (real_blender.scratch / f"{name}.wav").read_bytes()
        rate, channels = int.from_bytes(data[24:28], "little"), data[22]
        samples = np.frombuffer(data[44:], "<f4")
        assert len(samples) / rate / channels == pytest.approx(float(seconds), abs=0.05)
        assert np.abs(samples[-2 * rate * channels :]).max() > 0.01, "it has its end too"
        assert float(took) < 30 and scenes == "1"


# ---- the package


def test_the_package_installs_enables_and_draws(real_blender, package):
    done = real_blender.run(
        "--command", "extension", "install-file", "--repo", "user_default", "--enable", package
    )
    installed = real_blender.resources / "extensions" / "user_default" / "thunder"
    # Blender ends with 0 even when it did not install, so the disk is asked.
    assert (installed / "blender_manifest.toml").is_file() and not installed.is_symlink(), (
        done.stdout
    )
    code = (
        "import bpy, addon_utils\n"
        "module = addon_utils.enable('bl_ext.user_default.thunder', default_set=True)\n"
        f"assert module.__file__.startswith({str(installed)!r}), module.__file__\n"
        "assert bpy.types.THUNDER_PT_main.bl_category == 'Thunder'\n"
        "assert bpy.ops.thunder.add_head() == {'FINISHED'}\n"
        "print('ADDED', len(bpy.context.scene.objects))\n"
    )
    done = real_blender.run("--python-exit-code", 9, "--python-expr", code)
    assert done.returncode == 0 and "ADDED" in done.stdout, done.stdout
