# SPDX-License-Identifier: GPL-3.0-or-later
"""What one commit passes through, with Blender as a module: `PYTHON tests/blender/trace_commit.py [--modules]`, where PYTHON is what
`setup/python.sh environment.py blender` prints.

A take of three seconds is committed to a copy of an action, as Poses. For `scene/` and for all of the repository: the modules whose
functions are called, and how often somebody who reads these in the order of their first calls comes back to a module.
"""

import argparse
import importlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = tempfile.mkdtemp(prefix="thunder_trace_")
os.environ["BLENDER_USER_RESOURCES"] = HOME
sys.path[:0] = [str(ROOT / "tests"), str(Path(__file__).parent)]


def commit(trace):
    """Commit a take to an action of an animator's, traced."""
    import bpy  # isort: skip
    import addon_utils
    from extension import install_alias, NAME

    extensions = Path(bpy.utils.user_resource("EXTENSIONS", path="user_default", create=True))
    (extensions / "thunder").symlink_to(ROOT, target_is_directory=True)
    addon_utils.enable(NAME, default_set=True)
    install_alias()
    import commit_stage

    committing = importlib.import_module("thunder.scene.takes.commit.committing")
    head, take_list = (importlib.import_module(f"thunder.scene.{name}") for name in ("heads.head", "takes.take_list"))
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bpy.ops.thunder.add_head()
    scene = bpy.context.scene
    scene.render.fps = 24
    commit_stage.animate(head.find(scene))
    entry = commit_stage.show((scene, head.find(scene), take_list))
    first = trace(extensions / "thunder")
    work = committing.commit(head.find(scene), entry, "line", committing.choice_of(scene, entry))
    sys.setprofile(first)
    try:
        for _ in work:
            pass
    finally:
        sys.setprofile(None)
    return first


def main():
    """Print the figures."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--modules", action="store_true", help="print the modules too, in order")
    args = p.parse_args()
    from first_calls import FirstCalls

    calls = commit(FirstCalls)
    if args.modules:
        print("\n".join(calls.path()))
    for part, name in (("scene/", "scene/"), ("", "all")):
        print(f"{name:8s}", ", ".join(f"{count} {what}" for what, count in calls.figures(part).items()))
    sys.stdout.flush()
    shutil.rmtree(HOME, ignore_errors=True)
    os._exit(0)  # Blender as a module may crash while Python comes apart


if __name__ == "__main__":
    main()
