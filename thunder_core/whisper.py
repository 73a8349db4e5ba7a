# SPDX-License-Identifier: GPL-3.0-or-later
"""Whisper, which recognises words: the languages that it writes, and where a model of it is: a
folder that somebody names, or one that was downloaded by its name on the hub."""

import os
import re
from pathlib import Path

from .errors import BadWeights

MODELS = "models"  # folder in the recogniser's environment of downloaded models
# what a model's name on the hub may be: a size, or OWNER/NAME
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
_NEEDED = ("config.json", "tokenizer.json", "model.bin")


def is_hub_name(model: str) -> bool:
    """Whether a model is named as on the hub, and is no folder that exists."""
    return bool(_NAME.fullmatch(model)) and not os.path.isdir(model)


def folder_of_name(environment: str, name: str) -> str:
    """The folder in the recogniser's environment into which the model of that name is
    downloaded."""
    return os.path.join(environment, MODELS, name.replace("/", "--"))


def find_model(model: str, environment: str = "", downloads: bool = False) -> Path:
    """The folder with a model's files: `model` itself, its newest snapshot where it is a folder of
    a hub's cache, or what was downloaded under that name into the recogniser's environment.
    downloads: whether who asks can download one by its name. Raises BadWeights."""
    advice = (
        "choose the folder of a Whisper model as CTranslate2 stores it, such as "
        "Systran/faster-whisper-base of the Hugging Face hub"
    )
    if not model:
        by_name = ", or enter a name to download, such as base" if downloads else ""
        raise BadWeights(f"No model that recognizes words was chosen: {advice}{by_name}")
    # the worker that reads it works in another folder
    folder = Path(os.path.abspath(os.path.expanduser(model)))
    if environment and is_hub_name(model):
        folder = Path(folder_of_name(environment, model))
        if downloads:
            advice = f"press Download Model… in the preferences, or {advice}"
    if not folder.is_dir():
        raise BadWeights(f"There is no model that recognizes words at “{model}”: {advice}")
    snapshots = sorted(
        folder.glob("snapshots/*/config.json"), key=lambda path: path.stat().st_mtime
    )
    folder = snapshots[-1].parent if snapshots else folder
    lacking = [name for name in _NEEDED if not (folder / name).is_file()]
    if lacking:
        raise BadWeights(f"The folder “{model}” lacks {', '.join(lacking)}: {advice}")
    return folder


def find_model_of(python: str, model: str, downloads: bool = False) -> str:
    """The folder of a model, as `find_model`, for the Python of a recogniser's environment. Raises
    BadWeights."""
    return str(find_model(model, os.path.dirname(os.path.dirname(python)), downloads))


# ---- the languages, by their codes

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
