# SPDX-License-Identifier: GPL-3.0-or-later
"""How the words of a text are pronounced, by espeak-ng (GPL-3), in the worker's process only; kana
by their names in Unicode. What each sound is heard as by the encoder, whose phones are English.

The library keeps one language and one text at a time, and crashes if two threads use it: all calls
hold a lock. Without it, where its data lie too deep for it (160 bytes of path), or without a
dictionary for a language, `pronounce` returns None and letters stand for sounds
(`transcript.letters`).
"""

import ctypes
import re
import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from ...languages import KANA, VOICES
from ...system_calls import path_for_c

_AT_ONCE = 40  # words of a call
LONGEST = 20_000  # words of a text that are looked up; the letters of a longer one stand for sounds
_LONGEST_WORD = 40  # letters; what is longer is no word
_UTF8, _IPA, _SEPARATOR = 1, 0x02, ord("_") << 8
_RETRIEVAL, _NO_EXIT = 1, 0x8000
_lock = threading.Lock()


@dataclass(frozen=True)
class Phoneme:
    """A sound of a word. name: in IPA, without marks.  phones: the encoder may hear, by their names
    in ARPABET, the likeliest first.  is_vowel.  is_long: or a diphthong.  is_stressed: it has the
    stress of its word, or a part of it.  is_reduced: it may not be spoken at all."""

    name: str
    phones: tuple[str, ...]
    is_vowel: bool
    is_long: bool = False
    is_stressed: bool = False
    is_reduced: bool = False


# Sound, or two that are one for the encoder → phones that it hears for it. Of consonants first.
_CONSONANTS = {
    "p": "P B", "b": "B P", "m": "M", "f": "F V", "v": "V F", "ʋ": "V W F", "ɸ": "F HH P",
    "β": "B V W P", "w": "W V UW UH OW", "ɥ": "W UW Y IY", "ʍ": "W HH",
    "t": "T D CH", "d": "D T DH JH", "ɾ": "D T R DH L B V", "ʈ": "T D", "ɖ": "D T R",
    "ð": "DH D TH T",
    "θ": "TH T DH S", "n": "N NG", "ɳ": "N NG", "ɲ": "N NG Y", "ŋ": "NG N M", "l": "L", "ɫ": "L",
    "ɬ": "L SH S", "ʎ": "L Y", "ɭ": "L R", "r": "R ER D", "ɹ": "R ER", "ɻ": "R ER ZH",
    "ɽ": "R D ER",
    "ʁ": "R HH G ER", "ʀ": "R HH G ER", "s": "S Z SH F TH", "z": "Z S ZH", "ʃ": "SH S CH ZH",
    "ʒ": "ZH Z SH JH Y", "ʂ": "SH S CH", "ʐ": "ZH R Z", "ɕ": "SH S CH HH", "ʑ": "ZH Z JH",
    "k": "K G T HH", "ɡ": "G K", "q": "K G HH", "c": "K CH T HH JH SH", "ɟ": "G JH D Y K",
    "x": "HH K SH R G",
    "χ": "HH K R G SH F P", "ɣ": "G HH R", "h": "HH F", "ɦ": "HH", "ħ": "HH", "ʕ": "HH AA",
    "j": "Y IY IH", "ʝ": "Y JH ZH", "ʲ": "", "ʔ": "",
    "tʃ": "CH SH T JH", "dʒ": "JH CH ZH D", "tɕ": "CH SH T JH", "dʑ": "JH CH ZH D",
    "ts": "T S Z D CH JH",
    "dz": "D Z S T", "tʂ": "CH SH T", "dʐ": "JH CH ZH D",
}  # fmt: skip
_VOWELS = {
    "i": "IY IH EY Y", "ɪ": "IH IY EH EY AH UH", "ɨ": "IH AH UH IY", "y": "UW IY UH IH Y W",
    "ʏ": "UH UW IH ER IY", "e": "EY EH IH AE IY", "ɛ": "EH AE IH EY AH", "æ": "AE EH AA AH AY",
    "a": "AA AE AH AY AW EH", "ɐ": "AH AA ER IH", "ɑ": "AA AO AH AW", "ɒ": "AA AO AH OW",
    "ɔ": "AO OW AA OY UH AH", "o": "OW AO UH UW OY W L", "u": "UW UH OW W IH Y",
    "ʊ": "UH UW OW AH ER AO", "ʌ": "AH AA AO EH UH", "ə": "AH IH EH UH ER AA IY",
    "ɜ": "ER R AH UH", "ɚ": "ER R AH UH", "ø": "ER UW UH OW EY EH AH", "œ": "ER EH UH AH AO OW",
    "ɯ": "UH UW IH AH IY", "ɤ": "AH UH OW ER", "ᵻ": "IH AH UH EH IY",
    "aɪ": "AY AA AE AH EH IH", "aʊ": "AW AA AE AO AH OW UH", "eɪ": "EY EH IH IY AE",
    "oʊ": "OW AO UH UW AH W L", "əʊ": "OW AO UH UW AH ER W L", "ɔɪ": "OY AO OW IY IH UH",
}  # fmt: skip
# vowels that are often not spoken, or as any other
_REDUCED = frozenset("ə ɐ ᵻ ɚ".split())
_SPELLED = {
    "ä": "a",
    "ɡ": "ɡ",
    "g": "ɡ",
    "ɱ": "m",
    "ṽ": "v",
    "ũ": "ŋ",
    "ʉ": "u",
    "ɘ": "ə",
    "ɵ": "ø",
    "ɶ": "œ",
}
_MARKS = re.compile(r"[\d\-^~.'’ʰʱʷˠˤʼ˞]|\(.*?\)")
# In languages with tones espeak-ng writes these behind the vowel, one of them as this letter.
_TONE, _TONAL = "ɜ", ("zh", "vi")
# sounds of kana whose names in Unicode are not what is said
_KANA_SOUNDS = {
    "si": "ɕi", "ti": "tɕi", "tu": "tsɯ", "hu": "ɸɯ", "zi": "dʑi", "di": "dʑi", "du": "zɯ",
    "vu": "βɯ", "n": "n", "wo": "o", "wi": "i", "we": "e",
}  # fmt: skip
_KANA_LETTERS = {"u": "ɯ", "y": "j", "r": "ɾ", "g": "ɡ"}
_SOFT = {"ɕi": "ɕ", "tɕi": "tɕ", "dʑi": "dʑ"}  # before a small ya, yu, yo


