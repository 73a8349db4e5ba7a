# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report tells: no name or path in whatever form, and every line that helps."""

import getpass
import platform
import traceback
from pathlib import Path

import numpy as np
import pytest

from research.harness import ROOT
from thunder_core import redaction
from thunder_core.animation import timing
from thunder_core.errors import BadSound

PLACES = [
    (str(ROOT), redaction.ADD_ON),
    (str(Path(np.__file__).parents[1]), "<python>"),
    (str(Path(traceback.__file__).parent), "<python>"),
]
PRIVATE = ("annabel", "quokka", "zorbax", "unreleased", "hero", "murder", "4711", "host.example")
HOME = "/home" + "/annabel"
LEAKS = (  # HOME is put into each
    # names in every kind of quotes, and in none
    "The strip “annabel quokka” is muted: unmute it or choose another voice",
    "The strip “annabel” is muted: unmute it or choose quokka",
    "The strip 'annabel quokka' is muted",
    'the object "Zorbax" is gone',
    "object Zorbax has no shape keys",
    "‘annabel’ and «quokka» and `zorbax`",
    "“Zorbax\nacross annabel’s lines”",
    "“4711” is silent: choose a sound with a voice in it, or turn up its volume",
    "KeyError: 'Zorbax Hero'",
    "KeyError: 'annabel'",
    "ValueError: annabel",
    "ValueError: could not convert string to float: 'quokka'",
    "AttributeError: 'Annabel' object has no attribute 'quokka'",
    "NameError: name 'annabel' is not defined",
    "ModuleNotFoundError: No module named 'annabel_tools'",
    "ImportError: cannot import name 'quokka' from 'annabel' (HOME/quokka.py)",
    "annabel_tools.QuokkaError: it broke",
    "annabel.quokka.ValueError: it broke",
    "QuokkaError",
    # paths
    "There is no file “HOME/quokka line.wav”: choose another sound file",
    "FileNotFoundError: [Errno 2] No such file or directory: 'HOME/the quokka.wav'",
    "OSError: [Errno 5] Input/output error: 'annabel' -> 'quokka'",
    "relative annabel/the quokka film/line.mp3 was not found",
    "renders/annabel quokka/zorbax",
    "annabel quokka.unknownsuffix",
    "quokka.kra and quokka.clip and quokka.aup3 of annabel",
    "quokka.tar.gz.age",
    "C:\\Users\\annabel\\Unreleased Film\\quokka.wav cannot be opened",
    "C:/Users/annabel/quokka",
    "\\\\host.example\\annabel\\quokka.flac is gone",
    "//annabel/quokka.blend",
    "~annabel/quokka.wav ~/quokka",
    "$HOMEDIR/annabel ${QUOKKA}/annabel %USERPROFILE%\\annabel",
    "file:///media/annabel/The%20Unreleased%20Film/quokka.wav",
    "%2Fhome%2Fannabel%2Fquokka.wav",
    "HOME\\ quokka/x",
    "https://annabel:quokka@host.example/murder?token=4711",
    "smb://host.example/annabel",
    "b'HOME/quokka.wav'",
    "PosixPath('HOME/quokka')",
    "path=HOME/quokka,name=zorbax",
    "HOME/quokka.wav:12:3: error",
    # files in tracebacks that are not ours, or only look so
    'File "HOME/quokka.py", line 3, in load',
    '  File "HOME/quokka.py", line 3, in zorbax\n    annabel = quokka()',
    '  File "HOME/site-packages/torch/quokka.py", line 3, in load',
    f'  File "{ROOT}/annabel/quokka.py", line 3, in load',
    f'  File "{ROOT}/scene/annabel.py", line 3, in load',
    f'  File "{ROOT}/scene/../annabel.py", line 3, in load',
    f'  File "{ROOT}/thunder_core/types.py", line 3, in annabel quokka',
    f'  File "{ROOT}/thunder_core/types.py", line 3, in load\n    annabel = quokka()',
    f'  File "{traceback.__file__}", line 3, in print\n    annabel = quokka()',
    "<frozen annabel>:4711: in quokka",
    "HOME/quokka.py:12: UserWarning: zorbax is old",
    "HOME/quokka.py:12: QuokkaWarning: old",
    # other forms
    "user annabel on host.example",
    "annabel@host.example",
    "Exception in thread Thread-7 (annabel_quokka):",
    "[2026-11-23 10:00] INFO annabel: opened quokka",
    '{"sound": "annabel.wav", "take": "quokka"}',
    "Sampling takes of annabel",
    "\x1b[31mannabel\x1b[0m",
    "a\u0000nnabel annabel\u0000quokka",
    "ANNABEL QUOKKA",
    "MemoryError: quokka",
    "[Errno 13] annabel: quokka",
    "CUDA error: annabel",
    "Fatal Python error: quokka",
)


