# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what a voice says from a file: plain text, chats and scripts (markup.py), subtitles with
times, or the times of words that speech services write (timings.py)."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from . import files, markup, text_files, timings
from .errors import BadRequest
from .spoken import slice_text

_SUBTITLES = (".srt", ".vtt", ".sbv", ".ass", ".ssa")
ENDINGS = (".txt", ".lrc", *_SUBTITLES, *markup.SCRIPTS, *timings.ENDINGS)
_OF_WINDOWS = "Read as Windows-1252, for it is not UTF-8: if letters are wrong, save it in UTF-8"
_MOST_BYTES = 2**20
_MOST_BYTES_OF_SERVICE = 2**24  # with the sound of some minutes
_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?"
_HAS_CUES = re.compile(rf"^[ \t]{{0,9}}{_TIME}\s*-{{1,2}}>\s*{_TIME}", re.ASCII | re.MULTILINE)
_CUE = re.compile(rf"^\s*{_TIME}\s*(?:-{{1,2}}>|,)\s*{_TIME}", re.ASCII)
_LONGEST_FORMAT = 1000  # letters of the names of columns
_FORMAT, _DIALOGUE = "format", "dialogue"  # how lines of Aegisub's subtitles begin
_DRAWN = re.compile(r"\{[^{}]*\\p[1-9]")  # before what is no text but a drawing
# seconds: by which clocks differ that are the same, and of a subtitle that is heard
_SAME_CLOCK, _LEAST_HEARD = 2.0, 0.15
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1b\x7f]")  # letters that are no text
# share of subtitles that begin with the end of the one before, and how few longer ones tell that
_ROLLING, _LEAST_ROLLING = 0.4, 2
_NO_GAP = 0.05  # seconds between subtitles that follow without one
# blocks of .vtt that say nothing
_UNSAID = re.compile(r"\s*(?:WEBVTT|NOTE|STYLE|REGION)\b")
# Tags, styles, [door slams], the dash of a speaker. None holds what begins another, so that each
# letter is looked at once.
_MARKUP = re.compile(r"</?\w[^<>]*>|\{\\[^{}]*\}|\[[^][]*\]|^\s*-\s+")


@dataclass(frozen=True)
class PlayedPart:
    """What a strip plays of its recording.  begin, end: seconds of the recording.  whole: its
    length.  placed: seconds of the scene at which the strip begins."""

    begin: float
    end: float
    whole: float
    placed: float


class ReadText(NamedTuple):
    """What a file says.  text: on one line.  note: sentences on which of its subtitles were read
    where that is not plain, what was left out, and what was guessed.  times: when its words are
    said, in seconds of what plays, None where only a search can tell."""

    text: str
    note: str = ""
    times: timings.Times | None = None


def read_text(path: str, advice: str, part: PlayedPart | None = None) -> ReadText:
    """What a file says. part: what plays, whose subtitles and words alone are read; None: all.

    advice: ends the sentence of an error. Raises BadRequest.
    """
    of_service = path.lower().endswith(timings.ENDINGS)
    most = _MOST_BYTES_OF_SERVICE if of_service else _MOST_BYTES
    if problem := files.not_a_file(path):
        raise BadRequest(f"{problem}: {advice}")
    try:
        text, encoding = text_files.decode(files.read_bytes(path, most))
    except text_files.NotText as error:
        raise BadRequest(
            f"“{path}” {error}: save it as plain text in UTF-8, or {advice}"
        ) from error
    except OSError as error:
        raise BadRequest(f"“{path}” cannot be read ({error.strerror}): {advice}") from error
    if of_service or timings.is_told(text):
        try:
            return _words_in(*timings.read(text), part)
        except BadRequest as error:
            raise BadRequest(f"“{path}” {error}: {advice}") from error
    text = _CONTROLS.sub(" ", text)
    notes = [_OF_WINDOWS] if encoding == text_files.WINDOWS else []
    is_plain = not path.lower().endswith(_SUBTITLES) and not _HAS_CUES.search(text)
    if is_plain:
        try:
            text, note = markup.said_in(text, os.path.splitext(path)[1].lower())
        except ValueError as error:
            raise BadRequest(f"“{path}” {error}: save it as plain text, or {advice}") from error
        notes.append(note)
    else:
        cues, note = cues_of(text)
        notes.append(note)
        if part is not None and cues:
            cues, note = _cues_in(cues, part, path, advice)
            notes.append(note)
        text = " ".join(said for *_, said in cues)
    if not (words := " ".join(text.split())):
        below = "" if is_plain else " below times such as 00:00:01,000 --> 00:00:03,000"
        raise BadRequest(
            f"“{path}” holds no words{below}: write into it what the voice says, or {advice}"
        )
    return ReadText(words, markup.join_notes(*notes))