def is_here() -> bool:
    """Whether espeak-ng can be used here."""
    with _lock:
        return _library() is not None


@lru_cache(maxsize=64)  # a line is read for takes, words and scores
def pronounce(words: tuple[str, ...], language: str) -> tuple[tuple[Phoneme, ...], ...] | None:
    """The sounds of each word of a text in a language (`languages.NAMES`), empty for words that
    cannot be read; None where nothing here reads it."""
    if language == KANA:
        return tuple(read_kana(word) for word in words)
    if language not in VOICES or len(words) > LONGEST:
        return None
    scripts = [_script(word) for word in words]
    usual = max(filter(None, scripts), key=scripts.count, default="")
    words = tuple(word if script in ("", usual) else "-" for word, script in zip(words, scripts))
    with _lock:
        library = _library()
        if library is None or library.espeak_SetVoiceByName(VOICES[language].encode()) != 0:
            return None
        parts = (words[at : at + _AT_ONCE] for at in range(0, len(words), _AT_ONCE))
        is_tonal = language in _TONAL
        return tuple(read_ipa(each, is_tonal) for part in parts for each in _speak(library, part))


def _script(word: str) -> str:
    """The script of a word's first letter, as Unicode calls it; "" for a number."""
    letter = next((c for c in word if unicodedata.category(c)[0] == "L"), "")
    return unicodedata.name(letter, "?").split()[0] if letter else ""


