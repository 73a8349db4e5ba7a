# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a voice: find them in a text; the word at the current frame: go to it, loop, hear,
mark, move or retake it, use another take's mouth; the mouse over words."""

from __future__ import annotations

import textwrap
from typing import Any

import bpy
from bpy.app.handlers import persistent

from ..scene.animation import keying
from ..scene.engine import connection, recogniser
from ..scene.heads import head
from ..scene.host import jobs, playback
from ..scene.host.prop import EnumProperty, FloatProperty, IntProperty, StringProperty
from ..scene.properties.settings import ThunderTake
from ..scene.review import listening, word_track
from ..scene.takes import keep, mix, take_list, take_record, transcript, word_places
from ..scene.voice import strip
from ..thunder_core import subtitles
from ..thunder_core.direction import CLOSED
from ..thunder_core.errors import attempt, BadRequest
from ..thunder_core.face.moving.shaping import PARTS
from ..thunder_core.spoken import CLOSES
from ..thunder_core.timings import Times
from ..thunder_core.translation import plural
from .base import (
    FileWork,
    HasObstacles,
    InstantWork,
    NeedsShownTake,
    Obstacles,
    PartialResults,
    shown_take_and_rig,
    SlicedWork,
    why_no_audio,
)

PRE_ROLL, AFTER = 0.3, 0.2  # seconds played before and behind a looped word
AROUND = 0.12  # seconds of speech generated before and behind a word that is heard
READINGS = 8  # new takes of a word
FADE_SECONDS = 0.12  # from one take's mouth to another's and back
# What a wrong sound is corrected to, as an ARPABET phone; names as of `spoken.name_of`.
SOUNDS = (
    ("B", "M B P", "Lips close"),
    ("F", "F V", "Lower lip at the teeth"),
    ("UW", "OO", "Lips round"),
    ("OW", "OH", "Lips round and open"),
    ("IY", "EE", "Lips wide"),
    ("EH", "EH", "Half open"),
    ("AA", "AH", "Wide open"),
    ("W", "W", "Lips round, then open"),
    ("L", "L", "Tongue behind the teeth"),
    ("TH", "TH", "Tongue between the teeth"),
    ("S", "S", "Teeth together"),
    ("SH", "SH CH", "Teeth together, lips forward"),
    ("R", "R", "Lips a little forward"),
    ("K", "T D K", "Made behind the teeth"),
)  # fmt: skip
EDGE_PIXELS = 5  # distance from an edge of a word within which it is dragged


class OnWord(HasObstacles):
    """An operator on the word at the current frame, or on the one that is looped."""

    obstacles: Obstacles = (lambda context: attempt(word_places.line, context)[1],)


class THUNDER_OT_step_word(OnWord, InstantWork, bpy.types.Operator):
    """Go to the next or the previous word"""

    bl_label = "Next Word"
    bl_options = {"REGISTER", "UNDO_GROUPED"}
    bl_undo_group = "Frame Change"

    step: int = IntProperty(
        name="Words", default=1, description="How many words later, or earlier below 0"
    )

    def act(self, context: bpy.types.Context) -> None:
        line = word_places.line(context)
        go_to(context, line.beside(line.current(context.scene), self.step))


class THUNDER_OT_loop_word(OnWord, InstantWork, bpy.types.Operator):
    """Play the word again and again, with a little before it. Press again, or Esc, to stop"""

    def act(self, context: bpy.types.Context) -> None:
        stops = word_places.is_looped(context.scene)
        if stops:
            word_places.end_loop(context.scene)
        else:
            _loop(context, word_places.current(context))
        if context.screen is not None and context.screen.is_animation_playing == stops:
            bpy.ops.screen.animation_play()


def go_to(context: bpy.types.Context, place: word_places.WordPlace) -> None:
    """Make a word the current one, and loop it if another was looped."""
    if word_places.is_looped(context.scene):
        _loop(context, place)
    else:
        context.scene.frame_set(place.frames[0])


def _loop(context: bpy.types.Context, place: word_places.WordPlace) -> None:
    """Play only the frames around a word."""
    first, last = place.frames
    word_places.loop(
        context.scene, place, first - round(PRE_ROLL * place.fps), last + round(AFTER * place.fps)
    )
    context.scene.frame_set(context.scene.frame_preview_start)


def _end_loops() -> None:
    """Give the preview ranges back that looped words have replaced, unless they still play."""
    for scene in () if playback.is_on() else bpy.data.scenes:
        word_places.end_loop(scene)


