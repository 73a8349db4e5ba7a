# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps of a text (an error, a traceback, a log) only what is known to be public, for a report that
others may read. Standard library only.

Public are: the sentences of our code without what was filled in, those of Python and the system
that are listed here, numbers, classes of errors, and of tracebacks the files, functions and lines
of our code and of Python's packages. All else is replaced by REMOVED: names and paths come in forms
that no list foresees.
"""

from __future__ import annotations

import ast
import builtins
import errno
import os
import re
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from .engine_python import ROOT
from .errors import KINDS

REMOVED, ADD_ON = "<removed>", "<add-on>"
# of the extension
CODE = ("__init__.py", "bake.py", "demo.py", "cli", "operators", "panels", "scene", "thunder_core")
_LEAST = 10  # letters of a sentence; shorter ones fit any text
_DEEPEST = 3  # sentences filled into sentences
_LONGEST = 2000  # letters of a line that is looked at

_HOLE = re.compile(r"%[sdr]|%\.\d+f|\{[^{}]*\}")  # of a text that is filled in with % or format
_WORD = re.compile(r"[^\W\d_]{2,}")
_NUMBER = re.compile(r"[-−+]?\d{1,6}(?:[.,:×/]\d{1,6}){0,4}(?:\s?(?:%|s|ms|[kMG]i?B|Hz|fps|°))?")
_SHAPE = re.compile(r"[\[(](?:\d{1,9}(?:, ?|(?=[\])])))*[\])]|torch\.Size\(\[[\d, ]*\]\)")
_FILE = re.compile(r'\s*File "(?P<path>[^"]*)", line (?P<line>\d+)(?:, in (?P<frame>.+))?')
_FRAME = re.compile(r"[A-Za-z_]\w*|<(?:module|lambda|listcomp|genexpr|dictcomp|setcomp)>")
_NO_FILE = re.compile(
    r"<(?:string|stdin|blender_console|frozen (?:importlib[\w.]*|runpy|os|site|zipimport))>"
)
_WARNING = re.compile(r"(?P<path>.+):(?P<line>\d+): (?P<kind>\w+Warning): (?P<message>.*)")
_ERROR = re.compile(r"((?:[A-Za-z_]\w*\.)*)([A-Za-z_]\w*)(?:: (.*))?")
_REPEATED = re.compile(r"\s*\[Previous line repeated \d+ more times?\]")
_UNDERLINE = re.compile(r"\s+[\^~ ]*[\^~]\s*")

_ERRORS = {name for name, value in vars(builtins).items() if isinstance(value,
    type) and issubclass(value, BaseException)} | {
    *KINDS, "CalledProcessError", "TimeoutExpired", "JSONDecodeError", "BadZipFile", "LinAlgError",
    "OutOfMemoryError",
    "AcceleratorError", "LibsndfileError", "SafetensorError", "PackageNotFoundError",
    "TOMLDecodeError", "SubprocessError",
}  # fmt: skip
_SYSTEM_WORDS = {os.strerror(number) for number in errno.errorcode}
_PACKAGES = sys.stdlib_module_names | {
    "numpy",
    "torch",
    "torchaudio",
    "safetensors",
    "soundfile",
    "scipy",
    "smplx",
    "transformers",
}
# Sentences of Python, of libraries and of the system; {} is filled in.
_OTHERS = """
Traceback (most recent call last):
During handling of the above exception, another exception occurred:
The above exception was the direct cause of the following exception:
Exception ignored in: {}
Exception in thread {}
Fatal Python error: {}
Segmentation fault
Segmentation fault (core dumped)
Aborted (core dumped)
Current thread {} (most recent call first):
terminate called after throwing an instance of {}
[Errno {}] {}: {} -> {}
[Errno {}] {}: {}
[Errno {}] {}
[WinError {}] {}
{} object has no attribute {}
module {} has no attribute {}
partially initialized module {} has no attribute {} (most likely due to a circular import)
name {} is not defined
cannot access local variable {} where it is not associated with a value
No module named {}
cannot import name {} from {}
DLL load failed while importing {}: {}
{} missing {} required positional argument: {}
{} missing {} required positional arguments: {}
{} missing {} required keyword-only argument: {}
{} takes {} positional arguments but {} were given
{} takes {} positional argument but {} were given
{} got an unexpected keyword argument {}
{} got multiple values for argument {}
unsupported operand type(s) for {}: {} and {}
{} object is not callable
{} object is not iterable
{} object is not subscriptable
{} object cannot be interpreted as an integer
{} not supported between instances of {} and {}
argument of type {} is not iterable
list index out of range
tuple index out of range
string index out of range
pop from empty list
division by zero
float division by zero
math domain error
cannot convert float NaN to integer
cannot convert float infinity to integer
could not convert string to float: {}
invalid literal for int() with base {}: {}
not enough values to unpack (expected {}, got {})
too many values to unpack (expected {})
dictionary changed size during iteration
generator raised StopIteration
maximum recursion depth exceeded
maximum recursion depth exceeded {}
{} codec can't decode byte {} in position {}: {}
{} codec can't encode character {} in position {}: {}
Expecting value: line {} column {} (char {})
Extra data: line {} column {} (char {})
index {} is out of bounds for axis {} with size {}
operands could not be broadcast together with shapes {}
could not broadcast input array from shape {} into shape {}
cannot reshape array of size {} into shape {}
all the input arrays must have same number of dimensions, {}
zero-size array to reduction operation {} which has no identity
Unable to allocate {} for an array with shape {} and data type {}
invalid value encountered in {}
divide by zero encountered in {}
overflow encountered in {}
CUDA out of memory. Tried to allocate {}. GPU {}
CUDA out of memory. Tried to allocate {}
CUDA error: out of memory
CUDA error: no kernel image is available for execution on the device
CUDA error: {}
CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be incorrect.
Torch not compiled with CUDA enabled
MPS backend out of memory {}
Expected all tensors to be on the same device, {}
mat1 and mat2 shapes cannot be multiplied {}
The size of tensor {} must match the size of tensor {} at non-singleton dimension {}
shape {} is invalid for input of size {}
Sizes of tensors must match except in dimension {}. {}
Error(s) in loading state_dict for {}
Could not load library {}
can't start new thread
StructRNA of type {} has been removed
bpy_struct: attribute {} not found
Operator {} error: {}
Calling operator {} error, could not convert {}
Writing to ID classes in this context is not allowed: {}
"""


def redact(text: str, places: Iterable[tuple[str, str]] = ()) -> str:
    """A text, line by line, without anything that is not known to be public.

    places: folders with files that everybody has, and what they are called instead: our code is
    “<add-on>”.
    """
    places = [(os.path.join(folder, ""), label) for folder, label in places if folder]
    lines, kept = [line[:_LONGEST] for line in text.splitlines()], []
    patterns = _patterns(lines)
    source: frozenset[str] = frozenset()  # lines of the file that the traceback named last
    for line in lines:
        if match := _FILE.fullmatch(line) or _WARNING.fullmatch(line):
            path, name = _public_file(match["path"], places)
            source = _lines_of(path) if path else frozenset()
            number = match["line"][:7]
            if match.re is _FILE:
                where = (
                    f", in {match['frame']}"
                    if match["frame"] and path and _FRAME.fullmatch(match["frame"])
                    else ""
                )
                kept.append(f'  File "{name}", line {number}{where}')
            else:
                kind = match["kind"] if match["kind"] in _ERRORS else REMOVED
                kept.append(f"{name}:{number}: {kind}: {_sentence(match['message'], patterns)}")
        elif line.strip() in source or _UNDERLINE.fullmatch(line) or _REPEATED.fullmatch(line):
            kept.append(line)
        elif line.strip():
            kept.append(_line(line.strip(), patterns))
    return "\n".join(
        line for line, before in zip(kept, ["", *kept]) if line != REMOVED or before != REMOVED
    )


def error_class(error: BaseException) -> str:
    """The name of an error's class, unless it is somebody else's."""
    kind = type(error)
    return kind.__name__ if kind.__name__ in _ERRORS else REMOVED


def _line(line: str, patterns: list[Pattern]) -> str:
    """The public part of a line that is not about a traceback's files."""
    match = _ERROR.fullmatch(line)
    if match and match[2] in _ERRORS:
        package = match[1].partition(".")[0]
        said = f": {_sentence(match[3], patterns)}" if match[3] else ""
        return (f"{package}." if package in _PACKAGES else "") + match[2] + said
    return _sentence(line, patterns)


