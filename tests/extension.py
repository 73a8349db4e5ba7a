# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets tests import the enabled extension as `thunder`, whatever Blender calls it: `from
thunder.scene.heads import head`."""

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec

NAME = "bl_ext.user_default.thunder"
ALIAS = "thunder"


class _Alias(MetaPathFinder, Loader):
    """Gives the extension's own modules, the very same objects, under the short name."""

    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name == ALIAS or name.startswith(ALIAS + ".") else None

    def create_module(self, spec):
        module = importlib.import_module(NAME + spec.name[len(ALIAS) :])
        self.own = module.__spec__
        return module

    def exec_module(self, module):
        # the import has set the alias's: the module has run already, under its own name
        module.__spec__ = self.own


def install_alias() -> None:
    """Call it once, when the extension is enabled."""
    if not any(isinstance(finder, _Alias) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Alias())