# shortly after: Esc moves the playhead once it has stopped
_ending = jobs.Task(_end_loops, any_time=True, any_file=True)


@persistent
def _end_soon(*_: object) -> None:
    _ending.start(0.0)


class THUNDER_OT_hear_word(OnWord, SlicedWork, bpy.types.Operator):
    """Hear what the lips say on this word now, then the voice"""

    obstacles: Obstacles = (why_no_audio,)

    def begin(self, context: bpy.types.Context):
        self.place, voice = word_places.current(context), strip.find(context)
        rig = head.find(context.scene, context.object)
        first, last = self.place.around(AROUND)
        return "Listening", listening.listen(
            connection.start_client(),
            context.scene,
            rig,
            voice,
            max(first, int(voice.clock.start)),
            last,
        )

    def finish(self, context: bpy.types.Context, frames: tuple[int, int]) -> None:
        self.tell({"INFO"}, f"Generated speech for frames {frames[0]}–{frames[1]}")
        if not bpy.app.background and context.window is not None:
            self.warn([listening.play_both(context, self.place.start, self.place.end)])


class THUNDER_OT_mark_word(OnWord, InstantWork, bpy.types.Operator):
    """Mark the word for new takes, or remove the mark. The shown take follows if it follows the
    sliders"""

    kind: str = EnumProperty(
        name="Mark",
        items=[(kind, *transcript.LABELS[kind][:2]) for kind in transcript.WORD_KINDS],
        description="Mark to set on the word",
    )

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties):
        return (
            f"{transcript.LABELS[properties.kind][1]}, in the shown take if it follows the "
            f"sliders and in new takes. Press again to remove the mark"
        )

    def act(self, context: bpy.types.Context):
        place = word_places.current(context)
        is_marked = word_places.toggle(context, place, self.kind)
        jobs.redraw(jobs.TIMELINES)
        name = f"“{place.text}”" if place.text else "The place"
        return (
            f"{name} is marked: {transcript.LABELS[self.kind][0]}"
            if is_marked
            else f"{name} is not marked any more"
        )


class THUNDER_OT_correct_sound(OnWord, InstantWork, bpy.types.Operator):
    """Have lips make another sound here than the one that was recognized"""

    number: int = IntProperty(name="Number", min=0, description="Which sound of the word")
    sound: str = EnumProperty(name="Sound", items=SOUNDS, description="What the lips do")

    def act(self, context: bpy.types.Context) -> None:
        line = word_places.line(context)
        sounds = line.sounds(line.current(context.scene))
        word_places.set_sound(context, sounds[self.number][0], self.sound)
        jobs.redraw(jobs.TIMELINES)


class THUNDER_OT_clear_word(OnWord, InstantWork, bpy.types.Operator):
    """Remove all marks of the word, its corrected sounds and its new times"""

    bl_label = "Remove Marks"

    def act(self, context: bpy.types.Context):
        count = word_places.clear(context, word_places.current(context))
        jobs.redraw(jobs.TIMELINES)
        return plural(count, f"Removed {count} mark", f"Removed {count} marks")


class THUNDER_OT_move_word(OnWord, InstantWork, bpy.types.Operator):
    """Move the edges of the word: lips say it earlier or later than the voice"""

    start: float = FloatProperty(
        name="Start",
        step=100,
        description="Frames by which lips begin the word later, or earlier below 0",
    )
    end: float = FloatProperty(
        name="End",
        step=100,
        description="Frames by which lips end the word later, or earlier below 0",
    )

    def act(self, context: bpy.types.Context) -> None:
        place = word_places.current(context)
        word_places.move(
            context, place, place.start + self.start / place.fps, place.end + self.end / place.fps
        )
        jobs.redraw(jobs.TIMELINES)


class THUNDER_OT_retake(OnWord, NeedsShownTake, PartialResults, bpy.types.Operator):
    """Generate eight new readings of the word, or of its phrase from pause to pause, in the shown
    take. All else stays as it is"""

    bl_label = "Retake Word"

    what: str = EnumProperty(
        name="Part",
        description="What is sampled again",
        items=[
            ("WORD", "Word", "The mouth on this word"),
            ("PHRASE", "Phrase", "The whole face, from pause to pause"),
        ],
    )

    def begin(self, context: bpy.types.Context):
        line, is_word = word_places.line(context), self.what == "WORD"
        word = line.current(context.scene)
        place = word if is_word else line.phrase(word)
        client = connection.start_client()
        self.weights = take_record.weights_of(shown_take_and_rig(context)[0])
        closes = any(mark.kind == CLOSED for _, mark in word_places.marks(context, place))
        # lips need time to meet and to part again
        frames = place.around(CLOSES) if closes else place.frames
        free = frames, ("mouth",) if is_word else PARTS
        how = self.how(context, READINGS)
        return "Retaking", keep.resample(client, context, how, free, place.name)

    def outcome(self, takes: list[keying.TakeData]):
        return f"{len(takes)} new readings{take_list.other_weights_in_words(self.weights, takes)}"