def _speak(library: ctypes.CDLL, words: Sequence[str]) -> list[str]:
    """The words of a clause in IPA; of its halves where together they are not as many, as with
    numbers."""
    # the bar keeps it from running two words into one
    together = _call(library, " | ".join(word[:_LONGEST_WORD] for word in words)).split()
    if len(together) == len(words):
        return together
    if len(words) == 1:
        return ["_".join(together)]
    half = len(words) // 2
    return _speak(library, words[:half]) + _speak(library, words[half:])


def _call(library: ctypes.CDLL, text: str) -> str:
    """A text in IPA, sounds separated by _, words by blanks."""
    # no clause ends within a word, and a null would end the text
    rest = ctypes.c_char_p(text.replace("\0", " ").encode("utf-8", "ignore"))
    parts = []
    while rest.value is not None:
        part = library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _IPA | _SEPARATOR)
        parts.append((part or b"").decode("utf-8", "ignore"))
    return " ".join(parts)


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    """The library, ready; None where there is none, or it does not begin. Under the lock."""
    try:
        import espeakng_loader

        library = ctypes.CDLL(espeakng_loader.get_library_path())
        folder = path_for_c(espeakng_loader.get_data_path())
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        library.espeak_TextToPhonemes.argtypes = [
            ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int,
        ]  # fmt: skip
        began = library.espeak_Initialize(_RETRIEVAL, 0, ctypes.c_char_p(folder), _NO_EXIT)
    except (ImportError, OSError, AttributeError, RuntimeError):
        return None
    return library if began > 0 else None


def read_ipa(word: str, is_tonal: bool = False) -> tuple[Phoneme, ...]:
    """The sounds of a word in IPA as espeak-ng writes it; nothing of one whose letters it only
    names, as it does in other scripts."""
    if "(" in word:
        return ()
    sounds: list[Phoneme] = []
    for token in word.split("_"):
        is_stressed = "ˈ" in token or "ˌ" in token
        plain = unicodedata.normalize("NFD", token.strip("ˈˌ").replace("ç", "ɕ"))
        plain = "".join(c for c in plain if not unicodedata.combining(c))
        if is_tonal:  # and breath behind a consonant
            plain = re.sub(r"(?<=.)h", "", plain.replace(_TONE, ""))
        plain = _MARKS.sub("", plain)
        is_long = "ː" in plain
        plain = "".join(_SPELLED.get(c, c) for c in plain if c not in "ːˈˌ")
        while plain:
            two = plain[:2]
            name = two if two in _VOWELS or two in _CONSONANTS else plain[0]
            plain = plain[len(name) :]
            if name in _VOWELS:
                sounds.append(
                    Phoneme(
                        name, tuple(_VOWELS[name].split()), True, is_long or len(name) > 1,
                        is_stressed, name in _REDUCED and not is_stressed,
                    )
                )  # fmt: skip
            elif _CONSONANTS.get(name):
                sounds.append(Phoneme(name, tuple(_CONSONANTS[name].split()), False))
    return tuple(sounds)


def read_kana(word: str) -> tuple[Phoneme, ...]:
    """The sounds of kana by their names in Unicode (きゃ is KI and SMALL YA); nothing of other
    letters."""
    said: list[str] = []
    for c in unicodedata.normalize("NFC", unicodedata.normalize("NFKC", word)):
        name = unicodedata.name(c, "").lower()
        if name.startswith("katakana-hiragana prolonged") and said:
            said[-1] += "ː"
        if not name.startswith(("hiragana letter ", "katakana letter ")):
            continue
        is_small, syllable = " small " in name, name.rpartition(" ")[2]
        if is_small and syllable == "tu":
            continue  # the next consonant is only longer
        if is_small and said and syllable[-1] in "aiueo":
            before = _SOFT.get(said[-1], said[-1].rstrip("aiueoɯ"))
            glide = "j" if syllable[0] == "y" and said[-1] not in _SOFT else ""
            said[-1] = before + glide + _KANA_LETTERS.get(syllable[-1], syllable[-1])
        else:
            said.append(_KANA_SOUNDS.get(syllable) or _kana(syllable))
    return tuple(chain.from_iterable(map(read_ipa, said)))


def _kana(syllable: str) -> str:
    return "".join(_KANA_LETTERS.get(c, c) for c in syllable)
