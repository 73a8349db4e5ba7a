# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts in other languages: .po files, and sentences that were put together in English; standard
library only.

English is the key of every text. A sentence with names and numbers is known by its template, such
as “{count} takes deleted”, which is the f-string that made it: the translation of the template gets
the values that the sentence has. So a text is English wherever it is made, stored or logged, in the
engine too, and only what shows it to the animator translates it.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from gettext import c2py
from itertools import product

_QUOTED = r'"(.*)"\n'
_ENTRY = re.compile(
    rf"(?:^#, (.*)\n)?^(?:msgctxt {_QUOTED})?msgid {_QUOTED}"
    rf"(?:msgstr {_QUOTED}|msgid_plural {_QUOTED}((?:msgstr\[.*\n)+))",
    re.M,
)
_FORM = re.compile(rf"msgstr\[\d\] {_QUOTED}")
_RULE = re.compile(r"Plural-Forms:.*plural=([^;\\]*)")
_VALUE = re.compile(r"\{(\w+)\}")
_ENGLISH = "n != 1"  # which of its two forms English has for n things
_WORD = re.compile(r"[^\W\d]{3}")
_TELLS = 10  # letters that a template ends with at least, for a word that is not known before them


def entries(po: str) -> list[tuple[str, str, str, str, str, str]]:
    """Every entry of a .po file as it is written there: flags such as “fuzzy”, context, text,
    translation, and of one of many things their text and `forms`."""
    return _ENTRY.findall(f"{po}\n".replace("\r", "").replace('"\n"', ""))


def forms_in(lines: str) -> tuple[str, ...]:
    """gettext's forms of a translation, in the lines of a .po file that say them; none where one
    is missing."""
    forms = tuple(map(unquote, _FORM.findall(lines)))
    return forms if all(forms) else ()


def plural_rule(po: str) -> Callable[[int], int]:
    """Which of gettext's forms a .po file's language has for a count, as its head says; as English
    has it where that says none."""
    rule = _RULE.search(po)
    try:
        return c2py(rule[1] if rule else _ENGLISH)
    except ValueError:  # somebody's own file
        return c2py(_ENGLISH)


def read(po: str) -> dict[tuple[str, str], str]:
    """(context, text) → translation of every translated entry of a .po file; the context is "" for
    entries without one. What tools mark as fuzzy is left out. Also of the text of many things,
    whose forms are in the contexts that `form_context` names."""
    result, rule = {}, plural_rule(po)
    for flags, context, text, said, many, lines in entries(po):
        if "fuzzy" in flags:
            continue
        if said and text:  # without a text: what the file says of itself
            result[unquote(context), unquote(text)] = unquote(said)
        elif forms := forms_in(lines):  # English has the second for all numbers but 1
            result[unquote(context), unquote(text)] = forms[0]
            result[unquote(context), unquote(many)] = forms[min(rule(2), len(forms) - 1)]
            result |= {(form_context(n), unquote(many)): form for n, form in enumerate(forms)}
    return result


def form_context(form: int) -> str:
    """The context of one of gettext's forms."""
    return f"plural {form}"


def plural(count: int, one: str, many: str) -> str:
    """The text of one thing, or of many. Translators get both as one entry; what it is in another
    language follows the first number in it."""
    return one if count == 1 else many


def unquote(text: str) -> str:
    """A text as it is meant, of one that a .po file has in quotes."""
    if "\\" in text:
        return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), text)
    return text


def sort_templates(texts: Iterable[str]) -> list[str]:
    """The texts with values, those with most letters of their own first: they say most exactly of
    what a sentence was made."""
    with_values = {text for text in texts if _VALUE.search(text)}
    return sorted(with_values, key=lambda text: (-len(_VALUE.sub("", text)), text))


@cache
def _pattern(template: str) -> tuple[str, re.Pattern, list[str]]:
    """The longest part of a template that is in each of its sentences, what matches these, and the
    names of its values that are quoted."""
    fixed, names = _VALUE.split(template)[::2], _VALUE.findall(template)
    quoted = [name for name in names if f"“{{{name}}}”" in template]
    pattern = re.escape(fixed[0])
    for place, name in enumerate(names):
        kind = "[^”]*" if name in quoted else ".*?"
        # a value that comes twice is the same
        pattern += f"(?P={name})" if name in names[:place] else f"(?P<{name}>{kind})"
        pattern += re.escape(fixed[place + 1])
    return max(fixed, key=len), re.compile(pattern, re.S), quoted


