# SPDX-License-Identifier: GPL-3.0-or-later
"""Install, repair and remove the engine's environment, cancel an installation, check the
engine."""

from __future__ import annotations

import bpy

from ..scene.engine import connection, install, recogniser
from ..scene.host.jobs import Step
from ..scene.host.language import translated
from ..scene.host.prop import BoolProperty
from ..thunder_core import installer
from ..thunder_core.client import Client
from ..thunder_core.errors import attempt, BadRequest, NoEngine
from ..thunder_core.translation import wrap
from ..thunder_core.whisper import folder_of_name
from .base import InstantWork, Obstacles, SlicedWork, why_busy

# the button's labels, by the state of the environment (installing.State)
LABELS = {
    "ABSENT": "Install Engine",
    "UNFINISHED": "Resume Installation",
    "BROKEN": "Repair Engine",
    "OUTDATED": "Update Engine",
    "READY": "Repair Engine",
}


# the same for what is installed beside it; where it is absent, as its operator is called
BESIDE_LABELS = {"UNFINISHED": "Resume Installation", "BROKEN": "Repair", "OUTDATED": "Update"}
DOWNLOADING = "Downloading a model"  # the job's title
LETTERS = 72  # of a line of a dialog, which Blender does not wrap: the preferences show 90


def confirm(
    operator: bpy.types.Operator,
    context: bpy.types.Context,
    event: bpy.types.Event,
    title: str,
    button: str,
    message: str,
):
    """Ask before an operator runs, in a dialog that fits into the window of the preferences."""
    message = "\n".join(wrap(translated(message), LETTERS))
    title, button = translated(title), translated(button)
    return context.window_manager.invoke_confirm(
        operator, event, title=title, message=message, confirm_text=button
    )


FACES_LICENCE = "MediaPipe and OpenCV are free software (Apache-2.0)."
WORDS_LICENCE = (
    "faster-whisper and CTranslate2 are free software (MIT). The Whisper model comes from you: "
    "OpenAI's are free (MIT)."
)


KANJI_LICENCE = "pykakasi and its dictionary are free software (GPL-3), as Thunder is."


def _why_installing(context: bpy.types.Context) -> str:
    busy = "Something is being installed or removed: wait for it, or cancel it in the preferences"
    return busy if install.is_busy() else ""


def _why_offline(context: bpy.types.Context) -> str:
    return "" if install.may_download() else f"{install.how_to_go_online()} first"


def _confirm_installing(
    operator: bpy.types.Operator, context: bpy.types.Context, event: bpy.types.Event, title: str,
    needs: installer.Size, licence: str,
):  # fmt: skip
    """Ask before an operator installs, and say how much that is and under which licence."""
    source = f"A{install.download(needs)[1:]}"  # as the start of a sentence
    return confirm(
        operator, context, event, title, "Install",
        f"{source}, {install.size(needs)}.{licence} You can keep working, and cancel at any time",
    )  # fmt: skip


class _Installs(InstantWork):
    """An operator that installs packages."""

    bl_options = {"INTERNAL"}
    obstacles: Obstacles = (
        lambda _: (
            ""
            if install.folder()
            else "Thunder is not installed as an extension, so there is no folder for the engine"
        ),
        _why_installing,
        why_busy,
        _why_offline,
    )

    component: install.Component | None = None

    def begin(self) -> install.Installation:
        """Begin to install."""
        return install.begin(component=self.component)

    def act(self, context: bpy.types.Context) -> None:
        connection.stop()  # a running engine would hold its files
        begun = self.begin()
        if bpy.app.background:  # nobody could see how it goes on
            begun.wait()
            install.settle()
            if install.installing.error:
                raise NoEngine(install.installing.error)


class THUNDER_OT_install_engine(_Installs, bpy.types.Operator):
    """Install the engine into its own environment, or reinstall what is missing or damaged. Blender
    and other add-ons are not changed"""

    card: bool = BoolProperty(
        name="For Graphics Cards",
        options={"HIDDEN", "SKIP_SAVE"},
        description="With torch, which computes on graphics cards",
    )

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties):
        if properties.card:
            return (
                "Install torch too: takes on an NVIDIA graphics card, and the other engines. Its "
                "size and its licence are shown first"
            )
        return cls.__doc__

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event):
        kind = install.state().kind
        if kind == "READY" and not self.card:
            return self.execute(context)
        title, needs, licence = (
            ("Engine for Graphics Cards", installer.CARD, f" {CARD_LICENCE}")
            if self.card
            else (LABELS[kind], installer.PROCESSOR, "")
        )
        return _confirm_installing(self, context, event, title, needs, licence)

    def begin(self):
        return install.begin(self.card)


CARD_LICENCE = (
    "PyTorch is free software (BSD); NVIDIA's libraries, which come with it on Linux, "
    "have NVIDIA's own licence."
)


class _InstallsComponent(_Installs):
    """An operator that installs an environment beside the engine's. licence: of what is in it."""

    component: install.Component
    licence: str

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event):
        title, needs = self.bl_label.removesuffix("…"), self.component.needs
        return _confirm_installing(self, context, event, title, needs, f" {self.licence}")


