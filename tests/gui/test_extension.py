# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Blender installs and enables the extension, as it does for an animator."""

import pytest

pytestmark = pytest.mark.window


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
