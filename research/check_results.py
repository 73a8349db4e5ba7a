# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists results that other code or other data made than what is here now, and figures of pages that no
result has which is named beside them.

`make check-results` (`python -m research check_results`) measures nothing and fails for nothing. A
result depends, by content, on the definitions that its bench reaches (by name, through the modules
that these import) and on the data files that they name, both as they were at the commit that the
result names; if it names none, or was made with uncommitted changes, at the one that wrote it.
Comments, docstrings, and code that is only moved do not count, nor does what heads look like.

`make results` (--measure) runs, in this order, the command of every result that is old, and leaves
out those for which something is missing; one that was stopped goes on. Use an idle machine.
"""

from __future__ import annotations

import ast
import fnmatch
import hashlib
import io
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from argparse import ArgumentParser, Namespace
from collections import namedtuple
from functools import lru_cache
from pathlib import Path, PurePosixPath

from research.harness import blenders, RESULTS, ROOT
from research.quoted_figures import GUIDES, PAGES, quotes_of, wrong_figures
from research.weight import imported_files, is_docstring

# results without ending → their command; in braces what must be there, see `places`
_CACHED = "--cache {cache} --split test"
COMMANDS = {
    "speed": "speed",
    "lips": "lips --data {thunder_data} --out {scratch}",
    "live": "live --data {thunder_data}",
    "lips_grid": "lips --data {thunder_data} --out {scratch} --split grid --takes 4 "
    "--results research/results/lips_grid.txt",
    "habits": "habits --data {thunder_data} --solved {scratch}",
    "people_or_take": "people_or_take --data {thunder_data} --teacher --out {scratch}",
    "people_or_take_films": "people_or_take --data {thunder_data} --unseen --mouths --film 15 --out "
    "{scratch} --results research/results/people_or_take_films.txt",
    "perform_as": "perform_as",
    "hits": "hits --data {thunder_data} --solved {scratch}",
    "articulation": "articulation --data {thunder_data} --takes {scratch}",
    "commit": "commit --data {thunder_data} --takes {scratch}",
    "transcripts": "transcripts --data {thunder_data}",
    "rounding": "rounding --data {thunder_data}",
    "drawn": "drawn --data {thunder_data}",
    "tracking": "tracking",
    "make_shapes": "make_shapes --data {thunder_data}",
    "manner": "manner --data {thunder_data}",
    "say": "say --data {thunder_data}",
    "recognised": "recognise --data {thunder_data} --model {thunder_whisper}",
    "emotion": "emotion --cache {cache} --runs {runs}",
    "events": "events --data {thunder_data}",
    "check_animation": "check_animation --data {thunder_data} --solved {scratch}",
    "unclear": "unclear --data {thunder_data}",
    "listeners": "listeners --data {thunder_data}",
    "words_aligned": "words_aligned --data {thunder_data}",
    "heard_arousal": "heard_arousal --data {thunder_data}",
    "ranking": "ranking --data {thunder_data}",
    "ranking_test": "ranking --data {thunder_data} --split test",
    "direction_takes": f"direction {_CACHED}",
    "moods_takes": f"moods {_CACHED}",
    "style_from": "style_from --cache {cache}",
    "long": "long {bpy}",
    "faults": "faults",
    "kills": "faults",
    "mutations_109": "mutations --seed 109 --count 24",
    "table1": "table1 --cache {cache} --data {thunder_data} --spaces {spaces} --clips 20 --seconds 3 8",
    "table2": "paper --cache {cache} --runs {runs}",
    "paper_clips": "paper --cache {cache} --runs {runs}",
    "table2_steps": "paper --cache {cache} --runs {runs} --only thunder --seeds 1 --clips 8 "
    "--samples 4 --steps 10 20 1000 --results research/results "
    "--docs research/results/paper_tables.md",
    "table1_people_grid": "table1 --grid {grid} --cache {grid_cache} --spaces {grid_spaces} "
    "--data {thunder_data}",
    "table2_people_grid": "paper --grid --cache {grid_cache} --runs {grid_runs} --clips 200",
    "table3": "paper --heads --cache {heads_cache} --runs {heads_runs}",
    "paper_clips_heads": "paper --heads --cache {heads_cache} --runs {heads_runs}",
}
# bench → what it reads and runs that neither its imports nor its texts name
ALSO = {
    "faults": ("tests/faults/*.py", "scene/*.py", "operators/*.py"),
    "long": ("bake.py", "cli/*.py", "scene/*.py", "thunder_core/engine/worker.py"),
    "mutations": ("thunder_core/*.py", "tests/*.py"),
    "commit": ("research/takes_in_blender.py",),
    "speed": ("research/takes_of_tree.py", "research/start_of_tree.py"),
    "tracking": ("thunder_core/engine/tracker.py", "thunder_core/engine/tracking/*.py"),
}
NEEDED = ("THUNDER_DATA", "THUNDER_WHISPER", "CACHE", "RUNS", "SPACES", "HEADS_CACHE", "HEADS_RUNS",
          "GRID", "GRID_CACHE", "GRID_RUNS", "GRID_SPACES")  # fmt: skip
_DATA = (".json", ".npz", ".safetensors", ".onnx", ".wav", ".toml")
# arrays of a head's file that no bench measures
_LOOKS = re.compile(r"(material_|tints|polygon_material|hair_).*")


def git(tree: Path, *words: str) -> bytes:
    """What git prints about a tree; nothing where it fails."""
    done = subprocess.run(["git", "-C", str(tree), *words], capture_output=True)
    return done.stdout if done.returncode == 0 else b""


# A statement outside functions: its file, the names it defines (none: it runs on import), its nodes
# and their checksum ("" of an import).
Part = namedtuple("Part", "module names nodes content")


@lru_cache(maxsize=None)
def read_parts(tree: Path, module: Path, blob: str) -> tuple[Part, ...]:
    """The parts of a Python file of git's store, without docstrings and what type checkers alone
    read."""
    parts = []
    for statement in ast.parse(git(tree, "cat-file", "blob", blob)).body:
        for node in ast.walk(statement):
            if isinstance(getattr(node, "body", None), list):
                node.body = [each for each in node.body if not is_docstring(each)]
        targets = getattr(statement, "targets", [getattr(statement, "target", ast.Pass())])
        nodes = [node for target in targets for node in ast.walk(target)]
        names = {node.id for node in nodes if isinstance(node, ast.Name)}
        names |= {getattr(statement, "name", "")} - {""}
        imports = isinstance(statement, (ast.Import, ast.ImportFrom))
        content = "" if imports else hashlib.sha256(ast.dump(statement).encode()).hexdigest()
        test = ast.unparse(statement.test) if isinstance(statement, ast.If) else ""
        if not is_docstring(statement) and test not in ("TYPE_CHECKING", "__name__ == '__main__'"):
            parts.append(Part(module, names, list(ast.walk(statement)), content))
    return tuple(parts)


class Reach:
    """What a bench reaches in the Python files of a commit: `parts`, and the `texts` in them.

    Names are followed into the module that they are imported from; a class is reached as a whole.
    """

    def __init__(self, tree: Path, blobs: dict[str, str], bench: str):
        self.tree, self.blobs = tree, blobs
        self.files = {Path(path) for path in blobs if path.endswith(".py")}
        # {module: its parts}, {(module, name): part}, and, of names that a module imports, {module:
        # {name: (module, name there; "": the whole)}}
        self.modules, self.defined, self.imported = {}, {}, {}  # type: dict, dict, dict
        self.parts, self.texts = {}, set()  # type: dict[int, Part], set[str]
        for start in {Path("research", f"{bench}.py")} & self.files:
            self.follow(start, "run")
            self.follow(start, "add_arguments")
            for pattern in ALSO.get(bench, ()):
                for path in fnmatch.filter(map(str, self.files), pattern):
                    self.add(*self.load(Path(path)))

    def load(self, module: Path) -> tuple[Part, ...]:
        """The parts of a module; those that run when it is imported are added."""
        if module not in self.modules:
            self.modules[module] = read_parts(self.tree, module, self.blobs[module.as_posix()])
            parts, self.imported[module] = self.modules[module], {}
            self.defined |= {(module, name): part for part in parts for name in part.names}
            self.add(*(part for part in parts if not part.names))
        return self.modules[module]

    def follow(self, module: Path, name: str) -> None:
        """Add what a name of a module is."""
        self.load(module)
        if (module, name) in self.defined:
            self.add(self.defined[module, name])
        elif self.imported[module].get(name, (module, ""))[1]:
            self.follow(*self.imported[module][name])

    def add(self, *parts: Part) -> None:
        """Add parts, and what they reach."""
        new = {id(part): part for part in parts if id(part) not in self.parts}
        self.parts |= new
        nodes = [(part.module, node) for part in new.values() for node in part.nodes]
        for module, node in nodes:
            for alias in node.names if isinstance(node, (ast.Import, ast.ImportFrom)) else ():
                one = type(node)(**vars(node) | {"names": [alias]})
                for target in imported_files(module, [one], self.files, Path()):
                    whole = alias.name.split(".")[-1] in (target.stem, target.parent.name)
                    self.imported[module][alias.asname or alias.name] = (
                        target,
                        "" if whole else alias.name,
                    )
                    self.load(target)
        for module, node in nodes:
            if isinstance(node, ast.Name):
                self.follow(module, node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                target, name = self.imported[module].get(node.value.id, (module, "-"))
                self.follow(target, name or node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                self.texts.add(node.value)


def contents_of(tree: Path, path: str, blob: str) -> list[tuple[str, object]]:
    """(name, checksum) of a data file of git's store, or of the arrays in it but _LOOKS."""
    if not path.endswith(".npz"):
        return [(path, blob)]
    arrays = zipfile.ZipFile(io.BytesIO(git(tree, "cat-file", "blob", blob))).infolist()
    return [(f"{path}: {a.filename}", a.CRC) for a in arrays if not _LOOKS.match(a.filename)]


