# SPDX-License-Identifier: GPL-3.0-or-later
"""Generate takes: several sampled performances of the voice, listed as they arrive and ranked; and
make them fit a voice that changed."""

from dataclasses import replace

import bpy

from ..scene.engine import connection
from ..scene.heads import head
from ..scene.host import jobs
from ..scene.takes import dialogue, generation, resync, take_list, transcript, word_places
from ..scene.takes.direction import asking
from ..scene.takes.provenance import is_sampled, role_of, Sampling, unused_seed
from ..scene.voice import fingerprint, strip
from ..thunder_core.errors import attempt
from ..thunder_core.types import LISTENS, SPEAKS
from .base import PartialResults, SlicedWork


class THUNDER_OT_generate(PartialResults, SlicedWork, bpy.types.Operator):
    """Generate takes of the voice, ranked by Lip-Sync"""

    bl_label = "Generate Takes"

    strip: bpy.props.StringProperty(
        name="Strip",
        options={"SKIP_SAVE"},
        description="Sound strip to make the voice first; empty for the chosen one",
    )

    @classmethod
    def description(cls, context, properties):
        if properties.strip:
            return "Generate takes of this strip on the head that speaks it, ranked by Lip-Sync"
        rig, no_head = attempt(head.find, context.scene, context.object)
        return (
            attempt(strip.find, context)[1]
            or no_head
            or attempt(head.check_animatable, rig)[1]
            or cls.__doc__
        )

    def begin(self, context):
        settings, client = context.scene.thunder, connection.start_client() if self.strip else None
        if self.strip:
            dialogue.choose_strip(context, self.strip)
        voice = strip.find(context)
        rig = head.find(context.scene, context.object)
        head.check_animatable(rig)
        client = client or connection.start_client()
        self.takes, self.asked, self.voice, self.warning = (
            [],
            settings.count,
            voice.name,
            strip.warning(voice),
        )
        self.strip_name, self.strip_scene = voice.strip, voice.scene
        sampling = replace(Sampling.of(settings), listening=settings.head_role == "LISTENS")
        sampling = asking.add_direction(sampling, rig.owner, voice)
        seed = unused_seed(context.scene, rig.mesh, voice, sampling)
        self.again = is_sampled(context.scene, rig.mesh, voice.name, seed, sampling)
        steps = generation.generate(
            client, voice, context.scene, rig, settings.count, seed, sampling, self.takes.append
        )
        return "Generating takes", word_places.find_after(steps, client, voice)

    def finish(self, context, takes):
        jobs.redraw(jobs.TIMELINES)
        best = takes[0]
        if (role := role_of(best.provenance)) != SPEAKS:
            many = f"{len(takes)} take{'' if len(takes) == 1 else 's'}"
            what = (
                f"Generated {many} of a listener"
                if role == LISTENS
                else f"Nobody speaks in “{self.voice}”: generated {many} of an idle face"
            )
            self.report({"INFO"}, what)
            return
        name = next(
            (
                f"{entry.name}, "
                for entry in context.scene.thunder.takes
                if (entry.seed, entry.score) == (best.seed, best.score)
            ),
            "",
        )
        what = "Generated a take" if self.asked == 1 else f"Best of {self.asked} takes"
        self.report({"INFO"}, f"{what}: {name}Lip-Sync {take_list.points(best.score)}")
        self.warn([self.warning])
        if best.provenance.get("unclear"):
            transcript.ensure(context.scene, self.voice)  # the panel has the field for it
        if self.again:
            self.report({"INFO"}, "These takes were there already: unlock the seed for new ones")
        if (
            self.strip_name
            and strip.by_name(bpy.data.scenes.get(self.strip_scene), self.strip_name) is None
        ):
            sentence = (
                f"The strip “{self.strip_name}” is gone: it was deleted, or its adding "
                f"undone, while takes arrived"
            )
            self.report({"WARNING"}, f"{sentence}. Choose its sound again")


_RESYNCED = {
    "MOVED": "moved",
    "CUT": "shortened",
    "RATE": "converted to the scene's frame rate",
    "CHANGED": "regenerated",
    "PIECE": "added for pieces of a cut strip",
}


class THUNDER_OT_resync(SlicedWork, bpy.types.Operator):
    """Update takes to match their voice: move or trim keys, and generate what is new. Edited takes
    are kept"""

    bl_label = "Re-sync"

    kinds = ()

    @classmethod
    def why_not(cls, context):
        if (busy := super().why_not(context)) or fingerprint.stale_takes(context.scene):
            return busy
        count = len(fingerprint.takes_without_voice(context.scene))
        return (
            f"The voice of {count} takes is gone, all others match theirs"
            if count
            else "All takes match their voice"
        )

    def begin(self, context):
        client = connection.start_client() if resync.needs_engine(context.scene) else None
        self.kinds = []
        return "Re-syncing takes", resync.resync(client, context.scene, self.kinds)

    def outcome(self, value):
        return f"Re-synced takes: {self.changed_so_far}"

    @property
    def changed_so_far(self) -> str:
        return ", ".join(
            f"{self.kinds.count(kind)} {done}"
            for kind, done in _RESYNCED.items()
            if kind in self.kinds
        )
