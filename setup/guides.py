# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes pages of HTML of docs/guide, with small pictures, for Blender's Online Manual; runs with
what requirements/guides.txt lists.

guides.py FOLDER   writes PAGE.html of each guide, and PAGE.ANCHOR.html of each heading, which leads
there: what opens a local file for
                   Blender drops the anchor of its address on most systems

A link to what is no guide and no page of the web becomes plain text.
"""

import re
import sys
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from PIL import Image

DOCS = Path(__file__).resolve().parent.parent / "docs"
WIDTH, QUALITY = 900, 78  # widest picture, pixels, and how finely it is stored as WebP, 0 to 100
STYLE = """:root { color-scheme: light dark; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
nav { font-size: .9em; padding-bottom: 1rem; border-bottom: 1px solid #8886; }
nav a { margin-right: .9em; }
img { max-width: 100%; height: auto; border-radius: 4px; }
table { border-collapse: collapse; font-size: .92em; display: block; overflow-x: auto; }
td, th { border: 1px solid #8886; padding: .3em .6em; text-align: left; vertical-align: top; }
pre { background: #8882; padding: .8em; overflow-x: auto; border-radius: 4px; }
code { font-size: .9em; }"""


def page(title: str, *parts: str) -> str:
    """A whole page. parts: HTML."""
    head = (
        f'<meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>{title}</title>'
    )
    return (
        f"<!doctype html>\n<html "
        f'lang="en"><head>{head}<style>\n{STYLE}\n</style></head><body>\n{"".join(parts)}</body></html>\n'
    )


def of_page(address: str) -> str:
    """The address of a link's target on the made pages; "" for targets that are not packaged."""
    name, _, anchor = address.partition("#")
    if "://" in address or not name:
        return address
    there = (DOCS / "guide" / name).is_file() and name.endswith(".md") and "/" not in name
    return f"{name.removesuffix('.md')}.html{'#' * bool(anchor)}{anchor}" if there else ""


def adapt(tokens: list[Token], folder: Path) -> list[str]:
    """Give headings anchors, let links lead to made pages, and store the pictures in a folder;
    returns the anchors."""
    anchors = []
    for token, following in zip(tokens, [*tokens[1:], *tokens[-1:]]):
        if token.type == "heading_open":
            words = "".join(child.content for child in following.children or ())
            # as GitHub makes it
            anchors.append(re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-"))
            token.attrs["id"] = anchors[-1]
        elif token.type == "link_open" and (address := of_page(str(token.attrs["href"]))):
            token.attrs["href"] = address
        elif token.type == "link_open":
            del token.attrs["href"]
        elif token.type == "image":
            token.attrs["src"] = store(DOCS / "guide" / str(token.attrs["src"]), folder)
        anchors += adapt(token.children or [], folder)
    return anchors


def store(path: Path, folder: Path) -> str:
    """Store a picture in a folder, no wider than WIDTH; returns its address there."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((WIDTH, picture.height))
    picture.save(folder / f"{path.stem}.webp", quality=QUALITY, method=6)
    return f"{path.stem}.webp"


def make(folder: Path) -> None:
    """Write all pages and pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    listed = re.findall(
        r"^- \[(.+?)\]\(guide/(\w+)\.md\)", (DOCS / "README.md").read_text(encoding="utf-8"), re.M
    )
    links = "\n".join(f'<a href="{name}.html">{title}</a>' for title, name in listed)
    for title, name in listed:
        tokens = markdown.parse((DOCS / "guide" / f"{name}.md").read_text(encoding="utf-8"))
        for anchor in adapt(tokens, folder):
            there = f'<meta http-equiv="refresh" content="0; url={name}.html#{anchor}">'
            (folder / f"{name}.{anchor}.html").write_text(
                f"<!doctype html>{there}\n", encoding="utf-8"
            )
        content = markdown.renderer.render(tokens, markdown.options, {})
        (folder / f"{name}.html").write_text(
            page(f"{title} · Thunder", f"<nav>\n{links}\n</nav>\n", content), encoding="utf-8"
        )


if __name__ == "__main__":
    make(Path(sys.argv[1]))
