# SPDX-License-Identifier: GPL-3.0-or-later
"""The languages that Whisper writes, by their codes."""

_LISTED = """
Afrikaans af, Albanian sq, Amharic am, Arabic ar, Armenian hy, Assamese as, Azerbaijani az,
Bashkir ba, Basque eu, Belarusian be, Bengali bn, Bosnian bs, Breton br, Bulgarian bg, Burmese
my, Cantonese yue, Catalan ca, Chinese zh, Croatian hr, Czech cs, Danish da, Dutch nl, English
en, Estonian et, Faroese fo, Finnish fi, French fr, Galician gl, Georgian ka, German de, Greek
el, Gujarati gu, Haitian Creole ht, Hausa ha, Hawaiian haw, Hebrew he, Hindi hi, Hungarian hu,
Icelandic is, Indonesian id, Italian it, Japanese ja, Javanese jw, Kannada kn, Kazakh kk, Khmer
km, Korean ko, Lao lo, Latin la, Latvian lv, Lingala ln, Lithuanian lt, Luxembourgish lb,
Macedonian mk, Malagasy mg, Malay ms, Malayalam ml, Maltese mt, Maori mi, Marathi mr, Mongolian
mn, Nepali ne, Norwegian no, Nynorsk nn, Occitan oc, Pashto ps, Persian fa, Polish pl,
Portuguese pt, Punjabi pa, Romanian ro, Russian ru, Sanskrit sa, Serbian sr, Shona sn, Sindhi
sd, Sinhala si, Slovak sk, Slovenian sl, Somali so, Spanish es, Sundanese su, Swahili sw,
Swedish sv, Tagalog tl, Tajik tg, Tamil ta, Tatar tt, Telugu te, Thai th, Tibetan bo, Turkish
tr, Turkmen tk, Ukrainian uk, Urdu ur, Uzbek uz, Vietnamese vi, Welsh cy, Yiddish yi, Yoruba yo
"""
# code → English name, in the order of names
LANGUAGES = {
    each.split()[-1]: " ".join(each.split()[:-1]) for each in " ".join(_LISTED.split()).split(", ")
}


def names_of(codes: str) -> str:
    """The names of languages whose codes are given with commas between, such as “en, de”."""
    return ", ".join(LANGUAGES.get(code, code) for code in filter(None, codes.split(", ")))


def code_of(given: str) -> str:
    """The code of a language that is called by it or by its English name, "" for none of these."""
    called = given.strip().lower()
    return next((code for code, name in LANGUAGES.items() if called in (code, name.lower())), "")
