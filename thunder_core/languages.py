# SPDX-License-Identifier: GPL-3.0-or-later
"""Which language a text is written in, by its script and its commonest words, and which languages
are read as sounds; standard library only."""

import re
import unicodedata
from collections import Counter
from functools import lru_cache

KANA = "ja"
# Languages that are read as sounds: code → name. Kana are read by their names, the others by
# espeak-ng's dictionaries, which are in the package (`setup/vendor.py`). Codes are Whisper's.
NAMES = {
    "bg": "Bulgarian", "zh": "Chinese", "hr": "Croatian", "cs": "Czech", "da": "Danish",
    "nl": "Dutch", "en": "English", "fi": "Finnish", "fr": "French", "de": "German", "el": "Greek",
    "hi": "Hindi", "hu": "Hungarian", "id": "Indonesian", "it": "Italian", KANA: "Japanese",
    "ko": "Korean", "no": "Norwegian", "fa": "Persian", "pl": "Polish", "pt": "Portuguese",
    "ro": "Romanian", "es": "Spanish", "sv": "Swedish", "tr": "Turkish",
    "uk": "Ukrainian", "vi": "Vietnamese",
}  # fmt: skip
# Language → espeak-ng's name of its voice.
VOICES = {
    code: {"en": "en-us", "pt": "pt-br", "zh": "cmn", "no": "nb"}.get(code, code)
    for code in NAMES
    if code != KANA
}
# Each language's commonest short words, and letters that hardly another has.
_WORDS = {
    "en": "the and of to is you that it in was for on are with his they this have from not what "
    "but can who my your we i'm don't he she me so do such a an i at as be by all no or if had has "
    "in were will would there their one out up about could just like go know right well "
    "her him our",
    "de": "der die das und ist nicht ich du sie ein eine es mit auf wir zu den im von dem auch wie "
    "über was hat aber nur für"
    " guten morgen ja nein",
    "fr": "le la les et est je tu il elle un une des que pas dans pour sur qui avec nous vous ce "
    "où du au mais c'est"
    " merci bonjour oui non",
    "es": "el la los las y es que de no en un una por con para está yo tú se lo qué cómo muy pero "
    "del al su"
    " hola buenos gracias sí",
    "it": "il lo la gli e è che di non un una per con sono ho mi ti si del della come ma questo "
    "più nel so"
    " buongiorno ciao grazie a tutti sì",
    "pt": "o a os as e é que de não um uma por com para eu você se do da em no na muito mas está "
    "são como"
    " bom boa dia tudo bem obrigado",
    "nl": "de het een en is niet ik je dat van in op te zijn met voor hij ze we maar ook wat naar "
    "aan mijn"
    " hoe gaat goed weer",
    "sv": "och att det är jag du en ett på inte som med för han hon vi till av den har men"
    " hur mår vet bra",
    "da": "og at det er jeg du en et på ikke som med for han hun vi til af den har men"
    " hvordan har du godt",
    "no": "og at det er jeg du en et på ikke som med for han hun vi til av den har men"
    " hvordan har du vet bra",
    "fi": "ja on ei se että minä sinä hän me ovat oli mutta kun niin mitä kuin tämä olen",
    "pl": "i w nie się na to jest że z do ja ty on jak co ale mam po przez dla czy"
    " dzień dobry gdzie jest",
    "cs": "a je se v na to že ne si já ty on jak co ale s z do jsem jste byl také"
    " kde nevím dobrý den jste",
    "hr": "i je se u na to da ne si ja ti on kako što ali s za sam ste bio nije"
    " ne znam gdje je danas",
    "hu": "a az és nem hogy egy van én te ez is de mit volt meg csak már"
    " hol van jó",
    "ro": "și este nu un o eu tu că la în pe cu de ce mai sunt dar din pentru"
    " bună ziua",
    "tr": "ve bir bu ne ben sen o için çok da de mi var yok gibi ama değil"
    " bilmiyorum nasılsın bugün",
    "id": "dan yang di ini itu tidak saya kamu dia ada untuk dengan ke dari akan apa kita",
    "vi": "và là của không tôi bạn có một cho này được các người với",
}  # fmt: skip
_LETTERS = {
    "de": "äöüß", "fr": "çœêèàùûîô", "es": "ñ¿¡", "it": "ìòè", "pt": "ãõç", "sv": "åäö",
    "da": "æøå",
    "no": "æøå", "fi": "äö", "pl": "ąęłśźżćń", "cs": "ěřůž", "hr": "đčćžš", "hu": "őűáé",
    "ro": "ășțâ", "tr": "ğışçöü", "vi": "ăâđêôơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ",
}  # fmt: skip
_SETS = {code: frozenset(words.split()) for code, words in _WORDS.items()}
# by how many languages' lists hold a word
_SHARED = Counter(word for known in _SETS.values() for word in known)
# beginnings of the names of letters in Unicode → the language that alone is read in them here
_SCRIPTS = {
    "HIRAGANA": KANA, "KATAKANA": KANA, "HANGUL": "ko", "CJK": "zh", "DEVANAGARI": "hi",
    "GREEK": "el",
}  # fmt: skip
_PERSIAN, _UKRAINIAN, _RUSSIAN = "پچژگکی", "іїєґ", "ыэё"


@lru_cache(maxsize=64)
def guess(text: str) -> tuple[str, bool]:
    """The code of the language (of NAMES) that a text seems to be written in, "" where it is read
    letter by letter; and whether its words or its script tell so."""
    lower = unicodedata.normalize("NFC", text.lower())
    counts = Counter(
        unicodedata.name(c, "?").split()[0] for c in lower if unicodedata.category(c)[0] == "L"
    )
    if not counts:
        return "", False
    # kana among hanzi tell that it is Japanese
    if 8 * (counts["HIRAGANA"] + counts["KATAKANA"]) > counts["CJK"] > 0:
        counts["HIRAGANA"] += counts.pop("CJK")
    script = counts.most_common(1)[0][0]
    if script == "ARABIC":
        return ("fa", True) if any(c in _PERSIAN for c in lower) else ("", False)
    if script == "CYRILLIC":
        if any(c in _UKRAINIAN for c in lower):
            return "uk", True
        is_bulgarian = "ъ" in lower and not any(c in _RUSSIAN for c in lower)
        return ("bg", True) if is_bulgarian else ("", False)
    if script != "LATIN":
        return _SCRIPTS.get(script, ""), script in _SCRIPTS
    words = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)*", lower.replace("’", "'"))
    score = {
        code: sum(1 / _SHARED[word] for word in words if word in known)
        + 0.7 * sum(any(c in _LETTERS.get(code, "") for c in word) for word in words)
        for code, known in _SETS.items()
    }
    best = max(score, key=lambda code: score[code])
    if score[best] > 0:
        return best, True
    return "en" if lower.isascii() else "", False
