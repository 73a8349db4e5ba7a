# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects the texts that an animator may read from the code, for translators (`make languages`).

languages.py FOLDER   writes thunder.pot, all texts, and of each language of assets/languages its
                      file with what is new (empty) and what is gone (marked #~)
"""

import ast
import json
import keyword
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from thunder_core.translation import BETWEEN, placeholders, read  # noqa: E402

FILES = ROOT / "assets" / "languages"
FOLDERS = ("panels", "operators", "scene", "thunder_core")
LEFT_OUT = {"train", "networks", "batch", "api.py", "__main__.py", "materials.py"}
HEAD = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"'
# arguments and attributes that Blender shows
SHOWN = {"name", "description", "text", "placeholder", "title", "label", "bl_label", "message"}
_SENTENCE = re.compile(r"[A-Z“{…][^_=|\[\]<>\\]*")
_WORDS = re.compile(r"\b[a-z]{2,}\b.*\s.*\b[a-z]{2,}\b", re.S)


def template_of(node: Any) -> str:
    """An f-string, or a text with empty braces, as the template of what it makes: its values are
    named by the last name in each, an s or nothing is {s}."""
    used: list[str] = []

    def named(name: str) -> str:
        used.append(name)
        return f"{{{name}{used.count(name) if name in used[:-1] else ''}}}"

    if isinstance(node, ast.Constant):
        return re.sub(r"\{(:[^{}]*)?\}", lambda _: named("value"), str(node.value))
    text = ""
    for part in node.values:
        if isinstance(part, ast.Constant):
            text += str(part.value)
            continue
        code = ast.unparse(part.value)
        names = re.findall(r"(?<!\d)[a-z_]\w*", re.sub(r"'[^']*'", "", code.lower()))
        names = [name for name in names if not keyword.iskeyword(name)]
        text += named("s" if "'s'" in code else names[-1] if names else "value")
    return text


def texts_of(path: Path) -> Iterator[tuple[int, str, bool]]:
    """(line, text, whether an animator reads it, as far as one can tell) of every text in a Python
    file; of an f-string its template, of a docstring its words, of an operator also its label."""
    tree: Any = ast.parse(path.read_text(encoding="utf-8"))
    nodes: list[Any] = list(ast.walk(tree))
    inside, shown = set(), set()
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            inside |= {id(each) for each in node.values}
        elif isinstance(node, ast.FormattedValue) and node.format_spec:
            inside |= {id(each) for each in ast.walk(node.format_spec)}
        elif isinstance(node, ast.keyword) and node.arg in SHOWN:
            shown |= {id(each) for each in ast.walk(node.value)}
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in SHOWN:
            shown.add(id(node.value))
        elif isinstance(node, (ast.Tuple, ast.Call)):  # a name for the code, then its label
            parts = node.elts if isinstance(node, ast.Tuple) else node.args
            first = getattr(parts[0], "value", "") if parts else ""
            if re.fullmatch(r"[A-Za-z_]\w+", str(first)):
                shown |= {id(each) for each in parts[1:]}
        elif isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            name, line = getattr(node, "name", ""), getattr(node, "lineno", 1)
            if words := ast.get_docstring(node):
                inside.add(id(getattr(node.body[0], "value", None)))
                if name.startswith("THUNDER_"):
                    yield line, " ".join(words.split()), True
            if name.startswith("THUNDER_OT_"):
                label = name.removeprefix("THUNDER_OT_").replace("_", " ").title()
                assigned = [each for each in node.body if isinstance(each, ast.Assign)]
                yield line, label, not any("bl_label" in ast.unparse(each) for each in assigned)
    for node in nodes:
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if id(node) not in inside and (is_text or isinstance(node, ast.JoinedStr)):
            text = template_of(node)
            is_sentence = _SENTENCE.fullmatch(text) and _WORDS.search(text)
            is_label = id(node) in shown and re.match(r"[A-Z“].*[a-z]", text)
            yield node.lineno, text, bool(is_sentence or is_label)


@cache
def collect() -> tuple[dict[str, str], set[str]]:
    """Texts that an animator may read → where each is first, and all texts of the code."""
    shown: dict[str, str] = {}
    known = set(BETWEEN)
    for path in (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))):
        where = path.relative_to(ROOT)
        for line, text, is_shown in texts_of(path):
            known.add(text)
            if is_shown and not LEFT_OUT & set(where.parts):
                shown.setdefault(text, f"{where.as_posix()}:{line}")
    core = ROOT / "thunder_core"
    for path in sorted([*core.glob("*/*.json"), core / "emotions.json"]):  # and moods, presets
        about = json.loads(path.read_text(encoding="utf-8"))
        named = [name.title() for name in about if name.isupper()]
        for text in (about.get("label"), about.get("name"), about.get("about"), *named):
            if text:
                shown.setdefault(text, path.relative_to(ROOT).as_posix())
    known |= set(shown)  # in other cases too: names of moods are words of takes
    return shown, known | {text.lower() for text in known} | {text.title() for text in known}


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def entry(context: str, text: str, said: str, where: str = "") -> str:
    """An entry of a .po file. where: it is in the code."""
    lines = [f"#: {where}"] * bool(where) + [f"msgctxt {_quote(context)}"] * bool(context)
    return "\n".join([*lines, f"msgid {_quote(text)}", f"msgstr {_quote(said)}\n\n"])


def faults(po: str, known: set[str]) -> list[str]:
    """What is wrong with the file of a language: texts that are not in the code, and values that a
    translation lost or invented. An {s} of English may be lost."""
    entries = read(po)
    return [f"gone: {text}" for _, text in entries if text not in known] + [
        f"other values: {text}"
        for (_, text), said in entries.items()
        if not set(placeholders(text)) - {"s", "s2"}
        <= set(placeholders(said))
        <= set(placeholders(text))
    ]


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shown, known = collect()
    files = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FILES.glob("*.po"))}
    # what one language translates the others may need to
    keys = dict.fromkeys(("", text) for text in shown) | {
        key: None for text in files.values() for key in read(text) if key[1] in known
    }
    for name, text in {"thunder": "", **files}.items():
        said = read(text)
        gone = [key for key in said if key not in keys]
        head = text.partition("\n\n")[0] or HEAD
        body = "".join(entry(*key, said.get(key, ""), shown.get(key[1], "")) for key in keys)
        old = "".join(re.sub("^(?=m)", "#~ ", entry(*key, said[key]), flags=re.M) for key in gone)
        path = folder / f"{name}.po{'' if text else 't'}"
        path.write_text(f"{head}\n\n{body}{old}", encoding="utf-8")
        print(f"{path}: {len(keys) - len(said) + len(gone)} new, {len(gone)} gone")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
