# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects the texts that an animator may read from the code, for translators (`make languages`).

languages.py FOLDER   writes thunder.pot, all texts, and of each language of assets/languages its
                      file without what is gone, then (empty) what others translate and it does not
"""

import ast
import json
import keyword
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from thunder_core.translation import BETWEEN, entries, forms_in, unquote  # noqa: E402
from thunder_core.whisper import LANGUAGES  # noqa: E402

FILES = ROOT / "assets" / "languages"
FOLDERS = ("panels", "operators", "scene", "thunder_core")
LEFT_OUT = {"train", "networks", "batch", "api.py", "__main__.py", "materials.py"}
HEAD = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"'
LABEL, TOOLTIP, MESSAGE = "label", "tooltip", "message"  # kinds of texts
SHOWN = {  # arguments and attributes that Blender shows
    **dict.fromkeys(("name", "text", "placeholder", "title", "label", "bl_label"), LABEL),
    **dict.fromkeys(("description", "message"), TOOLTIP),
}
_LABEL = re.compile(r"[A-Z“].*[a-z]")
_SENTENCE = re.compile(r"(?=.*\b[a-z]{2,}\b.*\s.*\b[a-z]{2,}\b)[A-Z“{…][^_=|\[\]<>\\]*", re.S)


def template_of(node: Any) -> str:
    """An f-string, or a text with empty braces, as the template of what it makes: its values are
    named by the last name in each."""

    def name_of(value: str) -> str:
        names = re.findall(r"(?<!\d)[a-z_]\w*", re.sub(r"'[^']*'", "", value.lower()))
        names = ["value", *(name for name in names if not keyword.iskeyword(name))]
        return f"{{{names[-1]}}}"

    def numbered(found: re.Match) -> str:
        used[name := found[1] or "value"] += 1
        return f"{{{name}{used[name] if used[name] > 1 else ''}}}"

    parts, used = getattr(node, "values", [node]), Counter[str]()
    text = "".join(
        str(part.value) if isinstance(part, ast.Constant) else name_of(ast.unparse(part.value))
        for part in parts
    )
    return re.sub(r"\{(\w*)(?::[^{}]*)?\}", numbered, text)


def texts_of(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line, text, its kind as far as one can tell, "" where no animator reads it) of every text in
    a Python file; of an f-string its template, of a docstring its words, of an operator also its
    label."""
    kinds: dict[int, str] = {}  # of nodes by id; "-": part of a text
    nodes: list[Any] = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    for node in nodes:
        match node:
            case ast.JoinedStr(values=parts):
                kinds |= {id(each): "-" for each in parts}
            case ast.Expr(value=ast.Constant(value=str()) as words):
                kinds[id(words)] = "-"
            case ast.keyword(arg=name, value=value) if name in SHOWN:
                kinds |= {id(each): SHOWN[name] for each in ast.walk(value)}
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in SHOWN:
                kinds[id(value)] = SHOWN[name]
            # a name for the code, then its label and tooltip; or a label, then its tooltip
            case (
                ast.Tuple(elts=[ast.Constant(value=str(name)), *parts])
                | ast.Call(args=[ast.Constant(value=str(name)), *parts])
            ) if re.fullmatch(r"[A-Za-z_]\w*", name):
                first = TOOLTIP if re.match("[A-Z][a-z]", name) else LABEL
                kinds |= {id(each): TOOLTIP if n else first for n, each in enumerate(parts)}
            case ast.Call(
                func=ast.Name(id=name) | ast.Attribute(attr=name), args=[_, message, *_]
            ) if name in ("Step", "stage"):  # what is being done
                kinds[id(message)] = LABEL
            case ast.ClassDef(name=name) if name.startswith("THUNDER_"):
                yield node.lineno, " ".join((ast.get_docstring(node) or "").split()), TOOLTIP
                if "_OT_" in name and "\n    bl_label = " not in ast.unparse(node):
                    yield node.lineno, name[len("THUNDER_OT_") :].replace("_", " ").title(), LABEL
    for node in nodes:
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        kind = kinds.get(id(node), "")
        if kind != "-" and (is_text or isinstance(node, ast.JoinedStr)):
            text = template_of(node)
            is_sentence = _SENTENCE.fullmatch(re.sub(r"\{\w+\}", "{}", text))
            yield node.lineno, text, _LABEL.match(text) and kind or (MESSAGE if is_sentence else "")


