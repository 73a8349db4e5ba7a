# SPDX-License-Identifier: GPL-3.0-or-later
"""Right-click › Online Manual: which section of the guides tells of an operator or a property."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..thunder_core.engine_python import ROOT

# pages of a package, and what they are made of in a checkout
PAGES, SOURCES = (Path(ROOT, "guide"), Path(ROOT, "docs", "guide"))

# Section of a guide → operators, and property groups (ThunderX) or properties of them
# (ThunderX.name); “*” stands for anything. The first section that fits is opened.
SECTIONS = {
    "drawn": "add_drawn_mouth sample_drawing fill_in_order tilt_drawing copy_drawings "
    "ThunderScene.least ThunderScene.step ThunderRow.number",
    "heads#a-flame-file": "add_flame_head fit_flame_bones",
    "heads#linked-characters": "make_editable",
    "heads#the-bundled-head": "add_head",
    "bare_face": "mark_face make_shapes ThunderScene.show_faults",
    "heads#the-table": "*_mapping map_by_poses *_rule learn_channel swap_sides "
    "ThunderRow ThunderObject ThunderScene.table* "
    "ThunderScene.preview* ThunderScene.balance",
    "directing#listening": "ThunderScene.role",
    "directing#style-from-a-performance": "style_from_*",
    "manner": "*_manner ThunderMannerChange ThunderDirection.manner*",
    "directing#look-at": "look_at update_eyes ThunderDirection.look* ThunderDirection.head_follows",
    "directing#live": "ThunderScene.live_direction",
    "directing#reading-the-list": "more_like_this",
    "directing#what-to-ask-for": "*_direction ThunderDirection",
    "shape#shape": "*_shape *_closure *_emotion ThunderShape *.thunder_emotion",
    "shape#mix": "choose_part *_cut mix_takes ThunderMix ThunderCut",
    "shape#keep-part": "*_frames resample_rest ThunderKeep ThunderKeepRange",
    "words#languages": "*_kanji",
    "words#recognize-words": "recognise_* *_recogniser download_model "
    "ThunderScene.recognise_words ThunderScene.language ThunderPreferences.whisper",
    "shape#transcript": "*_transcript ThunderTranscript",
    "listen#what-a-score-means": "score_again ThunderScene.live_score",
    "listen#check": "check *_finding show_better_take list_ignored ThunderCheck ThunderFinding",
    "listen#hear-the-lips": "listen original ThunderScene.listen_*",
    "words#marks": "mark_word clear_word correct_sound move_word ThunderWordMark",
    "words#retake": "retake use_mouth",
    "words": "*_word",
    "listen#words-and-sounds": "find_words",
    "listen#curves-over-the-timeline": "ThunderScene.curves",
    "commit#all-dialogue-at-once": "commit_all",
    "commit#on-twos-and-threes": "ThunderCommit.step",
    "commit": "commit_take ThunderCommit ThunderScene.commit",
    "export": "export_performance",
    "takes#captured-faces": "import_capture *_tracker",
    "takes#a-lit-scene": "light_scene remove_stage",
    "takes#contact-sheet": "contact_sheet",
    "takes#play-all": "play_grid",
    "takes#earlier-takes": "fold_takes",
    "takes#the-list": "generate *_take *_takes ThunderTake "
    "ThunderAction ThunderScene.*seed "
    "ThunderScene.count ThunderScene.takes ThunderScene.active_take ThunderScene.sort "
    "ThunderScene.only_starred "
    "ThunderScene.play_shown",
    "scenes#drop-files": "add_lines",
    "scenes#speak-a-line": "record stop_recording choose_microphone ThunderRecording "
    "ThunderScene.recording",
    "scenes#perform-live": "perform_live ThunderRecording.look_ahead ThunderRecording.hears",
    "export#other-programs-live": "send_face",
    "scenes#the-engine": "*_engine *_installation ThunderPreferences",
    "scenes#long-work": "cancel ThunderScene.quality ThunderScene.*guidance",
    "scenes#several-heads-several-strips": "cast_strip generate_all "
    "ThunderHead ThunderPart "
    "ThunderScene.head* ThunderScene.cast ThunderScene.dialogue_index",
    "scenes#the-sound-changes": "resync",
    "scenes#perform-a-line-as-another": "perform_as",
    "scenes#something-goes-wrong": "report_problem",
    "scenes#the-first-face-in-three-clicks": "*_voice ThunderScene.source "
    "ThunderScene.strip ThunderScene.voice "
    "ThunderScene.sound_file ThunderScene.only_preview ThunderScene.*channel",
}


def address(section: str) -> str:
    """The address of a section below that of the guides; in a checkout, which has no HTML pages,
    that of the guide's text."""
    if PAGES.is_dir():
        return f"{section.replace('#', '.')}.html"
    return f"{section.partition('#')[0]}.md"


def guides() -> str:
    """The address of the guides: files on this computer, and so without anchors
    (setup/guides.py)."""
    return f"{(PAGES if PAGES.is_dir() else SOURCES).as_uri()}/"


def pattern(word: str) -> str:
    """How Blender's manual names what a word of SECTIONS stands for: in small letters, a property
    group's name before its properties'."""
    if word.startswith("Thunder") or "." in word:
        return f"bpy.types.{word if '.' in word else f'{word}.*'}".lower()
    return f"bpy.ops.thunder.{word}"


def manual_map() -> tuple[str, list[tuple[str, str]]]:
    """The address of the guides, and (pattern, address below it) of each entry; the first that fits
    counts."""
    return guides(), [
        (pattern(word), address(section))
        for section, words in SECTIONS.items()
        for word in words.split()
    ]


def register() -> None:
    bpy.utils.register_manual_map(manual_map)


def unregister() -> None:
    bpy.utils.unregister_manual_map(manual_map)