@lru_cache(maxsize=None)
def inputs_of(tree: Path, commit: str, bench: str) -> dict[str, str]:
    """{checksum: what it is of} of all that a bench depends on at a commit; nothing where it has no
    such bench."""
    listed = git(tree, "ls-tree", "-r", "--full-tree", commit).decode().splitlines()
    blobs = {path: about.split()[2] for about, path in (row.split("\t", 1) for row in listed)}
    reach = Reach(tree, blobs, bench)
    result = {
        part.content: f"{part.module.name}: {', '.join(sorted(part.names)) or 'on import'}"
        for part in reach.parts.values()
        if part.content
    }
    for path, blob in blobs.items():
        place = PurePosixPath(path)
        network = f"weights/{place.stem}.safetensors" in blobs and place.stem in reach.texts
        is_its_own = COMMANDS.get(place.stem, "").split(" ")[0] == bench  # `speed` goes on with it
        is_named = network or place.name in reach.texts
        if place.suffix in _DATA and is_named and not is_its_own:
            result |= {f"{name} {content}": name for name, content in contents_of(tree, path, blob)}
    return result


def changes(tree: Path, result: Path, command: str) -> tuple[str, list[str]]:
    """(day and commit, what changed since) of a result of a tree: of what its command reaches or
    reads, by content. Nothing changed of one that is not committed yet."""
    form = ["log", "-1", "--format=%as %h", "--abbrev=10"]
    named = re.search(r'^\W*commit\W+([0-9a-f]{7,40})(?:[",\s]|$)', result.read_text(), re.M)
    of = git(tree, *form, named[1]) if named else b""
    of = (of or git(tree, *form, "--", str(result.relative_to(tree)))).decode()
    bench = re.split(r"[ {]", command)[0]
    then, now = (inputs_of(tree, commit, bench) for commit in (of[11:].strip() or "HEAD", "HEAD"))
    changed = {(then | now)[content] for content in then.keys() ^ now.keys()}
    return of.strip(), sorted(changed if then else ["its bench was another"])


