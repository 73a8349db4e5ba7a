# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions of a Blender that gets the extension from a repository: run in a Blender of its own, as
a module or by `blender -b --python`.

    shelf_session.py PART FOLDER URL      PART: one of PARTS

Writes FOLDER/PART.json, what was seen. URL: of the repository's index.json. FOLDER/newer, if it is
there, holds the files that replace those of FOLDER/shelf once the earlier version is in use.
BLENDER_USER_RESOURCES names the user's folder.
"""

import importlib
import json
import os
import sys
import tempfile
import threading
from pathlib import Path

import bpy

MODULE = "bl_ext.shelf.thunder"


def repository(url):
    """The repository's number among those of the preferences; it is added if it is not there."""
    preferences = bpy.context.preferences
    preferences.system.use_online_access = (
        True  # Blender asks for it even where the repository lies on this disk
    )
    repos = preferences.extensions.repos
    names = [repo.module for repo in repos]
    if "shelf" not in names:
        repos.new(name="Shelf", module="shelf", remote_url=url)
        names.append("shelf")
    return names.index("shelf")


def synced(url):
    number = repository(url)
    assert bpy.ops.extensions.repo_sync(repo_index=number) == {"FINISHED"}
    return number


def install(url):
    assert bpy.ops.extensions.package_install(
        repo_index=synced(url), pkg_id="thunder", enable_on_install=True
    ) == {"FINISHED"}


def place():
    """The extension's folder."""
    return Path(bpy.utils.user_resource("EXTENSIONS", path="shelf")) / "thunder"


def module(name):
    return importlib.import_module(f"{MODULE}.{name}")


def version():
    line = next(
        line
        for line in (place() / "blender_manifest.toml").read_text().splitlines()
        if line.startswith("version = ")
    )
    return line.split('"')[1]


def perform(takes):
    """Have the engine generate takes of the sample; the process that did it."""
    scene = bpy.context.scene
    # not every Blender has sound strips
    scene.thunder.source, scene.thunder.sound_file = (
        "FILE",
        str(place() / "assets" / "sample.wav"),
    )
    scene.thunder.count = takes
    assert bpy.ops.thunder.generate() == {"FINISHED"}
    return module("scene.engine.connection").client().pid


def user_files():
    """The user's own files of the extension, by their paths."""
    folder = Path(bpy.utils.extension_path_user(MODULE))
    return {
        str(path.relative_to(folder)): path.read_bytes().hex()
        for path in folder.rglob("*")
        if path.is_file()
    }


def watch(name, pid, seen):
    """Notes whether the engine's process is gone at the moment when Blender begins to remove or
    replace files by its function `name`."""
    utils = importlib.import_module("bl_pkg.bl_extension_utils")
    replaced = getattr(utils, name)

    def watched(**arguments):
        seen["files"] = sorted(arguments["pkg_id_sequence"])
        seen["worker"] = os.path.exists(f"/proc/{pid}")
        return replaced(**arguments)

    setattr(utils, name, watched)


def choose(folder, url):
    """Which package this Blender takes."""
    install(url)
    return {
        "made_for": json.loads((place() / "vendor" / "made_for.json").read_text()),
        "version": version(),
        "blender": bpy.app.version_string,
        "python": "{}.{}".format(*sys.version_info),
        "enabled": MODULE in bpy.context.preferences.addons,
    }


def update(folder, url):
    """Use the earlier version, leave things of one's own, and update to the newer one while the
    engine's process runs."""
    install(url)
    seen = {"first": version(), "old_code": hasattr(module("scene.host.compat"), "EARLIER")}
    preferences = bpy.context.preferences.addons[MODULE].preferences
    preferences.device = "CPU"
    assert bpy.ops.thunder.add_head() == {"FINISHED"}
    pid = perform(2)
    seen["scores"] = [take.score for take in bpy.context.scene.thunder.takes]
    head = next(each for each in bpy.context.scene.objects if each.type == "ARMATURE")
    bpy.context.view_layer.objects.active = head
    assert bpy.ops.thunder.save_direction(name="Mine") == {"FINISHED"}
    # as Install Engine makes it, but for its size
    environment = Path(bpy.utils.extension_path_user(MODULE, path="engine", create=True))
    (environment / "installed").write_text("by hand")
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "shot.blend"))
    before = user_files()
    for path in (folder / "newer").iterdir():
        os.replace(path, folder / "shelf" / path.name)
    number, watched = synced(url), {}
    watch("pkg_install", pid, watched)
    assert bpy.ops.extensions.package_upgrade_all(use_active_only=False) == {"FINISHED"}
    seen |= {
        "second": version(),
        "watched": watched,
        "user_files": sorted(before),
        "kept": user_files() == before,
    }
    seen["new_code"] = not hasattr(module("scene.host.compat"), "EARLIER")
    seen["left_of_old"] = (place() / "only_in_earlier.txt").exists()
    seen["device"] = bpy.context.preferences.addons[MODULE].preferences.device
    seen["number"] = number
    perform(1)
    seen["takes"] = len(bpy.context.scene.thunder.takes)
    bpy.ops.wm.save_userpref()
    return seen


