# SPDX-License-Identifier: GPL-3.0-or-later
"""Install, repair and remove the engine's own environment, cancel an installation, check the engine."""

import os

import bpy

from ..scene.engine import connection, install
from ..scene.host.jobs import Step
from ..scene.takes import generation
from ..thunder_core.errors import ThunderError
from .slices import nothing_runs, SlicedWork

_LABELS = {
    "ABSENT": "Install Engine",
    "UNFINISHED": "Resume Installation",
    "BROKEN": "Repair Engine",
    "OUTDATED": "Update Engine",
    "READY": "Repair Engine",
}


def label(kind: str) -> str:
    """The button's label for a state of the environment (installing.State)."""
    return _LABELS[kind]


def wheels_folder() -> str:
    """The folder of wheels that the preferences name, "" for none."""
    chosen = connection.preferences()
    return bpy.path.abspath(chosen.wheels) if chosen and chosen.wheels else ""


def may_install(operator) -> bool:
    """Whether packages can be installed now; if not, the operator's button says why."""
    if install.folder() is None:
        operator.poll_message_set("Thunder is not installed as an extension, so there is no folder for the engine")
        return False
    if install.installing.running is not None:
        operator.poll_message_set("The engine is being installed")
        return False
    if not nothing_runs(operator):
        return False
    if not install.may_download() and not os.path.isdir(wheels_folder()):
        operator.poll_message_set("Turn on Allow Online Access in the System preferences, or choose a folder of wheels")
        return False
    return True


def may_add_extra(operator) -> bool:
    """Whether packages can be added to the engine now; if not, the operator's button says why."""
    if not may_install(operator):
        return False
    if install.state().kind != "READY":
        operator.poll_message_set("Install the engine first")
        return False
    return True


def add_extra(operator, lock) -> set[str]:
    """Add the packages of a lock to the engine; returns the operator's result."""
    connection.stop()  # a running engine would hold its files
    wheels = wheels_folder()
    return wait_in_background(operator, install.begin(wheels or None, install.may_download() and not wheels, extra=lock))


def wait_in_background(operator, begun) -> set[str]:
    """Without a window, wait for the end of an installation; returns the operator's result."""
    if bpy.app.background:
        begun.wait()
        install.settle()
        if install.installing.error:
            operator.report({"ERROR"}, install.installing.error)
            return {"CANCELLED"}
    return {"FINISHED"}


class THUNDER_OT_install_engine(bpy.types.Operator):
    """Install the engine into its own environment. Blender and other add-ons are not changed"""

    bl_idname = "thunder.install_engine"
    bl_label = "Install Engine"
    bl_options = {"INTERNAL"}

    card: bpy.props.BoolProperty(
        name="For Graphics Cards", options={"HIDDEN", "SKIP_SAVE"}, description="With torch, which computes on graphics cards"
    )

    @classmethod
    def poll(cls, context):
        return may_install(cls)

    @classmethod
    def description(cls, context, properties):
        if properties.card:
            return (
                "Install torch too: takes on an NVIDIA graphics card, Lip-Sync Pull, and the other engines. "
                "Its size and its licence are shown first"
            )
        if install.state().kind == "READY":
            return "Check the engine's packages and reinstall missing or damaged ones"
        return cls.__doc__

    def invoke(self, context, event):
        kind = install.state().kind
        if kind == "READY" and not self.card:
            return self.execute(context)
        source = "Reads the folder of wheels" if wheels_folder() else install.download(self.card).capitalize()
        licence = f" {CARD_LICENCE}" if self.card else ""
        return context.window_manager.invoke_confirm(
            self,
            event,
            title="Engine for Graphics Cards" if self.card else label(kind),
            confirm_text="Install",
            message=f"{source}, {install.size(self.card)}.{licence} You can keep working, and cancel at any time",
        )

    def execute(self, context):
        connection.stop()  # a running engine would hold its files
        wheels = wheels_folder()
        return wait_in_background(self, install.begin(wheels or None, install.may_download() and not wheels, self.card))


