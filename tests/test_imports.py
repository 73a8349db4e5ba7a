# SPDX-License-Identifier: GPL-3.0-or-later
"""Dependencies point one way, and Blender's process imports nothing that Blender does not have."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("cli", "operators", "panels", "scene")
# parts of thunder_core that may import torch and the rest of the engine's libraries
ENGINE_SIDE = ("engine", "networks", "api", "weight_files")
BLENDER_HAS = {
    "bpy",
    "bpy_extras",
    "mathutils",
    "addon_utils",
    "aud",
    "blf",
    "gpu",
    "gpu_extras",
    "numpy",
    "zstandard",  # but where systems build Blender themselves
}


@cache
def nodes_of(path):
    """The nodes of a Python file that these tests look at."""
    kinds = ast.Import, ast.ImportFrom, ast.Attribute, ast.keyword, ast.Constant, ast.Global
    tree = ast.parse(path.read_text(encoding="utf-8"))
    not_run = {node for block in ast.walk(tree) if for_types(block) for node in nodes_below(block)}
    return [node for node in ast.walk(tree) if isinstance(node, kinds) and node not in not_run]


def for_types(node):
    """Whether a node is a block that only checkers of types read."""
    return isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"


def nodes_below(block):
    return (node for each in block.body for node in ast.walk(each))


@pytest.fixture(scope="module", autouse=True)
def forget_nodes():
    yield
    nodes_of.cache_clear()


def imported(node):
    """(modules, level) that an import statement names; nothing of another node."""
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module], node.level
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [alias.name for alias in node.names], getattr(node, "level", 0)
    return [], 0


def imports(path):
    """(module, level) of every import statement of a file, wherever in it."""
    for modules, level in map(imported, nodes_of(path)):
        yield from ((module, level) for module in modules)


def test_dependencies_point_one_way(tmp_path):
    """By import-linter, which sees the extension as the package “thunder”."""
    package = tmp_path / "thunder"
    package.mkdir()
    for name in ("__init__.py", "thunder_core", "research", *FOLDERS):
        (package / name).symlink_to(ROOT / name)
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run(
        [linter, "--no-cache", "--config", ROOT / "pyproject.toml"], cwd=tmp_path,
        capture_output=True, text=True, timeout=120,
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0 and "8 kept, 0 broken" in done.stdout, done.stdout + done.stderr


def test_the_core_outside_the_engine_needs_only_the_standard_library_and_numpy():
    core = ROOT / "thunder_core"
    files = [
        file
        for file in core.rglob("*.py")
        if file.relative_to(core).parts[0].removesuffix(".py") not in ENGINE_SIDE
    ]
    assert len(files) > 30
    for file in files:
        folder = file.relative_to(core).parts[:-1]
        for module, level in imports(file):
            if file == core / "__init__.py" and module == "api":
                continue  # for type checkers alone: `thunder_core.__getattr__` imports it on use
            if level:
                target = (*folder[: len(folder) - level + 1], *module.split("."))
                assert target[0] not in ENGINE_SIDE, f"{file.relative_to(ROOT)} imports {module}"
            else:
                allowed = sys.stdlib_module_names | {"numpy"}
                assert module.partition(".")[0] in allowed, (
                    f"{file.relative_to(ROOT)} imports {module}"
                )


def words_in(room):
    """The names in the files of a room of the face, except in their texts."""
    return {
        word
        for file in sorted((ROOT / "thunder_core" / "face" / room).glob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for word in (getattr(node, "id", ""), getattr(node, "attr", ""), getattr(node, "name", ""))
    }


def test_what_reads_a_character_moves_nothing():
    words = words_in("reading")
    assert "Mapping" in words and not words & {"Motion", "Driver", "drive"}


def test_what_moves_a_face_knows_no_names_of_a_character():
    words = words_in("moving")
    assert "Motion" in words and not words & {"re", "Rule", "Target", "JointRule", "conventions"}


def test_what_makes_a_face_needs_neither_a_mapping_nor_a_take():
    words = words_in("making")
    assert "Head" in words and not words & {"Mapping", "Rule", "Motion", "Driver"}


def test_blenders_process_needs_only_what_blender_has():
    needs = {
        (modules[0].partition(".")[0], path)
        for path, node in nodes(["__init__.py", *FOLDERS])
        for modules, level in [imported(node)]
        if modules and not level
    }
    assert len(needs) > 100
    assert not {need for need in needs if need[0] not in sys.stdlib_module_names | BLENDER_HAS}


def test_the_extension_imports_itself_only_relatively():
    ours = {"thunder_core", "thunder", "bl_ext", "research", *FOLDERS}
    for path, node in nodes([*FOLDERS, "thunder_core"]):
        modules, level = imported(node)
        assert level or not {name.partition(".")[0] for name in modules} & ours, path


def test_the_worker_starts_with_the_standard_library_alone():
    """So that a Python without numpy or torch can still say that it lacks them."""
    tree = ast.parse((ROOT / "thunder_core" / "engine" / "worker.py").read_text(encoding="utf-8"))
    at_start = [imported(node) for node in tree.body]
    ours, others = ({name for names, by in at_start if bool(by) == is_ours for name in names}
                    for is_ours in (True, False))  # fmt: skip
    assert ours == {"errors", "private_folder", "protocol", "shipped", "system_calls"}
    assert {name.partition(".")[0] for name in others} <= sys.stdlib_module_names | {"__future__"}


def test_calls_that_one_system_lacks_are_made_in_one_module_alone():
    lacking = {"fcntl", "msvcrt", "resource", "pwd", "grp"}
    posix = {
        "killpg",
        "getuid",
        "geteuid",
        "getpgid",
        "setsid",
        "fork",
        "mkfifo",
        "SIGKILL",
        "SIGSTOP",
        "start_new_session",
        "process_group",
        "preexec_fn",
        "CREATE_NO_WINDOW",
        "windll",
    }
    seen = {
        path
        for path, node in nodes([*FOLDERS, "thunder_core", "bake.py"])
        if lacking & set(imported(node)[0])
        or posix & {getattr(node, part, None) for part in ("attr", "arg", "value")}
    }
    assert seen == {"thunder_core/system_calls.py"}


def test_the_picture_of_the_folders_of_scene_is_true():
    edges = set()
    for path, node in nodes(["scene"]):
        folder = path.split("/")[:-1]
        if isinstance(node, ast.ImportFrom) and node.level and len(folder) > 1:
            base = [*folder[: len(folder) - node.level + 1], *(node.module or "").split(".")]
            target = [*filter(None, base), node.names[0].name]
            if target[0] == "scene" and target[1] != folder[1]:
                edges.add((folder[1], target[1]))
    page = (ROOT / "docs" / "development" / "architecture.md").read_text(encoding="utf-8")
    assert edges == set(re.findall(r"^  (\w+) --> (\w+)$", page, re.M))


def nodes(places):
    """(path, node) of every node of Python files, and of those in folders."""
    for place in map(ROOT.joinpath, places):
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            yield from ((path.relative_to(ROOT).as_posix(), node) for node in nodes_of(path))


def test_takes_of_a_line_are_put_together_in_one_place():
    """So that panel, dialogue, bakes and all others give them the same words and direction."""
    parts = "gather", "add_words", "direction_over"
    seen = {path for path, node in nodes(FOLDERS) if getattr(node, "attr", "") in parts}
    assert seen == {"scene/takes/generation.py"}


def test_scene_calls_no_operator_of_ours():
    """What an operator does is a function in scene; only operators and panels know the
    operators."""
    calls = [
        f"{path}:{node.lineno}"
        for path, node in nodes(["scene"])
        if isinstance(node, ast.Attribute)
        and node.attr == "thunder"
        and ast.unparse(node) == "bpy.ops.thunder"
    ]
    assert calls == []


def test_no_function_rebinds_a_global():
    """State between events is a part of the session (scene/host/jobs.py)."""
    places = [
        f"{path}:{node.lineno}"
        for path, node in nodes([*FOLDERS, "thunder_core"])
        if isinstance(node, ast.Global)
    ]
    assert places == []
