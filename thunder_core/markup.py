# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a text is said, where programs write more than that: chats and transcripts of meetings
(WhatsApp, Telegram, Discord, LINE, Zoom, Teams, Otter) with names and times, Markdown, SSML.
Standard library only.

No pattern holds what begins another, or more than a line's first letters, so that each letter is
looked at a few times.
"""

import html
import re
from collections import Counter
from collections.abc import Iterable

SCRIPTS = (".md", ".markdown", ".ssml")
# a character's name or number, as &amp; and &#39; are
_ENTITY = re.compile(r"&(?:#x?[0-9a-f]{1,7}|[a-z][a-z0-9]{1,31});", re.IGNORECASE | re.ASCII)

# ---- chats and transcripts

_DATE = r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}"
_HALF = r"(?:\s?[AaPp]\.?\s?[Mm]\b\.?)?"
_CLOCK = rf"\d{{1,2}}:\d{{2}}(?::\d{{2}})?(?:[.,]\d{{1,3}})?{_HALF}"
_DATED = rf"{_DATE},?\s{{1,3}}\d{{1,2}}[:.]\d{{2}}(?:[:.]\d{{2}})?{_HALF}"
_WHEN = rf"(?:{_DATED}|{_CLOCK})"
_NAME = r"[^:\[\]()<>\n]{1,60}?"
_MARK = "\u200e"  # in WhatsApp before what nobody wrote: “image omitted”
_MARKS = "\u200e\u200f\u202a-\u202e\u2066-\u2069"  # that turn the direction of writing
_BEFORE = rf"[{_MARKS}]{{0,4}}"
# lines of messages: group “said” has their text
_MESSAGES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_BEFORE}(?:[\[(]{_WHEN}[\])]\s*){{1,9}}(?:[-–]\s+)?(?:~?\s?{_NAME}:(?:\s+|$))?(?P<said>.*)",
        rf"{_BEFORE}{_DATED}\s+[-–]\s+(?:{_NAME}:\s+(?P<said>.*)|.*)",
        rf"(?:{_DATE}\s{{1,3}})?{_CLOCK}\s+[Ff]rom\s.{{1,80}}?\s[Tt]o\s.{{1,80}}?:(?P<said>.*)",
        rf"{_CLOCK}\s{{1,9}}{_NAME}:\s+(?P<said>.*)",
        rf"{_CLOCK}\t[^\t\n]{{1,60}}\t(?P<said>.*)",  # LINE
    )
)
# lines above what somebody says, which may be a text's own where there is only one
_HEADS = re.compile(
    rf"(?:{_NAME},?\s{{0,3}}[\[(]{_WHEN}[\])]|(?:{_NAME}(?:\s{{2,9}}|\t))?{_WHEN}|\[{_NAME}\]\s+{_CLOCK})"
    r":?\s*$"
)
# those that no text has: Discord's, and above the only turn of a transcript
_DISCORD = re.compile(rf"\[\d{{1,2}}-[^\W\d_]{{3}}-\d{{2,4}} {_CLOCK}\]\s[^:\n]{{1,60}}$")
_ONLY_HEAD = re.compile(rf"{_NAME}\s{{1,9}}{_CLOCK}\s*$")
_TRANSCRIBED = re.compile(r"\s*Transcribed by https?://\S+\s*$")
_OF_PROGRAM = re.compile(
    rf"[\s{_MARKS}]{{0,9}}(?:<[^<>]*>|(?:This message was deleted|You deleted this message)\.?"
    r"|\[(?:スタンプ|写真|動画|Sticker|Photo|Video)\])\s*$"
)
# LINE's first lines and dates; of songs, what is no line
_LINES_HEAD = re.compile(
    r"\[LINE\]|(?:保存日時|Saved on)\s?[：:]|\d{4}[./]\d{1,2}[./]\d{1,2}\(.{1,3}\)$"
)
_OF_SONG = re.compile(r"\s*\[(?:ti|ar|al|au|by|la|lr|re|ve|tool|length|offset):[^][]*\]\s*$", re.I)
_SPEAKER = re.compile(r"\s*(?:-\s+)?([^\W\d_][^:\[\]()<>,.!?\n]{0,39})(?:\([^()\n]{0,40}\)\s?)?:\s")
_MOST_NAMES, _MOSTLY, LEAST_LINES = 0.5, 0.8, 4  # names for lines; lines that have one


def _of_chat(lines: list[str]) -> tuple[list[str], int]:
    """The lines that are said in a chat or a transcript, and how many names and times were left
    out; all lines where it is none."""
    heads = {number for number, line in enumerate(lines) if _HEADS.match(line)}
    heads = heads if len(heads) > 1 else set()
    if lines and _TRANSCRIBED.match(lines[-1]):
        lines = lines[:-1]
        heads |= {number for number, line in enumerate(lines[:1]) if _ONLY_HEAD.match(line)}
    heads |= {number for number, line in enumerate(lines) if _DISCORD.match(line)}
    if any("\t" in line and _MESSAGES[-1].match(line) for line in lines):
        heads |= {number for number, line in enumerate(lines) if _LINES_HEAD.match(line)}
    if any(map(_MESSAGES[0].match, lines)):
        heads |= {number for number, line in enumerate(lines) if _OF_SONG.match(line)}
    said, count, is_after = [], 0, False
    for number, line in enumerate(lines):
        found = None
        if number not in heads:
            found = next(filter(None, (each.match(line) for each in _MESSAGES)), None)
        if number in heads or found:
            count, is_after = count + 1, True
            line = (found["said"] or "") if found else ""
        if (found and line.startswith(_MARK)) or (is_after and _OF_PROGRAM.match(line)):
            continue
        said.append(line)
    return said, count


def without_speakers(lines: list[str]) -> tuple[list[str], int]:
    """Lines without the names of who says them, “ANNA:” before several or “Anna:” before nearly
    all, and how many these were."""
    found = [_SPEAKER.match(line) for line in lines]
    names = Counter(each[1].strip() for each in found if each)
    full = sum(bool(line.strip()) for line in lines)
    if not (
        full >= LEAST_LINES and names.total() >= _MOSTLY * full and len(names) <= _MOST_NAMES * full
    ):
        found = [each if each and each[1].isupper() else None for each in found]
    return (lines, 0) if sum(map(bool, found)) < 2 else _without(lines, found)


def without_only_speaker(lines: list[str]) -> tuple[list[str], int]:
    """Few lines without the one name that stands before all of them, and how many these were; fewer
    than two, or several names, may be words and stay."""
    found = [_SPEAKER.match(line) for line in lines]
    full = sum(bool(line.strip()) for line in lines)
    names = {each[1].strip() for each in found if each}
    is_named = full > 1 and sum(map(bool, found)) == full
    if not is_named or len(names) > 1 or not max(names).istitle():
        return lines, 0
    return _without(lines, found)


def _without(lines: list[str], found: list[re.Match[str] | None]) -> tuple[list[str], int]:
    """Lines without what was found at their beginnings, and how many these were."""
    left = [line[each.end() :] if each else line for line, each in zip(lines, found)]
    return left, sum(map(bool, found))


def doubtful_names(lines: list[str]) -> str:
    """A sentence on names, “Ben:”, that were left before lines because they may be words, "" for
    none."""
    found = (_SPEAKER.match(line) for line in lines)
    names = list(dict.fromkeys(each[1].strip() for each in found if each and each[1].istitle()))
    shown = ", ".join(f"“{name}:”" for name in names[:3])
    return f"Kept {shown}: take out what nobody says" if names else ""


_SOUND = re.compile(
    r"[\[(]\s?(?:inaudible|unintelligible|indistinct|cross-?talk|(?:soft |both )?laugh(?:s|ing|ter)"
    r"|chuckl(?:es|ing)|giggl(?:es|ing)|sigh(?:s|ing)?|cough(?:s|ing)?|sob(?:s|bing)|gasps?|groans?"
    r"|sniff(?:s|ing)?|clears throat|music|applause|silence|unverständlich|lacht|seufzt|rires?"
    r"|risas|ríe|笑|笑い|笑声)(?:\s\d{1,2}:\d{2}(?::\d{2})?)?\s?[\])]",
    re.IGNORECASE,
)


def without_sounds(text: str) -> tuple[str, str]:
    """A text without what nobody says, as [inaudible 0:07] and (laughs), and a sentence on what was
    left out, "" for nothing."""
    found = list(dict.fromkeys(each[0] for each in _SOUND.finditer(text)))
    note = f"Left out {', '.join(found[:3])}, which is not spoken" if found else ""
    return _SOUND.sub(" ", text), note


# ---- Markdown

_LINK = re.compile(r"(!?)\[([^][\n]*)\](?:\([^()\n]*\)|\[[^][\n]*\])")
_NO_WORDS = re.compile(r"<!--[^<]*-->|\[\^[^][\n]*\]:?|<[^<>\s]*>|</?\w[^<>\n]*>")
_BEGINS = re.compile(r"(?:\s{0,9}(?:>|[-*+]\s|\d{1,9}[.)]\s|\|))+")
_RULE = re.compile(r"\s*(?:[-*_=|:]\s*){3,}$|\s*#{1,6}(?:\s|$)|\s*\[[^][\n]*\]:\s")
_FENCES = ("```", "~~~")
_EMPHASIS = re.compile(r"\*|`|~~|\b_|_\b|\|")


def _of_markdown(lines: list[str]) -> Iterable[str]:
    """The lines that are said in Markdown: no headings, rules, code, pictures and addresses."""
    if lines[:1] == ["---"] and "---" in lines[1:]:  # what programs note of it
        lines = lines[lines.index("---", 1) + 1 :]
    fence = ""
    for line, below in zip(lines, [*lines[1:], ""]):
        mark = next((each for each in _FENCES if line.lstrip().startswith(each)), "")
        if fence or mark:
            fence = "" if fence and mark == fence else fence or mark
        elif not _RULE.match(line) and not (below and not below.strip("=") and line.strip()):
            line = _LINK.sub(lambda link: "" if link[1] else link[2], line)
            line = _NO_WORDS.sub(" ", line)
            begins = _BEGINS.match(line)
            yield _EMPHASIS.sub("", line[begins.end() :] if begins else line)


# ---- SSML, and other languages of tags

_ALIAS = re.compile(r"<sub\b[^<>]*?\balias\s*=\s*[\"']([^\"'<>]*)[\"'][^<>]*>[^<>]*</sub\s*>")
_UNSAID = re.compile(r"<!--[^<]*-->|<(desc|metadata|title)\b[^<>]*>[^<>]*</\1\s*>|<[?!][^<>]*>")
_WITHIN = re.compile(r"</?(?:emphasis|phoneme|say-as|prosody|lang|mark|w|token)\b[^<>]*>")
_TAG = re.compile(r"<[^<>]*>")
_OF_TAGS = re.compile(
    r"\s*(?:<\?xml[^<>]*>\s*|<!--[^<]*-->\s*|<!doctype[^<>]*>\s*)*<(\w[\w:.-]{0,40})[\s/>]", re.I
)


def _of_ssml(text: str) -> str:
    for pattern, by in ((_ALIAS, r"\1"), (_UNSAID, " "), (_WITHIN, ""), (_TAG, " ")):
        text = pattern.sub(by, text)
    return unescape(text)


def unescape(text: str) -> str:
    """A text with characters in place of their names, which some exporters name twice:
    &amp;nbsp;."""
    for _ in range(2):
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    return text.replace("\u00ad", "")  # hyphens that are not seen


# ---- all of them


def said_in(text: str, ending: str) -> tuple[str, str]:
    """What is said in a text in a file of an ending, and a sentence on what was left out, "" for
    nothing. Raises ValueError, whose message goes on after the file's name, for a language that is
    not read."""
    tag = _OF_TAGS.match(text)
    if tag and tag[1].lower() == "speak":
        return _of_ssml(text), "Read as SSML, without its tags"
    if tag and (text.lstrip().startswith(("<?", "<!")) or tag[1].lower() in ("html", "tt")):
        kind = "a page of the web" if "html" in text[: tag.end()].lower() else "XML"
        raise ValueError(f"is {kind} (<{tag[1]}>)")
    lines = [line for line in text.splitlines() if line and not line.isspace()]
    if ending in (".md", ".markdown"):
        lines, count = without_speakers(list(_of_markdown(lines)))
        text, sounds = without_sounds("\n".join(lines))
        return text, join_notes(
            "Read as Markdown, without headings and code", say_left_out(count), sounds
        )
    lines, count = _of_chat(lines)
    lines, more = without_speakers(lines)
    text, sounds = without_sounds("\n".join(lines))
    return text, join_notes(say_left_out(count + more), sounds)


def join_notes(*notes: str) -> str:
    """Sentences as one text, without empty ones."""
    return ". ".join(filter(None, notes))


def say_left_out(count: int) -> str:
    """The sentence on names and times that are not said, "" for none."""
    return f"Left out {count} names or times, which are not spoken" if count else ""
