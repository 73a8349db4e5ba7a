# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of HTML in which no text becomes markup: whatever goes into an element is escaped, unless
`element` made it.

A page carries a policy by which the browser runs no script, loads nothing, and accepts no style but
the page's.
"""

import base64
import hashlib
from html import escape
from urllib.parse import quote

from .files import VISIBLE

_EMPTY = {"img", "meta"}  # elements without content or end


class Html(str):
    """HTML that `element` made."""


def element(kind: str, *content: object, **attributes: object) -> Html:
    """An element of HTML. content: its parts in order.  attributes: by name, `_` for “-” and at the
    end of a word of Python; addresses are made by `link` or `jpeg`."""
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


def jpeg(data: bytes) -> str:
    """A picture as an address that contains it."""
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def page(title: str, style: str, *content: object, refresh: int = 0) -> str:
    """A whole page. style: CSS of ours, which is not escaped.  refresh: seconds after which it is
    read again, 0 for never."""
    policy = (
        f"default-src 'none'; img-src data:; style-src {source_of(style)}; base-uri 'none'; "
        f"form-action 'none'"
    )
    head = [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width"),
        *([element("meta", http_equiv="refresh", content=refresh)] if refresh else []),
        element("title", title),
        Html(f"<style>{style}</style>"),
    ]
    return (
        f"<!doctype "
        f"html>\n{element('html', element('head', *head), element('body', *content), lang='en')}\n"
    )


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