def leaked(text):
    """The private words that a report would tell of a text."""
    words = redaction.redact(f"Traceback (most recent call last):\n{text}\n", PLACES)
    return [name for name in (*PRIVATE, str(ROOT).lower()) if name in words.lower()]


def test_no_name_and_no_path_comes_through():
    leaks = [leak.replace("HOME", HOME) for leak in LEAKS]
    assert len(leaks) >= 60
    if leaked("\n".join(leaks)):  # all at once is much faster than one by one
        assert not [leak for leak in leaks if leaked(leak)]


HELPS = (
    "Traceback (most recent call last):",
    "During handling of the above exception, another exception occurred:",
    "MemoryError",
    "KeyboardInterrupt",
    "AttributeError: 'NoneType' object has no attribute 'render'",
    "IndexError: list index out of range",
    "ZeroDivisionError: division by zero",
    "ModuleNotFoundError: No module named 'torchaudio'",
    "TypeError: 'NoneType' object is not iterable",
    "ValueError: cannot reshape array of size 12 into shape (5,2)",
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU <removed>",
    "RuntimeError: CUDA error: no kernel image is available for execution on the device",
    "Segmentation fault (core dumped)",
    "OSError: [Errno 28] No space left on device",
    "[Errno 2] No such file or directory: <removed>",
    "“<removed>” holds 0.20 s of sound: choose one of at least 0.3 s",
    "BadSound: The strip “<removed>” is muted: unmute it or choose another voice",
    "“<removed>” cannot be read (Permission denied): choose a CSV file of Live Link Face",
    "The engine was killed (signal 9) while it was working, which happens when memory runs out: "
    "close other programs, or ask for fewer takes",
    "WorkerDied: The engine was ended by signal 6 while it was working: try again, see the log",
)


def test_what_helps_comes_through():
    text = "\n".join(HELPS)
    assert redaction.redact(text.replace("<removed>", "annabel"), PLACES) == text


def test_a_traceback_of_our_code_comes_through_with_its_lines():
    try:
        timing.Clock.of(None, 1)
    except AttributeError as error:
        words = redaction.redact("".join(traceback.format_exception(error)), PLACES).splitlines()
    # this test is none of the extension's files
    assert words[1].startswith('  File "<removed>", line ')
    at = next(
        i
        for i, line in enumerate(words)
        if line.startswith('  File "<add-on>/thunder_core/animation/timing.py", line ')
    )
    assert words[at].endswith(", in of") and "scene.render" in words[at + 1]
    assert words[-1] == "AttributeError: 'NoneType' object has no attribute 'render'"


def test_a_traceback_through_a_package_comes_through():
    try:
        np.linalg.inv(np.zeros((2, 2)))
    except np.linalg.LinAlgError as error:
        words = redaction.redact("".join(traceback.format_exception(error)), PLACES)
    assert 'File "<python>/numpy/linalg/' in words and "LinAlgError" in words and "in inv" in words


def test_the_class_of_somebody_elses_error_is_not_told():
    assert (
        redaction.error_class(BadSound("x")) == "BadSound"
        and redaction.error_class(OSError()) == "OSError"
    )
    assert redaction.error_class(type("QuokkaError", (Exception,), {})()) == redaction.REMOVED


def test_a_long_log_takes_no_long_time():
    words = redaction.redact(
        "\n".join([f"{'annabel (“' * 5000} is {n}" for n in range(60)]), PLACES
    )
    assert len(words) < 2000


@pytest.fixture
def called(monkeypatch):
    """Call this user, home and machine otherwise."""

    def call(user="annabel", home="annabel", machine="box"):
        monkeypatch.setattr(getpass, "getuser", lambda: user)
        monkeypatch.setattr(Path, "home", lambda: Path("/home") / home)
        monkeypatch.setattr(platform, "node", lambda: machine)
        redaction._public_words.cache_clear()

    yield call
    redaction._public_words.cache_clear()


def test_people_whom_our_comments_docstrings_and_examples_name_are_not_told(called):
    called()
    for name in (
        "Carpenter",
        "Ekman",
        "Perez",
        "Boyd",
        "Edwards",
        "Newton",
        "Carlson",
        "Anna",
        "Ben",
    ):
        for said in (f"Sampling takes of {name}", f"KeyError: '{name}'", f"{name}: it broke"):
            assert name not in redaction.redact(said, PLACES)


@pytest.mark.parametrize("name", ["user", "home", "machine"])
def test_a_user_or_machine_that_is_called_as_a_word_of_the_code_is_not_told(called, name):
    assert "Render" in redaction.redact("Render it", PLACES) or "render" in redaction.redact(
        "render"
    )
    called(**{name: "Render-box.local"})
    for said in ("user render", "RENDER", "KeyError: 'render'", "module 'render.local' is gone"):
        assert "render" not in redaction.redact(said, PLACES).lower()