# ---- sentences

Pattern = tuple[str, ...]  # the constant parts of a sentence, between which something is filled in


def _sentence(text: str, patterns: list[Pattern], depth: int = 0) -> str:
    """A sentence with all that was filled in removed or, where it is itself public, kept."""
    for parts in patterns:  # those that say most come first
        if (filled := _match_values(text, parts)) is not None:
            values = [
                _value(value, before, patterns, depth) for value, before in zip(filled, parts)
            ]
            return "".join(part + value for part, value in zip(parts, [*values, ""]))
    return REMOVED


def _match_values(text: str, parts: Pattern) -> list[str] | None:
    """What was filled in between the parts of a sentence; None if the text is not that sentence."""
    first, last = parts[0], parts[-1]
    if len(parts) == 1:
        return [] if text == first else None
    if len(text) < sum(map(len, parts)) or not (text.startswith(first) and text.endswith(last)):
        return None
    at, end, values = len(first), len(text) - len(last), []
    for part in parts[1:-1]:
        start = text.find(part, at, end)
        if start < 0:
            return None
        values.append(text[at:start])
        at = start + len(part)
    return [*values, text[at:end]] if at <= end else None


def _value(value: str, before: str, patterns: list[Pattern], depth: int) -> str:
    """The public part of something that was filled in. before: the part of the sentence that it
    follows."""
    if not value:
        return ""
    is_name = before.endswith(("“", '"', "'", "‘"))  # a number, too, may be somebody's name
    if (
        value in _SYSTEM_WORDS
        or not is_name
        and (_NUMBER.fullmatch(value) or _SHAPE.fullmatch(value) or value in _ERRORS)
    ):
        return value
    if value[0] == value[-1] == "'" and value[1:-1] in _identifiers():
        return value
    return _sentence(value, patterns, depth + 1) if depth < _DEEPEST and not is_name else REMOVED