def measure(commands: dict[str, None]) -> None:
    """Run commands of which everything is there, one after the other."""
    if git(ROOT, "status", "--porcelain", "--", ".", ":!research/results", ":!docs"):
        raise SystemExit("There are uncommitted changes, which no result could name: commit them")
    there = {"bpy": str([*blenders().values()][0])} if blenders() else {}
    there |= {name.lower(): os.environ[name] for name in NEEDED if os.environ.get(name)}
    for command in commands:
        with tempfile.TemporaryDirectory() as scratch:
            missing = set(re.findall(r"{(\w+)}", command)) - {*there, "scratch"}
            words = "" if missing else command.format_map(there | {"scratch": scratch})
            print(f"== {words or command}: {', '.join(missing)} missing".removesuffix(":  missing"))
            if words:
                subprocess.run([sys.executable, "-m", "research", *words.split()], cwd=ROOT)


def add_arguments(parser: ArgumentParser) -> None:
    """Add this part's options."""
    parser.add_argument("--measure", action="store_true", help="measure what is old again")


def run(args: Namespace) -> None:
    """Print the list, or measure what is on it again."""
    results = sorted(path for path in RESULTS.iterdir() if path.suffix in (".txt", ".json"))
    old = {}
    for result in results:
        when, changed = changes(ROOT, result, COMMANDS[result.stem])
        if changed:
            few = "; ".join(changed[:3]) + "; …" * (len(changed) > 3)
            old[result.name] = f"{result.name:24s} {when}  {len(changed):4d} changed: {few}"
    print(f"{len(old)} of {len(results)} results are of other code or data than what is here")
    print("\n".join(old.values()))
    for page in (*PAGES, *(f"guide/{name}" for name in GUIDES)):
        for wrong in wrong_figures(quotes_of(page)):
            print(f"docs/{page}.md: no file beside it has {wrong}")
    if args.measure:
        measure(
            {
                command: None
                for name, command in COMMANDS.items()
                if {f"{name}.txt", f"{name}.json"} & old.keys()
            }
        )
