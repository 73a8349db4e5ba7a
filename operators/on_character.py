# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by the operators on an animator's own character: which one is used, and errors as one sentence."""

from ..scene.heads import mapping_table
from .one_sentence import OneSentence


class OnCharacter(OneSentence):
    """An operator whose `change(context, obj)` acts on the character chosen in the Thunder tab.

    What `change` returns is reported; an error of ours is one sentence, and nothing is changed.
    """

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if context.scene is None or (context.scene.thunder.head is None and context.object is None):
            cls.poll_message_set("No character is selected: choose its face or its armature")
            return False
        return True

    def meant(self, context):
        """The argument of `change`: the character's face, or the object that represents it."""
        return mapping_table.face(context.scene, context.object)

    def act(self, context):
        """Change the character; returns what to report."""
        return self.change(context, self.meant(context))
