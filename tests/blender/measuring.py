# SPDX-License-Identifier: GPL-3.0-or-later
"""Panels that are laid out without a window as Blender does it, in a sidebar of the default width:
which words would be cut off."""

from types import SimpleNamespace

import blf
from drawing import Context, Shown

REGION = 292  # pixels of the sidebar in Blender's default layout, at interface scale 1
PANEL = 236  # of what is in a panel
LIST = 200  # of a row of a list with a scroll bar
UNIT = 20  # of an icon button
TEXT = 10 * UNIT  # of a button with words before a row shares its width out
SUB_PANEL = 12  # of the margins of a panel in a panel
# beside words: edges, an icon, the arrow of a menu
EDGE, ICON, ARROW = 6, 20, 14
ROWS, COLUMNS = ("row", "split", "grid_flow"), ("column", "box", "column_flow")
MENUS = ("menu", "popover", "operator_menu_enum")


def wide(text):
    """Width of a text in the interface's font, pixels."""
    blf.size(0, 11.0)
    return blf.dimensions(0, text)[0]


class Leaf(SimpleNamespace):
    """Something drawn. words: which it shows.  needs: pixels that these need.  natural: before its
    row shares its width out."""


class Measured:
    """A layout that keeps what is drawn in it; `cut(width)` lists the words that do not fit."""

    def __init__(self, kind="column", **how):
        self.__dict__.update(kind=kind, how=how, inside=[], set={})

    def __setattr__(self, name, value):
        self.set[name] = value

    def __getattr__(self, kind):
        return lambda *given, **how: self._draw(kind, given, how)

    def _add(self, kind, **how):
        self.inside.append(Measured(kind, **how))
        return self.inside[-1]

    def _draw(self, kind, given, how):
        if kind in ROWS + COLUMNS:
            return self._add(kind, **how)
        if kind == "panel":
            header, body = self._add("row"), self._add("panel")
            return header, body
        if kind in ("separator", "template_list"):
            return None
        if kind == "template_icon":
            self.inside.append(Leaf(words="", needs=0, natural=how["scale"] * UNIT))
            return None
        if kind == "progress":
            self.inside.append(Leaf(words="", needs=0, natural=TEXT))
            return None
        for words, arrow in self._words(kind, given, how):
            has_icon = bool(how.get("icon_value")) or how.get("icon", "NONE") != "NONE"
            needs = wide(words) + EDGE + ICON * has_icon + arrow * bool(words) if words else 0
            if kind == "prop" and how.get("slider"):
                needs += wide(" 0.00")
            natural = TEXT if words or kind == "prop" and not has_icon else UNIT
            self.inside.append(Leaf(words=words, needs=needs, natural=natural))
        return SimpleNamespace() if kind.startswith("operator") else None

    def _words(self, kind, given, how):
        """(words, width of its arrow) of each button that is drawn."""
        text = how.get("text")
        if kind in ("prop", "prop_enum", "props_enum", "prop_search"):
            yield from self._words_of_property(given[0], given[1], text, how, given[2:])
            return
        if text is None:
            text = name_of(kind, given[0]) if given else ""
        yield text, ARROW if kind in MENUS and text else 0

    def _words_of_property(self, data, name, text, how, value):
        prop = data.bl_rna.properties.get(name) if not name.startswith("[") else None
        if prop is None:
            yield text or "", 0
        elif prop.type == "ENUM":
            items = [item.name for item in prop.enum_items] or [""]
            if value:
                yield prop.enum_items[value[0]].name, 0
            elif how.get("expand"):
                yield from ((item, 0) for item in items)
            else:
                longest = max(items, key=wide)
                yield f"{prop.name if text is None else text} {longest}".strip(), ARROW
        elif prop.type in ("INT", "FLOAT"):
            yield f"{prop.name if text is None else text} 000", 0
        elif prop.type == "BOOLEAN":
            yield prop.name if text is None else text, 0
        else:  # the animator's own words
            yield "", 0

    @property
    def natural(self):
        if self.set.get("ui_units_x"):
            return self.set["ui_units_x"] * UNIT
        sizes = [each.natural * self.set.get("scale_x", 1.0) for each in self.inside]
        whole = sum(sizes) if self.kind in ROWS else max(sizes, default=0)
        if self.set.get("alignment") in ("LEFT", "RIGHT"):
            needs = [getattr(each, "needs", each.natural) for each in self.inside]
            return min(whole, max(sum(needs), UNIT))
        return whole

    def widths(self, width):
        """Pixels that each part gets of the layout's."""
        if self.kind == "split":
            factor = self.how.get("factor", 0) or 1 / max(1, len(self.inside))
            rest = max(1, len(self.inside) - 1)
            return [width * factor, *[width * (1 - factor) / rest] * rest][: len(self.inside)]
        if self.kind == "grid_flow":
            return [width / self.how.get("columns", 1)] * len(self.inside)
        if self.kind != "row":
            return [width - SUB_PANEL * (self.kind == "panel")] * len(self.inside)
        fixed = sum(each.natural for each in self.inside if each.natural <= 2 * UNIT)
        free = sum(each.natural for each in self.inside if each.natural > 2 * UNIT)
        share = (width - fixed) / free if free else 1.0
        return [
            each.natural if each.natural <= 2 * UNIT else each.natural * share
            for each in self.inside
        ]

    def cut(self, width):
        """(words, pixels that they need, that they get) of all that do not fit."""
        found = []
        for each, given in zip(self.inside, self.widths(width)):
            if isinstance(each, Measured):
                found += each.cut(given)
            elif each.needs > given + 1:
                found.append((each.words, round(each.needs), round(given)))
        return found


def name_of(kind, name):
    """The words of an operator's, a menu's or a popover's button."""
    import bpy

    if kind in ("menu", "popover"):
        return getattr(bpy.types, name).bl_label
    module, _, what = name.partition(".")
    return getattr(getattr(bpy.ops, module), what).get_rna_type().name


class Sidebar(Context):
    """Blender's context in the default sidebar of a window of so many pixels. address: other than
    that of a sidebar in which nothing was drawn yet."""

    def __init__(self, context, height, address=0):
        super().__init__(context, REGION, window_manager=context.window_manager)
        self.region.height, self.region.as_pointer = height, lambda: address


def cut(panel, context):
    """The words of a panel that would be cut off."""
    drawn = Shown(panel, Measured())
    for draw in ("draw_header_preset", "draw"):
        if hasattr(panel, draw):
            getattr(drawn, draw)(context)
    return drawn.layout.cut(PANEL if panel.bl_region_type == "UI" else panel.bl_ui_units_x * UNIT)