def _words_in(text: str, times: timings.Times, part: PlayedPart | None) -> ReadText:
    """The words of a service's file that a strip plays. Raises BadRequest."""
    if part is None:
        return ReadText(text, "", times)
    inside = [
        number
        for number, (start, end) in enumerate(times.words)
        if part.begin <= (start + end) / 2 < part.end
    ]
    if not inside:
        raise BadRequest(
            f"has words from {_clock(times.words[0][0])} to {_clock(times.words[-1][1])}, but the "
            f"strip plays {_clock(part.begin)} to {_clock(part.end)} of its recording"
        )
    first, behind = inside[0], inside[-1] + 1
    sounds = (each for each in times.sounds if part.begin <= (each[1] + each[2]) / 2 < part.end)
    played = replace(times, words=times.words[first:behind], sounds=tuple(sounds))
    return ReadText(slice_text(text, first, behind), "", played.later(-part.begin))


def _cues_in(
    cues: list[tuple[float, float, str]], part: PlayedPart, path: str, advice: str
) -> tuple[list[tuple[float, float, str]], str]:
    """The subtitles of what a strip plays, and a sentence on their clock, if it is not plainly that
    of the recording: it may be the edit's, and begin at 1 h or 10 h. Raises BadRequest."""
    length = part.end - part.begin
    first, last = min(start for start, _, _ in cues), max(stop for _, stop, _ in cues)
    hours = first // 3600 * 3600
    of_recording, of_scene = (
        _between(cues, begin, begin + length)
        or _between(cues, begin + hours, begin + hours + length)
        for begin in (part.begin, part.placed)
    )
    is_of_recording = last - hours <= part.whole + _SAME_CLOCK
    if of_recording and is_of_recording and of_scene in ([], of_recording) and not hours:
        return of_recording, ""
    found, clock = (
        (of_recording, "the recording's clock")
        if of_recording and (is_of_recording or not of_scene)
        else (of_scene, "where the strip lies in the scene")
    )
    if found:
        begins = f", which begins at {hours // 3600:.0f} h" if hours else ""
        return found, f"Read {len(found)} of {len(cues)} subtitles, by {clock}{begins}"
    if last - first <= length + _SAME_CLOCK:
        return cues, f"Read all {len(cues)} subtitles, which lie elsewhere but last no longer"
    raise BadRequest(
        f"“{path}” has subtitles from {_clock(first)} to {_clock(last)}, but the strip plays "
        f"{_clock(part.begin)} to {_clock(part.end)} of its recording and begins at "
        f"{_clock(part.placed)} of the scene: move it to its place in the edit, or {advice}"
    )


def _between(
    cues: list[tuple[float, float, str]], begin: float, end: float
) -> list[tuple[float, float, str]]:
    """The subtitles of which enough lies between two times to be heard."""
    return [
        (start, stop, said)
        for start, stop, said in cues
        if min(stop, end) - max(start, begin) >= min(_LEAST_HEARD, max(0.0, stop - start) / 2)
    ]


def _clock(seconds: float) -> str:
    minutes = int(max(seconds, 0.0)) // 60
    return f"{minutes // 60}:{minutes % 60:02d}:{max(seconds, 0.0) % 60:04.1f}"


