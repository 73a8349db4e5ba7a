# SPDX-License-Identifier: GPL-3.0-or-later
"""Panels that are drawn without a window: a layout that notes what is drawn on it, and the context
of a sidebar."""

from types import FunctionType, MethodType, SimpleNamespace

LAYOUTS = ("row", "column", "box", "split", "grid_flow", "column_flow", "menu_pie")


class Layout:
    """Notes what is drawn on it and on layouts inside: `notes` holds (kind, words, options), words
    as (…) of the texts that were given, and `greyed` the texts of those that are inactive, and the
    names of lists."""

    def __init__(self, notes=None, greyed=None, active=True):
        self.__dict__.update(notes=[] if notes is None else notes, active=active)
        self.__dict__["greyed"] = [] if greyed is None else greyed

    def __getattr__(self, kind):
        return lambda *given, **how: self._draw(kind, given, how)

    def __setattr__(self, name, value):
        """How it is aligned, scaled and enabled, of which only the last is noted."""
        self.__dict__["active"] = self.active and (value or name != "active")

    def _inside(self):
        return Layout(self.notes, self.greyed, self.active)

    def _draw(self, kind, given, how):
        if kind.startswith("template") and not self.active:
            self.greyed += [each for each in given[:1] if isinstance(each, str)]
        if kind in LAYOUTS or kind.startswith("template"):
            return self._inside()
        if kind in ("panel", "panel_prop"):
            return self._inside(), self._inside()
        self.notes.append((kind, tuple(each for each in given if isinstance(each, str)), how))
        if kind == "operator":
            how["set"] = SimpleNamespace()
            return how["set"]
        if not self.active and how.get("text"):
            self.greyed.append(how["text"])
        return self._inside()

    def of(self, kind):
        """The first words of what was drawn of a kind, or its text."""
        return [
            words[0] if words else how.get("text", "")
            for drawn, words, how in self.notes
            if drawn == kind
        ]

    def texts(self, kind="label"):
        return [how["text"] for drawn, _, how in self.notes if drawn == kind and how.get("text")]


class Context:
    """Blender's context in a sidebar of this width, pixels."""

    def __init__(self, context, width=300, **more):
        self.__dict__.update(more)
        self.context, self.region = context, SimpleNamespace(width=width, height=1000)
        self.preferences = SimpleNamespace(
            system=SimpleNamespace(ui_scale=1.0),
            addons=context.preferences.addons,
            ui_styles=context.preferences.ui_styles,
        )

    def __getattr__(self, name):
        return getattr(self.context, name)


class Shown:
    """A panel, menu or operator that is drawn on a layout."""

    def __init__(self, cls, layout=None):
        self.cls, self.layout = cls, layout or Layout()

    def __getattr__(self, name):
        found = getattr(self.cls, name)
        return MethodType(found, self) if isinstance(found, FunctionType) else found


def draw(cls, context, **how):
    """Draw a panel in a sidebar; its layout."""
    shown = Shown(cls)
    cls.draw(shown, Context(context, **how))
    return shown.layout