class _Removes(InstantWork):
    """An operator that deletes an environment: the engine's, or one beside it. kept: what is not
    deleted."""

    component: install.Component | None = None
    bl_options = {"INTERNAL"}
    obstacles: Obstacles = (_why_installing, why_busy)
    kept: str

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event):
        return confirm(
            self, context, event, self.bl_label, "Remove", f"Frees its disk space. {self.kept}"
        )

    def act(self, context: bpy.types.Context) -> None:
        folder = (self.component or install).folder()
        if (self.component or install).state().kind == "ABSENT":
            raise BadRequest("Nothing to remove: it is not installed")
        connection.stop()
        try:
            install.remove(folder)
        except OSError as error:
            raise BadRequest(
                f"It cannot be removed ({error.strerror}): close the programs that use it and try "
                f"again"
            ) from error
        if bpy.app.background and install.installing.removal is not None:
            install.installing.removal.join()  # nobody could see when it ends


class THUNDER_OT_install_recogniser(_InstallsComponent, bpy.types.Operator):
    """Install what recognizes the words of voices into an environment of its own. Its size and its
    licence are shown first; it comes without a model"""

    bl_label = "Install Word Recognition…"
    component, licence = install.RECOGNISER, WORDS_LICENCE


class THUNDER_OT_remove_recogniser(_Removes, bpy.types.Operator):
    """Delete what recognizes words, with the models that were downloaded. Transcripts are kept"""

    bl_label = "Remove Word Recognition"
    component = install.RECOGNISER
    kept = "Downloaded models go too; transcripts are kept"


class THUNDER_OT_install_kanji(_InstallsComponent, bpy.types.Operator):
    """Install what reads the kanji of transcripts into an environment of its own. Its size and its
    licence are shown first"""

    bl_label = "Install Kanji Reading…"
    component, licence = install.KANJI, KANJI_LICENCE


class THUNDER_OT_remove_kanji(_Removes, bpy.types.Operator):
    """Delete what reads kanji. Transcripts are kept"""

    bl_label = "Remove Kanji Reading"
    component = install.KANJI
    kept = "Transcripts are kept"


class THUNDER_OT_install_tracker(_InstallsComponent, bpy.types.Operator):
    """Install what follows the faces of actors in videos into an environment of its own. Its size
    and its licence are shown first"""

    bl_label = "Follow Faces in Videos…"
    component, licence = install.TRACKER, FACES_LICENCE


class THUNDER_OT_remove_tracker(_Removes, bpy.types.Operator):
    """Delete what follows faces in videos. Takes are kept"""

    bl_label = "Remove the Following of Faces"
    component = install.TRACKER
    kept = "Takes are kept"


class THUNDER_OT_download_model(SlicedWork, bpy.types.Operator):
    """Download the Whisper model of this name from the Hugging Face hub. Its size and its licence
    are shown first"""

    bl_label = "Download Model…"
    bl_options = {"INTERNAL"}
    agreed: bool = BoolProperty(
        options={"HIDDEN", "SKIP_SAVE"}, description="Size and licence were shown"
    )
    obstacles: Obstacles = (
        _why_installing,
        lambda _: "" if recogniser.is_downloadable() else "Enter a model's name, such as base",
        _why_offline,
        lambda _: attempt(recogniser.python)[1],
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event):
        if self.agreed:
            return super().invoke(context, event)
        return confirm(
            self, context, event, "Download Model", "Download",
            f"Downloads “{recogniser.model()}” from the Hugging Face hub (base has 0.15 GB, small "
            f"0.5, large 3). OpenAI's models are free (MIT); the licence of another is on its page "
            f"there. You can keep working, and cancel at any time",
        )  # fmt: skip

    def execute(self, context: bpy.types.Context):
        if bpy.app.background or context.window is None:
            return super().execute(context)
        # after the dialog, which cannot become modal itself
        bpy.ops.thunder.download_model("INVOKE_DEFAULT", agreed=True)  # type: ignore[attr-defined]
        return {"FINISHED"}

    def begin(self, context: bpy.types.Context):
        return DOWNLOADING, self.ask(recogniser.model())

    def ask(self, name: str):
        """Steps that download it, by a process of its own that may use the network."""
        place = folder_of_name(recogniser.folder() or "", name)
        with Client(recogniser.python(), verbs="recogniser") as client:
            yield from connection.ask(
                client, "download", (0.0, 1.0), "Downloading", name=name, folder=place
            )

    def outcome(self, value: object):
        return "The model is here: words can be recognized"


class THUNDER_OT_stop_installation(InstantWork, bpy.types.Operator):
    """Cancel the installation. Downloads are kept"""

    bl_label = "Cancel"
    bl_options = {"INTERNAL"}
    obstacles: Obstacles = (
        lambda _: "Nothing is being installed" if install.installing.running is None else "",
    )

    def act(self, context: bpy.types.Context) -> None:
        if install.installing.running is not None:
            install.installing.running.stop()


class THUNDER_OT_remove_engine(_Removes, bpy.types.Operator):
    """Delete the engine's environment. Heads, takes and settings are kept"""

    bl_label = "Remove the Engine"
    kept = "Heads, takes and settings are kept"
    obstacles: Obstacles = (
        lambda _: "This add-on has no engine to remove" if install.state().kind == "ABSENT" else "",
    )


class THUNDER_OT_check_engine(SlicedWork, bpy.types.Operator):
    """Start the engine and show its device and versions"""

    bl_options = {"INTERNAL"}
    obstacles: Obstacles = (_why_installing, lambda _: connection.current_python()[1])

    def begin(self, context: bpy.types.Context):
        return "Checking the engine", self.ask()

    def ask(self):
        yield from connection.ask(connection.client(), "hello", (0.1, 1.0), "Starting engine")
        yield Step(1.0, "Engine is running")