def cues_of(text: str) -> tuple[list[tuple[float, float, str]], str]:
    """(start, end, words) in seconds of every subtitle of a file that says something, and sentences
    on what was left out, and names that were kept."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    blocks = re.split(r"\n\s*\n", text)
    is_ass = re.search(r"^\[(?:Script Info|Events)\]", text, re.MULTILINE | re.IGNORECASE)
    cues = [
        cue
        for block in ([text] if is_ass else _join_torn(blocks))
        for cue in (_cues_of_aegisub if is_ass else _cues_of_block)(block)
    ]
    rolled = _without_repeats(cues)
    rolls = "Read lines once that stand in several subtitles" if rolled != cues else ""
    texts = [each for *_, each in rolled]
    said, count = markup.without_speakers(texts)
    is_short = count == 0 and sum(bool(each.strip()) for each in texts) < markup.LEAST_LINES
    if is_short:
        said, count = markup.without_only_speaker(texts)
    kept = markup.doubtful_names(said) if is_short else ""
    named = [(*times, " ".join(each.split())) for (*times, _), each in zip(rolled, said)]
    note = markup.join_notes(markup.say_left_out(count), kept, rolls)
    return [cue for cue in named if cue[2]], note  # type: ignore[misc]


def _without_repeats(cues: list[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """Subtitles without lines that stand in the one before, where that is so of many: captions of
    YouTube roll, so that each line stands in two or three, others highlight its words in turn."""
    lines = [
        [line for each in said.split("\n") if (line := " ".join(each.split()))] for *_, said in cues
    ]
    overlaps = [
        next((n for n in range(min(len(a), len(b)), 0, -1) if a[-n:] == b[:n]), 0)
        for a, b in zip([[], *lines], lines)
    ]
    # those that highlight word after word say one line many times, without a gap
    follows = [False, *(after[0] - cue[1] < _NO_GAP for cue, after in zip(cues, cues[1:]))]
    rolling = sum(
        overlap > 0 and (len(each) > 1 or (is_next and len(each[0].split()) > 2))
        for overlap, each, is_next in zip(overlaps, lines, follows)
    )
    if rolling < _LEAST_ROLLING or sum(map(bool, overlaps)) < _ROLLING * len(cues):
        return cues
    return [
        (*times, "\n".join(each[overlap:]))  # type: ignore[misc]
        for (*times, _), each, overlap in zip(cues, lines, overlaps)
    ]


def _join_torn(blocks: list[str]) -> Iterator[str]:
    """Blocks of lines that each begin with a subtitle: an empty line within one, or behind every
    line, tears it."""
    joined: list[str] = []
    for block, behind in zip(blocks, [*blocks[1:], ""]):
        if any(map(_CUE.match, block.strip().split("\n"))):
            yield "\n".join(joined)
            joined = [block.strip()]
        elif joined and not _UNSAID.match(block):
            is_number = block.strip().isdecimal() and _CUE.match(behind)
            joined += [] if is_number else [block.strip()]
    yield "\n".join(joined)


def _cues_of_block(block: str) -> Iterator[tuple[float, float, str]]:
    """Those of a block of lines of .srt, .vtt or .sbv."""
    lines = block.strip().split("\n")
    found = [(n, match) for n, line in enumerate(lines) if (match := _CUE.match(line))]
    ends = [n for n, _ in found[1:]]  # where no blank line parts them
    for (number, match), end in zip(found, [*ends, len(lines)]):
        if end < len(lines) and lines[end - 1].strip().isdecimal():
            end -= 1  # the next one's number
        said = (_MARKUP.sub(" ", markup.unescape(each)) for each in lines[number + 1 : end])
        yield _seconds(*match.groups()[:4]), _seconds(*match.groups()[4:]), "\n".join(said)


def _cues_of_aegisub(text: str) -> Iterator[tuple[float, float, str]]:
    """Those of a file of Aegisub, .ass or .ssa, whose rows have the columns that it names."""
    columns = ["layer", "start", "end", "style", "name", "l", "r", "v", "effect", "text"]
    for line in text.split("\n"):
        kind, _, row = line.strip().partition(":")
        if kind.lower() == _FORMAT and "text" in row.lower():
            columns = [each.strip().lower() for each in row[:_LONGEST_FORMAT].split(",")]
        if kind.lower() == _DIALOGUE and not _DRAWN.search(row):
            cells = dict(zip(columns, row.split(",", len(columns) - 1)))
            times = _CUE.match(f"{cells.get('start', '')},{cells.get('end', '')}")
            if times:
                said = re.sub(r"\\[Nnh]", " ", cells.get("text", ""))
                said = _MARKUP.sub(" ", re.sub(r"\{[^{}]*\}", "", said))
                yield _seconds(*times.groups()[:4]), _seconds(*times.groups()[4:]), said


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> float:
    return 3600 * int(hours or 0) + 60 * int(minutes) + int(seconds) + float(f"0.{fraction or 0}")