CARD_LICENCE = "PyTorch is free software (BSD); NVIDIA's libraries, which come with it on Linux, have NVIDIA's own licence."
FLAME_LICENCE = (
    "smplx is the Max Planck Society's own program for FLAME and related models.",
    "Its licence allows non-commercial scientific research, education and art only:",
    "no commercial use of any kind, and no training of networks for commercial use.",
    "The FLAME file that you have comes under a licence of its own.",
    "Thunder does not need smplx: “Check with smplx” uses it, and training with --flame.",
    "With “Accept and Install” you agree to the licence of smplx.",
)


class THUNDER_OT_install_flame_extra(bpy.types.Operator):
    """Add smplx to the engine, to check heads from FLAME files. Its licence allows non-commercial research only and is shown first"""

    bl_idname = "thunder.install_flame_extra"
    bl_label = "Install FLAME Extra…"
    bl_options = {"INTERNAL"}

    accepted: bpy.props.BoolProperty(options={"HIDDEN", "SKIP_SAVE"}, description="The licence of smplx is accepted")

    @classmethod
    def poll(cls, context):
        return may_add_extra(cls)

    def invoke(self, context, event):
        self.accepted = True
        return context.window_manager.invoke_props_dialog(self, width=480, title="Licence of smplx", confirm_text="Accept and Install")

    def draw(self, context):
        column = self.layout.column(align=True)
        for line in FLAME_LICENCE:
            column.label(text=line)

    def execute(self, context):
        if not self.accepted:
            self.report({"ERROR"}, "smplx is for non-commercial research only: accept its licence (accepted=True) to install it")
            return {"CANCELLED"}
        return add_extra(self, install.FLAME_LOCK)


class THUNDER_OT_install_waveform_extra(bpy.types.Operator):
    """Add transformers to the engine, for weights that were trained with a Wav2Vec2, HuBERT or WavLM network (0.2 GB)"""

    bl_idname = "thunder.install_waveform_extra"
    bl_label = "Install Waveform Extra"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context):
        return may_add_extra(cls)

    def execute(self, context):
        return add_extra(self, install.WAVEFORM_LOCK)


class THUNDER_OT_stop_installation(bpy.types.Operator):
    """Cancel the installation. Downloads are kept"""

    bl_idname = "thunder.stop_installation"
    bl_label = "Cancel"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context):
        if install.installing.running is None:
            cls.poll_message_set("The engine is not being installed now")
            return False
        return True

    def execute(self, context):
        install.installing.running.stop()
        return {"FINISHED"}


class THUNDER_OT_remove_engine(bpy.types.Operator):
    """Delete the engine's environment. Heads, takes and settings are kept"""

    bl_idname = "thunder.remove_engine"
    bl_label = "Remove Engine"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context):
        if install.installing.running is not None or install.state().kind == "ABSENT":
            cls.poll_message_set("This add-on has no engine to remove")
            return False
        return True

    def invoke(self, context, event):
        return context.window_manager.invoke_confirm(
            self,
            event,
            title="Remove Engine",
            confirm_text="Remove",
            message="Frees its disk space. Heads, takes and settings are kept",
        )

    def execute(self, context):
        connection.stop()
        try:
            install.remove()
        except ThunderError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        except OSError as error:
            self.report({"ERROR"}, f"The engine cannot be removed ({error.strerror}): close the programs that use it and try again")
            return {"CANCELLED"}
        return {"FINISHED"}


class THUNDER_OT_check_engine(SlicedWork, bpy.types.Operator):
    """Start the engine and show its device and versions"""

    bl_idname = "thunder.check_engine"
    bl_label = "Check Engine"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context):
        if not super().poll(context):
            return False
        if install.installing.running is not None:
            cls.poll_message_set("The engine is being installed")
            return False
        there, text = connection.current_python()
        if not there:
            cls.poll_message_set(text)
        return there

    def begin(self, context):
        return "Checking the engine", self.ask()

    def ask(self):
        answer = yield from generation.ask(connection.client(), "hello", (0.1, 1.0), "Starting engine")
        connection.tell(answer)
        yield Step(1.0, "Engine is running")


CLASSES = (
    THUNDER_OT_install_engine,
    THUNDER_OT_install_flame_extra,
    THUNDER_OT_install_waveform_extra,
    THUNDER_OT_stop_installation,
    THUNDER_OT_remove_engine,
    THUNDER_OT_check_engine,
)
_register, unregister = bpy.utils.register_classes_factory(CLASSES)


def register():
    _register()
    install.sweep()
