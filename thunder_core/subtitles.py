# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what a voice says from a file: plain text (.txt), or subtitles with times (.srt, .vtt)."""

import re

from . import files
from .errors import BadRequest

ENDINGS = (".txt", ".srt", ".vtt")
_MOST_BYTES = 2**20
_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_CUE = re.compile(rf"^\s*{_TIME}\s*-->\s*{_TIME}", re.ASCII)
# tags, styles, [door slams], the dash of a speaker
_MARKUP = re.compile(r"<[^>]*>|\{\\[^}]*\}|\[[^\]]*\]|^\s*-\s+")


def read_text(path: str, advice: str, part: tuple[float, float] | None = None) -> str:
    """What a file says, on one line. part: seconds of the recording that play; of subtitles only
    those in it are read, or all if none is.

    advice: ends the sentence of an error. Raises BadRequest.
    """
    if problem := files.not_a_file(path):
        raise BadRequest(f"{problem}: {advice}")
    try:
        with files.open_input(path) as file:
            text = file.read(_MOST_BYTES).decode("utf-8-sig").replace("\0", " ")
    except UnicodeDecodeError as error:
        raise BadRequest(
            f"“{path}” is not text in UTF-8: save it in this encoding, or {advice}"
        ) from error
    except OSError as error:
        raise BadRequest(f"“{path}” cannot be read ({error.strerror}): {advice}") from error
    if path.lower().endswith((".srt", ".vtt")):
        cues = cues_of(text)
        begin, end = part or (0.0, float("inf"))
        text = " ".join(
            [said for start, stop, said in cues if stop > begin and start < end]
            or [said for *_, said in cues]
        )
    if not (words := " ".join(text.split())):
        raise BadRequest(f"“{path}” holds no words: write into it what the voice says, or {advice}")
    return words


def cues_of(text: str) -> list[tuple[float, float, str]]:
    """(start, end, words) in seconds of every subtitle of an .srt or .vtt file that says
    something."""
    cues = []
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n").replace("\r", "\n")):
        lines = block.strip().split("\n")
        for number, line in enumerate(lines):
            if match := _CUE.match(line):
                said = " ".join(_MARKUP.sub(" ", each) for each in lines[number + 1 :]).strip()
                cues += (
                    [(_seconds(*match.groups()[:4]), _seconds(*match.groups()[4:]), said)]
                    if said
                    else []
                )
                break
    return cues


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str) -> float:
    return (
        3600 * int(hours or 0)
        + 60 * int(minutes)
        + int(seconds)
        + int(fraction) / 10 ** len(fraction)
    )