def reopen(folder, url):
    """In another session: the file, the preferences, more takes; then the extension is removed,
    while the engine's process runs."""
    seen = {"enabled": MODULE in bpy.context.preferences.addons, "version": version()}
    seen["device"] = bpy.context.preferences.addons[MODULE].preferences.device
    seen["read_preferences"] = bool(bpy.app.binary_path) or bpy.app.version >= (4, 3)
    seen["presets"] = [path for path in user_files() if path.endswith(".json")]
    bpy.ops.wm.open_mainfile(filepath=str(folder / "shot.blend"))
    seen["scores"] = [take.score for take in bpy.context.scene.thunder.takes]
    seen["actions"] = [bool(take.action) for take in bpy.context.scene.thunder.takes]
    before = traces()
    pid = perform(1)
    seen["takes"] = len(bpy.context.scene.thunder.takes)
    seen["traces_in_use"] = before
    watched, user = {}, Path(bpy.utils.extension_path_user(MODULE))
    temporary = module("scene.engine.connection").client().folder
    seen["temporary_in_use"] = os.path.isdir(temporary)
    watch("pkg_uninstall", pid, watched)
    assert bpy.ops.extensions.package_uninstall(repo_index=repository(url), pkg_id="thunder") == {
        "FINISHED"
    }
    seen |= {
        "watched": watched,
        "traces": traces(),
        "user_folder": user.exists(),
        "place": place().exists(),
    }
    seen["temporary"] = [
        name for name in os.listdir(tempfile.gettempdir()) if name.startswith("thunder")
    ]
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "after.blend"))
    bpy.ops.wm.save_userpref()
    seen["keyed"] = len(bpy.data.actions)
    return seen


def traces():
    """What a running Blender shows of the extension."""
    lists = {name: getattr(bpy.app.handlers, name) for name in dir(bpy.app.handlers)}
    lists = {name: each for name, each in lists.items() if isinstance(each, list)}
    keys = bpy.context.window_manager.keyconfigs.addon
    return {
        "types": [name for name in dir(bpy.types) if name.startswith("THUNDER")],
        "properties": [
            f"{kind}.{name}"
            for kind in ("Scene", "Object", "Action", "WindowManager")
            for name in thunders(getattr(bpy.types, kind))
        ],
        "handlers": [
            name
            for name, each in lists.items()
            for call in each
            if str(call.__module__).startswith(MODULE)
        ],
        "keys": [
            item.idname
            for keymap in (keys.keymaps if keys else ())
            for item in keymap.keymap_items
            if item.idname.startswith("thunder")
        ],
        "threads": [
            thread.name for thread in threading.enumerate() if thread.name.startswith("thunder")
        ],
        "preferences": [
            addon.module for addon in bpy.context.preferences.addons if "thunder" in addon.module
        ],
        "path": [path for path in sys.path if "thunder" in path],
        "modules": [
            name
            for name in sys.modules
            if name.partition(".")[0] in ("thunder_core", "onnxruntime", "soxr", "safetensors")
        ],
    }


def thunders(kind):
    return [name for name in dir(kind) if name.startswith("thunder")]


def is_gone(folder, url):
    """In a session after the removal: what is left, and whether the file still opens and moves the
    face."""
    seen = {"traces": traces()}
    root = Path(os.environ["BLENDER_USER_RESOURCES"])
    seen["files"] = sorted(
        str(path.relative_to(root))
        for path in root.rglob("*")
        if "thunder" in str(path.relative_to(root))
    )
    bpy.ops.wm.open_mainfile(filepath=str(folder / "after.blend"))
    head = next(each for each in bpy.context.scene.objects if each.type == "ARMATURE")
    angles = []
    for frame in range(1, 200, 5):
        bpy.context.scene.frame_set(frame)
        angles.append(head.pose.bones["jaw"].matrix_basis.to_quaternion().angle)
    seen["moves"] = max(angles) - min(angles)
    return seen


PARTS = {"choose": choose, "update": update, "reopen": reopen, "is_gone": is_gone}


def begin_as_module(url):
    """Blender as a module begins without the user's preferences. That of 4.2 crashes when it reads
    them where a repository was added, so there the repository and the extension are chosen
    again."""
    if bpy.app.version < (4, 3):
        repository(url)
        if place().exists():
            importlib.import_module("addon_utils").enable(MODULE, default_set=True)
    elif os.path.exists(os.path.join(bpy.utils.user_resource("CONFIG"), "userpref.blend")):
        bpy.ops.wm.read_userpref()


def main():
    part, folder, url = sys.argv[-3:]
    if not bpy.app.binary_path:
        begin_as_module(url)
    seen = PARTS[part](Path(folder), url)
    Path(folder, f"{part}.json").write_text(json.dumps(seen, indent=1))
    if not bpy.app.binary_path:
        # Blender as a module frees itself while Python comes apart, at which 4.2 crashes
        # (conftest.py).
        importlib.import_module("addon_utils").disable(MODULE)
        sys.stdout.flush()
        os._exit(0)


if __name__ == "__main__":
    main()
