# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m research NAME [options]` runs a bench or another part of the laboratory; without a
name it lists them."""

import argparse
import ast
import importlib
import sys
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
# what a change of the product must pass
GATES = ("lips", "habits", "articulation", "commit", "speed", "faults")


@cache
def parts() -> dict[str, str]:
    """{name: first sentence of its docstring} of every module that can be run. None of them is
    imported."""
    found = {}
    for path in sorted([*FOLDER.glob("*.py"), *FOLDER.glob("*/__init__.py")]):
        module = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in module.body):
            sentence = " ".join((ast.get_docstring(module) or "").partition("\n\n")[0].split())
            found[path.parent.name if path.stem == "__init__" else path.stem] = sentence
    return found


def listing() -> str:
    """The names of the parts and their purposes, those of GATES first."""
    known = parts()
    rest = [name for name in known if name not in GATES]
    row = "  {:16s}{}".format
    return "\n".join([
        "python -m research NAME [options]; NAME --help says more", "",
        "gates: what a change must pass", *(row(name, known[name]) for name in GATES), "",
        "others", *(row(name, known[name]) for name in rest),
    ])  # fmt: skip


def main(words: list[str] | None = None) -> None:
    """Run the part that `words` or the command line name, or list all. Raises SystemExit for an
    unknown name, with a part's result if that is not 0 or None, and as parts do.
    """
    words = sys.argv[1:] if words is None else words
    if not words or words[0] in ("-h", "--help"):
        return print(listing())
    name = words[0]
    if name not in parts():
        raise SystemExit(
            f"There is no “{name}” in research: python -m research lists what there is"
        )
    from thunder_core.errors import ThunderError  # the list needs nothing of the product

    try:
        code = start(name, words[1:])
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] in ("research", "thunder_core", ""):
            raise
        raise SystemExit(
            f"{name} needs “{missing.name}”, which this Python lacks: make develop installs it, and "
            f".venv/engine/bin/python -m research {name} has it"
        ) from None
    except ThunderError as error:
        raise SystemExit(str(error)) from None
    if code:
        raise SystemExit(code)


def start(name: str, words: list[str]) -> int | None:
    """Run a part with these words of its command line; returns its result."""
    module = importlib.import_module(f"research.{name}")
    parser = argparse.ArgumentParser(
        prog=f"python -m research {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if hasattr(module, "add_arguments"):
        module.add_arguments(parser)
    return module.run(parser.parse_args(words))


if __name__ == "__main__":
    main()