class THUNDER_OT_use_mouth(OnWord, NeedsShownTake, SlicedWork, bpy.types.Operator):
    """Use this take's mouth on the word, in a new take. The shown take is not changed"""

    take: str = StringProperty(name="Take", description="Action of the take whose mouth is used")

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties):
        entry = take_list.entry_of(context.scene, bpy.data.actions.get(properties.take))
        name = f"the mouth of “{entry.name}”" if entry is not None else "this take's mouth"
        return f"Use {name} on the word, in a new take. The shown take is not changed"

    def begin(self, context: bpy.types.Context):
        lead, _ = shown_take_and_rig(context)
        action = bpy.data.actions.get(self.take)
        if action is None or take_list.entry_of(context.scene, action) is None:
            raise BadRequest("This take was deleted: choose another")
        place = word_places.current(context)
        (first, last), fade = place.frames, max(1, round(FADE_SECONDS * place.fps))
        half = (fade + 1) // 2  # one mouth fades into the other beside the word
        cuts = [mix.Cut(first - half, "mouth", action), mix.Cut(last + half, "mouth", lead.action)]
        return "Mixing takes", jobs.stage(
            mix.mix_parts(context.scene, dict.fromkeys(PARTS, lead), cuts, fade), "Mixing takes"
        )

    def outcome(self, entry: ThunderTake):
        return f"Created take “{entry.name}”"


class THUNDER_OT_click_word(HasObstacles, bpy.types.Operator):
    """Click a word on the track to loop it; drag one of its edges to move the lips"""

    bl_options = {"INTERNAL"}
    obstacles: Obstacles = (
        lambda context: (
            ""
            if context.area is not None
            and context.area.type in ("DOPESHEET_EDITOR", "SEQUENCE_EDITOR")
            else "There is no track of words in this editor"
        ),
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event):
        if context.region is None:
            return {"PASS_THROUGH"}
        frame, per_frame = word_track.frame_at(
            context.region, event.mouse_region_x, event.mouse_region_y
        )
        line, _ = attempt(word_places.line, context) if frame is not None else (None, "")
        if frame is None or line is None or not line.words:
            return {"PASS_THROUGH"}
        edges = (
            (abs(at - frame), place, side)
            for place in line.words
            for side, at in enumerate(_edges(place))
        )
        away, self.place, self.side = min(edges, key=lambda each: each[0])
        self.begun = event.mouse_region_x
        self.per_frame = per_frame
        self.may_drag = away * per_frame <= EDGE_PIXELS
        self.clicked = next(
            (place for place in line.words if _edges(place)[0] <= frame < _edges(place)[1]), None
        )
        if self.clicked is None and not self.may_drag:
            return {"PASS_THROUGH"}
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event):
        moved = event.mouse_region_x - self.begun
        if event.type in ("ESC", "RIGHTMOUSE"):
            return {"CANCELLED"}
        if event.type != "LEFTMOUSE" or event.value != "RELEASE":
            return {"RUNNING_MODAL"}
        if self.may_drag and abs(moved) > EDGE_PIXELS:
            go_to(context, self.place)
            bpy.ops.thunder.move_word(**{("start", "end")[self.side]: moved / self.per_frame})  # type: ignore[attr-defined]
            return {"FINISHED"}
        if self.clicked is None:
            return {"CANCELLED"}
        go_to(context, self.clicked)
        if not word_places.is_looped(context.scene):
            bpy.ops.thunder.loop_word()  # type: ignore[attr-defined]
        return {"FINISHED"}


def _edges(place: word_places.WordPlace) -> tuple[float, float]:
    """Scene frames at which a word begins and ends."""
    return place.origin + place.start * place.fps, place.origin + place.end * place.fps


register, unregister = jobs.registration(
    handlers=tuple(
        (name, _end_soon)
        for name in ("animation_playback_post", "load_post", "undo_post", "redo_post")
    ),
    keymap="View2D",
    keys=(("thunder.click_word", "LEFTMOUSE", {"value": "PRESS"}, {}),),
)


