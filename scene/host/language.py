# SPDX-License-Identifier: GPL-3.0-or-later
"""The language of Blender's interface: the dictionaries of assets/languages, which Blender itself
looks labels and tooltips up in, and sentences that were put together.

A file has Blender's name of its language, such as de_DE.po. Blender looks labels of buttons up in
the context “Operator”, others in “*”, and its own translation of a text wins over ours: where it
has another sense (“Normal” of a mesh, “Lead” as a metal), the context is CONTEXT. An entry without
a context is for all of them.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import repeat
from pathlib import Path

import bpy

from ...thunder_core.files import printable
from ...thunder_core.own_files import left_out_if_damaged
from ...thunder_core.text_files import read_text
from ...thunder_core.translation import form_context, plural_rule, read, sort_templates, translate

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "languages"
CONTEXT = "Thunder"
_LARGEST = 2**22  # largest file of a language, bytes
_templates: list[str] = []  # texts with values, of all languages
_rules: dict[str, Callable[[int], int]] = {}  # by languages: of its plural


def dictionaries() -> dict[str, dict[tuple[str, str], str]]:
    """What Blender is told: by languages, (context, text) → translation."""
    result: dict[str, dict[tuple[str, str], str]] = {}
    for path in sorted(FOLDER.glob("*.po")):
        with left_out_if_damaged(path):
            po = read_text(path, _LARGEST)
            entries, _rules[path.stem] = read(po), plural_rule(po)
            plain = {text: said for (context, text), said in entries.items() if not context}
            told = result[path.stem] = {}
            for context in ("*", "Operator", CONTEXT):
                told.update(zip(zip(repeat(context), plain), plain.values()))
            told.update({key: said for key, said in entries.items() if key[0]})
    return result


def register() -> None:
    known = dictionaries()
    _templates[:] = sort_templates(text for texts in known.values() for _, text in texts)
    _translated.cache_clear()
    bpy.app.translations.register(__name__, known)


def unregister() -> None:
    bpy.app.translations.unregister(__name__)


def translated(text: str) -> str:
    """A text as it is shown: in the language of the interface where Thunder or Blender knows it,
    else in English."""
    text = printable(text)  # Blender takes no name of a file that is not UTF-8
    is_on = bpy.context.preferences.view.use_translate_interface
    return _translated(text, bpy.app.translations.locale) if is_on else text


@lru_cache(4096)
def _translated(text: str, language: str) -> str:
    lookup, rule = bpy.app.translations.pgettext_iface, _rules.get(language)

    def form_of(template: str, count: int) -> str:
        return template if rule is None else lookup(template, form_context(rule(count)))

    return translate(text, (lambda each: lookup(each, CONTEXT), lookup), _templates, form_of)