# between parts that are known each for itself, such as the words of a take
BETWEEN = (". ", "; ", ": ", ", ", " · ")


def translate(
    text: str, lookups: Sequence[Callable[[str], str]], templates: list[str],
    form_of: Callable[[str, int], str] = lambda template, count: template,
) -> str:  # fmt: skip
    """A text in another language; as it is where neither it, nor its template, nor all its parts
    are known.

    lookups: each gives a text's translation, or the text itself; the first that knows a text says
    it, and that first of all knows templates.  templates: as of `sort_templates`.  form_of: the
    translation of a template for a count, the template itself where it has no such forms. Values
    are translated too, but for those in quotes, which are names that people gave.
    """

    @cache  # parts of parts come again and again
    def say(text: str) -> str:
        for lookup, variant in product(lookups, (text, text[:1].lower() + text[1:])):
            if text and (said := lookup(variant)) != variant:
                return said if variant == text else said[:1].upper() + said[1:]
        for between in BETWEEN:
            outside_quotes = rf"{re.escape(between)}(?![^“]*”)"
            parts = re.split(outside_quotes, text, maxsplit=int(between == ": "))
            known = [say_part(part) for part in parts if len(parts) > 1]
            new = [one != part for one, part in zip(known, parts)]
            # numbers are known as they are
            if any(new) and all(is_new or not _WORD.search(one) for is_new, one in zip(new, parts)):
                return lookups[0](between).join(known)
        best = text
        for template in templates:
            fixed, pattern, quoted = _pattern(template)
            if fixed in text and (found := pattern.fullmatch(text)):
                values = {
                    name: value if name in quoted else say_part(value)
                    for name, value in found.groupdict().items()
                }
                unknown = [
                    f"{{{name}}}"
                    for name, said in values.items()
                    if name not in quoted and said == found[name] and _WORD.search(said)
                ]
                # “{keys} keys” is not what every sentence was made of that ends so
                is_sure = len(fixed) >= _TELLS or not template.startswith(tuple(unknown))
                if not unknown or (best == text and is_sure):
                    counts = [
                        int(each) for name, each in found.groupdict().items()
                        if name not in quoted and each.isdecimal()
                    ]  # fmt: skip
                    said = form_of(template, counts[0]) if counts else template
                    said = lookups[0](template) if said == template else said
                    best = _VALUE.sub(lambda place: values[place[1]], said)
                if not unknown:
                    break
        return best

    def say_part(text: str) -> str:
        """The same for what is within a sentence, where it begins with a small letter."""
        variants = [text, text[:1].upper() + text[1:]] if " " in text else [text]
        return next((said for part in variants if (said := say(part)) != part), text)

    return say(text)


_WIDE = "⺀-￯"  # letters of Chinese, Japanese and Korean, twice as wide as others
_PIECE = re.compile(rf"\s*[「『（]*(?:[{_WIDE}]|[^\s{_WIDE}]+)[、。，．）」』：；？！]*")


def pieces(text: str) -> list[str]:
    """What a line may end behind: words, and each wide letter, with the space and the open brackets
    before and the marks behind them."""
    return _PIECE.findall(text)


def wrap(text: str, letters: int, most: int = 0) -> list[str]:
    """Lines of at most so many letters, wide ones counted twice; words stay whole. most: number of
    lines, the last of which then ends with “…”; 0: as many as there are."""
    lines = [""]
    for piece in pieces(text):
        line = lines[-1] + piece
        if lines[-1] and len(line) + len(re.findall(f"[{_WIDE}]", line)) > letters:
            lines.append(piece.lstrip())
        else:
            lines[-1] = line
    if most and len(lines) > most:
        lines = [*lines[: most - 1], f"{wrap(lines[most - 1], letters - 2)[0]} …"]
    return lines if lines[-1] else []