@lru_cache(maxsize=1)
def _identifiers() -> set[str]:
    """Names that Python's errors put into quotes: of its types and modules, and of the code of
    ours."""
    names = (
        {name for name, value in vars(builtins).items() if isinstance(value, type)}
        | set(_PACKAGES)
        | {"NoneType", "function", "module"}
    )
    for path in _code():
        names.update(
            re.findall(r"(?:def |class |\.|^(?:from|import) )([A-Za-z_]\w{2,})", _text_of(path))
        )
    return names


def _patterns(lines: list[str]) -> list[Pattern]:
    """The sentences that the lines may be, those with most letters first."""
    triples = {triple for line in lines for triple in _triples(line)}
    patterns = {_pattern(_HOLE.split(line)) for line in _OTHERS.strip().splitlines()}
    for path in _code():
        if not triples.isdisjoint(_triples(_text_of(path))):  # only these need to be parsed
            patterns.update(_patterns_of(path))
    return sorted(patterns, key=lambda parts: -sum(map(len, parts)))


def _triples(text: str) -> Iterator[tuple[str, str, str]]:
    """Each word of a text with the next two."""
    words = _WORD.findall(text)
    return zip(words, words[1:], words[2:])


@lru_cache(maxsize=None)
def _patterns_of(path: Path) -> frozenset[Pattern]:
    """The sentences in a file of our code."""
    try:
        tree = ast.parse(_text_of(path))
    except (SyntaxError, ValueError):
        return frozenset()
    notes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    patterns = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [""]
            for each in node.values:
                if isinstance(each, ast.Constant):
                    parts[-1] += str(each.value)
                else:
                    parts.append("")
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in notes
        ):
            parts = _HOLE.split(node.value)
        else:
            continue
        pattern = _pattern(parts)
        if (
            any(" " in part.strip() for part in pattern)
            and sum(map(len, _WORD.findall(" ".join(pattern)))) >= _LEAST
        ):
            patterns.add(pattern)
    return frozenset(patterns)


def _pattern(parts: list[str]) -> Pattern:
    return parts[0], *filter(None, parts[1:-1]), *parts[1:][-1:]


# ---- files


def _public_file(path: str, places: list[tuple[str, str]]) -> tuple[Path | None, str]:
    """A file of our code or of Python's packages that is there, and what it is called in a report;
    None and REMOVED for any other."""
    for folder, label in places:
        inner = path.removeprefix(folder).replace("\\", "/")
        parts = inner.split("/")
        top = parts[parts.index("site-packages") + 1] if "site-packages" in parts[:-1] else parts[0]
        is_public = top in CODE if label == ADD_ON else top.removesuffix(".py") in _PACKAGES
        if (
            is_public
            and path.startswith(folder)
            and inner.endswith(".py")
            and ".." not in parts
            and os.path.isfile(path)
        ):
            return Path(path), f"{label}/{inner}"
    return None, path if _NO_FILE.fullmatch(path) else REMOVED


@lru_cache(maxsize=1)
def _code() -> tuple[Path, ...]:
    """The files of our code that may have written a sentence in Blender or the engine."""
    places = [Path(ROOT, name) for name in CODE]
    return tuple(
        path
        for place in places
        for path in ([place] if place.suffix else sorted(place.rglob("*.py")))
        if "train" not in path.parts
    )


@lru_cache(maxsize=None)
def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _lines_of(path: Path) -> frozenset[str]:
    """The lines of a file without their indents."""
    return frozenset(filter(None, map(str.strip, _text_of(path).splitlines())))
