# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of HTML in which no text becomes markup: whatever goes into an element is escaped, unless
`element` made it.

A page carries a policy by which the browser accepts no style and no script but the page's, and
loads nothing but pictures, sounds and films that lie beside it.
"""

import base64
import hashlib
import json
from html import escape
from urllib.parse import quote

from .files import VISIBLE

_EMPTY = {"input", "meta"}  # elements without content or end


class Html(str):
    """HTML that `element` made."""


def element(kind: str, *content: object, **attributes: object) -> Html:
    """An element of HTML. content: its parts in order.  attributes: by name, `_` for “-” and at the
    end of a word of Python; addresses are made by `link`."""
    words = [
        kind,
        *(
            f'{name.rstrip("_").replace("_", "-")}="{_escape(value)}"'
            for name, value in attributes.items()
        ),
    ]
    start = f"<{' '.join(words)}>"
    return Html(start if kind in _EMPTY else f"{start}{''.join(map(_escape, content))}</{kind}>")


def link(*names: str) -> str:
    """The address of a file below the page's folder, by the names of its folders and of the
    file."""
    return "/".join(quote(name, safe="", errors="replace") for name in names if name)


def page(title: str, style: str, script: str, data: object, *content: object) -> str:
    """A whole page. style, script: of ours, which are not escaped.  data: what the script reads as
    JSON from the element “data”."""
    # `file:` beside 'self': Firefox takes no two files for the same site
    policy = (
        f"default-src 'none'; img-src 'self' file:; media-src 'self' file:; "
        f"style-src {source_of(style)}; script-src {source_of(script)}; base-uri 'none'; "
        f"form-action 'none'"
    )
    head = [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width"),
        element("title", title),
        Html(f"<style>{style}</style>"),
    ]
    # as ASCII, and nothing in it can end the element
    text = Html(json.dumps(data).replace("<", "\\u003c"))
    scripts = [
        element("script", text, type="application/json", id="data"),
        Html(f"<script>{script}</script>"),
    ]
    body = element("body", *content, *scripts)
    return f"<!doctype html>\n{element('html', element('head', *head), body, lang='en')}\n"


def source_of(text: str) -> str:
    """The name of an inline style or script in a policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _escape(value: object) -> str:
    """Text as HTML. Invalid text, as a hostile JSON file may hold, becomes “?”; control characters
    are written out."""
    return (
        value
        if isinstance(value, Html)
        else escape(str(value).encode("utf-8", "replace").decode().translate(VISIBLE))
    )
