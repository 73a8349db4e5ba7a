# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps of a text (an error, a traceback, a log) only what is known to be public, for a report that
others may read. Standard library only.

Public are: words of the add-on's messages, names in its code (never what comments and docstrings
name: people), words of Python's messages, unless this user or machine is called so, numbers, and of tracebacks the files and lines of our code and of Python's packages. What stands
between quotes is kept only if it is a name of the code. All else is replaced by REMOVED: names and
paths come in forms that no list foresees.
"""

import builtins
import contextlib
import errno
import getpass
import os
import platform
import re
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from types import CodeType

from .engine_python import ROOT

REMOVED, ADD_ON = "<removed>", "<add-on>"
# of the extension
CODE = ("__init__.py", "bake.py", "demo.py", "cli", "operators", "panels", "scene", "thunder_core")
_LONGEST = 2000  # letters of a line that is looked at
_WORD = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")  # also a dotted name
_QUOTED = re.compile(r"""(?<!\w)(['"“])([^'"”]*)(['"”])(?!\w)""")
_QUOTED_TEXT = re.compile("“[^”]*”")
_NUMBER = re.compile(r"\d{1,6}(\.\d{1,6})?")
_PATH = re.compile(r"[/\\@$~%]")  # in a word: part of a path or an address
_FILE = re.compile(r'\s*File "([^"]*)", line (\d{1,7})(, in [\w<>]+)?')
_PACKAGES = sys.stdlib_module_names | {
    "numpy",
    "torch",
    "torchaudio",
    "safetensors",
    "soundfile",
    "scipy",
    "transformers",
}
# What Python, libraries and the system say.
_MESSAGES = """
Traceback most recent call last During handling of the above exception another occurred The was
direct cause following Exception ignored in thread Fatal Python error Segmentation fault core
dumped Aborted Current first terminate called after throwing an instance Errno WinError object
has no attribute module partially initialized likely due to a circular import name is not
defined cannot access local variable where it associated with value No named from DLL load
failed while importing missing required positional argument arguments keyword only takes but
were given got unexpected multiple values for unsupported operand type s and callable iterable
subscriptable be interpreted as integer supported between instances list index out range tuple
string pop empty division by zero float math domain convert NaN infinity could invalid literal
int base enough unpack expected too many dictionary changed size during iteration generator
raised StopIteration maximum recursion depth exceeded codec can t decode byte position encode
character Expecting line column char Extra data bounds axis operands broadcast together shapes
input array shape into reshape all arrays must have same number dimensions reduction operation
which identity Unable allocate encountered divide overflow CUDA memory Tried GPU kernel image
available execution on device errors might asynchronously reported at some other API so
stacktrace below incorrect Torch compiled enabled MPS backend Expected tensors mat1 mat2
multiplied tensor match non singleton dimension Sizes except Error loading state_dict Could
library start new StructRNA been removed bpy_struct found Operator Calling operator Writing ID
classes this context allowed NoneType GiB MiB KiB GB MB Hz numpy.linalg.LinAlgError torch.OutOfMemoryError
AcceleratorError LibsndfileError SafetensorError PackageNotFoundError TOMLDecodeError
CalledProcessError TimeoutExpired JSONDecodeError BadZipFile SubprocessError Singular matrix
returned exit status
"""


def redact(text: str, places: Iterable[tuple[str, str]] = ()) -> str:
    """A text, line by line, without anything that is not known to be public.

    places: folders with files that everybody has, and what they are called instead: our code is
    “<add-on>”.
    """
    places = [(os.path.join(folder, ""), label) for folder, label in places if folder]
    kept = [_line(line[:_LONGEST], places) for line in text.splitlines() if line.strip()]
    return "\n".join(
        line for line, before in zip(kept, ["", *kept]) if line != REMOVED or before != REMOVED
    )


def error_class(error: BaseException) -> str:
    """The name of an error's class, unless it is somebody else's."""
    name = type(error).__name__
    return name if name in _public_words() else REMOVED


def _line(line: str, places: list[tuple[str, str]]) -> str:
    """The public part of a line."""
    if match := _FILE.fullmatch(line):
        path, number, function = match.groups()
        name = _public_file(path, places)
        known_function = "" if name == REMOVED else function or ""
        return f'  File "{name}", line {number}{known_function}'
    words = [
        word if _is_public(word) else REMOVED for word in _QUOTED.sub(_quoted, line).split(" ")
    ]
    return " ".join(
        word for word, before in zip(words, ["", *words]) if word != REMOVED or before != REMOVED
    )


def _quoted(match: re.Match) -> str:
    """A quotation, with its content only if that is a name that Python's errors put into quotes."""
    begin, content, end = match.groups()
    return match[0] if begin == "'" and content in _public_words() else f"{begin}{REMOVED}{end}"


def _is_public(word: str) -> bool:
    """Whether all parts of what stands between two blanks are known or numbers."""
    parts = [part.strip(".") for part in re.findall(r"[\w.]+", word)]
    return not _PATH.search(word) and all(
        not part or _public_words().issuperset(part.split(".")) or _NUMBER.fullmatch(part)
        for part in parts
    )


@lru_cache(maxsize=1)
def _public_words() -> frozenset[str]:
    """The words of our code, of Python and of the system."""
    texts = [_MESSAGES, *map(os.strerror, errno.errorcode), *vars(builtins), *_PACKAGES]
    for name in CODE:
        place = Path(ROOT, name)
        for path in [place] if place.is_file() else place.rglob("*.py"):
            code = path.read_text(encoding="utf-8")
            texts += _texts_of(compile(code, path.name, "exec", dont_inherit=True, optimize=2))
    names = {name for text in texts for name in _WORD.findall(text)}
    names |= {part for name in names for part in name.split(".")}
    private = {part.lower() for text in _own_names() for part in _WORD.findall(text)}
    return frozenset(name for name in names if name.lower() not in private)


def _texts_of(code: CodeType) -> list[str]:
    """The names in compiled code, and its texts without what they quote, which may be anybody's
    name. Comments and docstrings are not in it."""
    texts = [
        code.co_name, *code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars,
    ]  # fmt: skip
    constants = list(code.co_consts)
    while constants:
        constant = constants.pop()
        if isinstance(constant, CodeType):
            texts += _texts_of(constant)
        elif isinstance(constant, (tuple, frozenset)):
            constants += constant
        elif isinstance(constant, str):
            texts.append(_QUOTED_TEXT.sub(" ", constant))
    return texts


def _own_names() -> list[str]:
    """What this user, the home and the machine are called."""
    names = [platform.node(), Path.home().name]
    with contextlib.suppress(OSError, KeyError, ImportError):  # a user without an entry
        names.append(getpass.getuser())
    return names


def _public_file(path: str, places: list[tuple[str, str]]) -> str:
    """What a file of our code or of Python's packages is called in a report; REMOVED for any
    other."""
    for folder, label in places:
        inner = path.removeprefix(folder).replace("\\", "/")
        parts = inner.split("/")
        top = parts[parts.index("site-packages") + 1] if "site-packages" in parts[:-1] else parts[0]
        is_public = top in CODE if label == ADD_ON else top.removesuffix(".py") in _PACKAGES
        if is_public and path.startswith(folder) and ".." not in parts and os.path.isfile(path):
            return f"{label}/{inner}"
    return REMOVED