WIDTH, LETTERS = 640, 100  # width of the wide field, pixels, and letters per line


class FindsWords(SlicedWork):
    """An operator that finds the sounds of the current voice, and the words of what `text`
    gives."""

    obstacles: Obstacles = (lambda context: attempt(strip.find, context)[1],)

    note = ""  # on the text
    times: Times | None = None  # of its words, where a file tells them

    def text(self, context: bpy.types.Context, voice: strip.Voice) -> str | None:
        """The text to find; None: the transcript's. Raises BadRequest."""
        return None

    def begin(self, context: bpy.types.Context):
        voice = strip.find(context)
        text = self.text(context, voice)  # which also finds the times
        return "Finding words", word_places.find(connection.start_client(), voice, text, self.times)

    def finish(self, context: bpy.types.Context, found: Any) -> None:
        self.tell({"INFO"}, ". ".join(filter(None, (found.sentence, self.note))))
        self.warn([found.warning])


class THUNDER_OT_find_words(FindsWords, bpy.types.Operator):
    """Find the sounds of the voice and the words of its transcript, and show them over the
    timeline"""


class THUNDER_OT_recognise_words(SlicedWork, bpy.types.Operator):
    """Recognize what the voice says, as its transcript with the times of its words. A transcript
    that you typed or changed is never replaced"""

    bl_label = "Recognize Words"
    obstacles: Obstacles = (recogniser.why_not, lambda context: attempt(strip.find, context)[1])

    def begin(self, context: bpy.types.Context):
        voice, by = strip.find(context), recogniser.arguments()
        return "Recognizing words", word_places.recognise(connection.start_client(), voice, by)

    def finish(self, context: bpy.types.Context, found: Any) -> None:
        count = len(found.spoken.words)
        if count:
            in_them = found.languages
            words = plural(count, f"{count} word ({in_them})", f"{count} words ({in_them})")
            self.tell({"INFO"}, f"Recognized {words}: correct the transcript where it is wrong")
        else:
            self.tell({"INFO"}, "Recognized no words: type the transcript if somebody speaks")
        self.warn([found.left_out_in_words])


class THUNDER_OT_paste_transcript(FindsWords, bpy.types.Operator):
    """Take what the voice says from the clipboard, and find its words"""

    def text(self, context: bpy.types.Context, voice: strip.Voice):
        pasted = " ".join(context.window_manager.clipboard.replace("\0", " ").split())
        if not pasted:
            raise BadRequest("The clipboard holds no text: copy what the voice says first")
        return pasted


class THUNDER_OT_read_transcript(FileWork, FindsWords, bpy.types.Operator):
    """Read what the voice says from a text, a chat or a script (.txt, .md, .ssml), from subtitles
    (.srt, .vtt, .sbv, .ass), or from the times of words of Azure, Amazon Polly, ElevenLabs or
    Google (.json), and find its words"""

    filter_glob: str = StringProperty(
        default=";".join(f"*{ending}" for ending in subtitles.ENDINGS), options={"HIDDEN"}
    )

    def text(self, context: bpy.types.Context, voice: strip.Voice):
        text, self.note, self.times = subtitles.read_text(
            bpy.path.abspath(self.filepath),
            "choose another",
            transcript.part_of(context.scene, voice),
        )
        return text


class THUNDER_OT_edit_transcript(HasObstacles, bpy.types.Operator):
    """Edit what the chosen voice says in a wide field, with all of it below"""

    bl_label = "Transcript"
    bl_options = {"UNDO", "INTERNAL"}
    obstacles: Obstacles = (lambda context: attempt(strip.find, context)[1],)

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties):
        voice, _ = attempt(strip.find, context)
        whole = "" if voice is None else transcript.whole_of(context.scene, voice)
        return f"Words of “{whole}”, which this strip was cut off. {cls.__doc__}" if whole else ""

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event):
        voice = strip.find(context)
        word_places.share_with_piece(context.scene, voice)
        transcript.ensure(context.scene, voice.name)
        return context.window_manager.invoke_props_dialog(self, width=WIDTH)

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        record = transcript.of(context.scene, strip.find(context).name)
        layout.activate_init = not record.text  # typed into without a click first
        layout.prop(record, "text", text="", placeholder="What the voice says")
        lines = layout.column(align=True)
        lines.scale_y = 0.7
        for line in textwrap.wrap(record.text, LETTERS):
            lines.label(text=line)
        transcript.draw_language(layout, record, context.scene.thunder, True)

    def execute(self, context: bpy.types.Context):
        return {"FINISHED"}
