# SPDX-License-Identifier: GPL-3.0-or-later
"""Online Manual: every operator and property of ours has a section of a guide, which is there, in the
pages of a package and in a checkout."""

import re
import webbrowser
from pathlib import Path
from urllib.parse import unquote, urlparse

import bpy
import pytest
import thunder
from bl_operators.wm import WM_OT_doc_view_manual
from thunder.panels import manual
from thunder.scene.host.jobs import classes_of

pytestmark = pytest.mark.one_blender

LARGEST = 2_000_000  # bytes of all pages and pictures
# what the panels show of them
ON_BLENDERS_TYPES = ["bpy.types.object.thunder_emotion", "bpy.types.key.thunder_emotion"]


@pytest.fixture(scope="module")
def pages(packaging, tmp_path_factory):
    """The pages as they are in a package."""
    folder = tmp_path_factory.mktemp("package") / "guide"
    packaging.make_guides(folder)
    return folder


def described():
    """Blender's names, in the manual, of every operator of ours and of every property of our
    groups."""
    names = list(ON_BLENDERS_TYPES)
    for cls in (each for module in thunder._modules() for each in classes_of(module)):
        if issubclass(cls, bpy.types.Operator):
            # its properties too: Blender asks for the operator
            names.append(f"bpy.ops.{cls.bl_idname}")
        elif issubclass(cls, (bpy.types.PropertyGroup, bpy.types.AddonPreferences)):
            own = {
                name
                for each in cls.__mro__
                for name in vars(each).get("__annotations__", {})
                if name in cls.bl_rna.properties
            }
            names += [f"bpy.types.{cls.__name__}.{name}".lower() for name in sorted(own)]
    return names


def file_of(url):
    assert url.startswith("file:///")
    return Path(unquote(urlparse(url).path))


def test_everything_has_a_page_in_a_package(blender, pages, monkeypatch):
    monkeypatch.setattr(manual, "PAGES", pages)
    names = described()
    assert len(names) > 200
    found = {name: WM_OT_doc_view_manual._lookup_rna_url(name, verbose=False) for name in names}
    assert [
        name for name, url in found.items() if url is None or not url.startswith(pages.as_uri())
    ] == []
    for url in set(found.values()):
        text = file_of(url).read_text(encoding="utf-8")
        if leads := re.search(r'content="0; url=([^"#]+)#([^"]+)"', text):
            assert f'id="{leads[2]}"' in (pages / leads[1]).read_text(encoding="utf-8"), url
        else:
            assert "<h1" in text, url


@pytest.mark.parametrize(
    "doc_id, page",
    [  # what a right-click on a button asks for
        ("thunder.generate", "takes.md"),
        ("THUNDER_OT_add_head.person", "heads.md"),
        ("ThunderCommit.error", "commit.md"),
        ("ThunderScene.source", "scenes.md"),
    ],
)
def test_online_manual_opens_it(blender, monkeypatch, doc_id, page):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    assert blender.ops.wm.doc_view_manual(doc_id=doc_id) == {"FINISHED"}
    assert [file_of(url).name for url in opened] == [page]


def test_no_address_of_a_page_leads_nowhere(pages):
    assert sum(path.stat().st_size for path in pages.iterdir()) < LARGEST
    for page in pages.glob("*.html"):
        for found in re.findall(r'(?:href|src)="([^"]*)"', page.read_text(encoding="utf-8")):
            if "://" in found:
                continue
            name, _, anchor = found.partition("#")
            target = pages / name if name else page
            assert target.is_file(), f"{page.name}: {found}"
            assert not anchor or f'id="{anchor}"' in target.read_text(encoding="utf-8"), (
                f"{page.name}: {found}"
            )