def code_files() -> Iterator[Path]:
    """The Python files whose texts an animator may read."""
    for folder in FOLDERS:
        yield from sorted((ROOT / folder).rglob("*.py"))


@cache
def plurals() -> dict[str, str]:
    """The texts of one thing that the code has with one of many, and those of many."""
    result = {}
    for path in code_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="plural"), args=[_, one, many]):
                    result[template_of(one)] = template_of(many)
    return result


@cache
def collect() -> tuple[dict[str, tuple[str, str]], set[str]]:
    """Texts that an animator may read → where each is first, and its kind; and all texts of the
    code."""
    shown: dict[str, tuple[str, str]] = {}
    known = set(BETWEEN)
    for path in code_files():
        where = path.relative_to(ROOT)
        for line, text, kind in texts_of(path):
            known.add(text)
            if kind and text and not LEFT_OUT & set(where.parts):
                shown.setdefault(text, (f"{where.as_posix()}:{line}", kind))
    core = ROOT / "thunder_core"
    for path in sorted([*core.glob("*/*.json"), core / "emotions.json"]):  # and moods, presets
        about = json.loads(path.read_text(encoding="utf-8"))
        named = (name.title() for name in about if name.isupper())
        tooltips = [*map(about.get, ("about", "description"))]
        for text in filter(None, (*map(about.get, ("label", "name")), *named, *tooltips)):
            kind = TOOLTIP if text in tooltips else LABEL
            shown.setdefault(text, (path.relative_to(ROOT).as_posix(), kind))
    shown |= {name: ("thunder_core/whisper.py", LABEL) for name in LANGUAGES.values()}
    known |= set(shown)  # in other cases too: names of moods are words of takes
    return shown, known | {text.lower() for text in known} | {text.title() for text in known}


def entry(context: str, text: str, many: str, said: Sequence[str], *notes: str) -> str:
    """An entry of a .po file, as of `translated`. notes: where it is in the code."""
    rows = {"msgctxt": context, "msgid": text, "msgid_plural": many}
    rows |= {f"msgstr[{n}]" if many else "msgstr": each for n, each in enumerate(said)}
    lines = [f"#: {' '.join(notes)}"] * bool(notes) + [
        f"{row} {json.dumps(value, ensure_ascii=False)}"
        for row, value in rows.items()
        if value or row not in ("msgctxt", "msgid_plural")
    ]
    return "\n".join([*lines, "\n"])


def translated(po: str) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """Context, text, text of many things and translation, or its forms, of what a .po file has."""
    for flags, context, text, said, many, lines in entries(po):
        forms = (unquote(said),) if said else forms_in(lines)
        if text and forms and "fuzzy" not in flags:
            yield unquote(context), unquote(text), unquote(many), forms


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shown, known = collect()
    files = {path.name: path.read_text(encoding="utf-8") for path in sorted(FILES.glob("*.po"))}
    # what one language translates the others may need to
    pairs = plurals()
    keys = dict.fromkeys(
        each[:3]
        for text in files.values()
        for each in translated(text)
        if each[1] in known and each[2] == pairs.get(each[1], "")
    )
    new_keys = (("", text, pairs.get(text, "")) for text in shown if text not in pairs.values())
    all_keys = dict.fromkeys([*new_keys, *keys])
    template = [entry(*key, unsaid(key), *shown.get(key[1], ())) for key in all_keys]
    _write(folder / "thunder.pot", HEAD, template)
    for name, text in files.items():
        said = list(translated(text))
        texts = {each[1] for each in said if each[:3] in keys}
        kept = [entry(*each) for each in said if each[:3] in keys]
        new = [entry(*key, unsaid(key)) for key in keys if key[1] not in texts]
        _write(folder / name, text.partition("\n\n")[0], kept + new)
        print(f"{folder / name}: {len(new)} new, {len(said) - len(kept)} gone")


def unsaid(key: tuple[str, str, str]) -> tuple[str, ...]:
    """What an entry says that nobody has translated: two forms where it has one for many."""
    return ("", "") if key[2] else ("",)


def _write(path: Path, head: str, entries: list[str]) -> None:
    path.write_text("\n\n".join([head, "".join(entries)])[:-1], encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
