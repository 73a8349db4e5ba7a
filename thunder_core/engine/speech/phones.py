# SPDX-License-Identifier: GPL-3.0-or-later
"""The phone alphabet: 39 ARPABET phones and silence, as labels of the encoder and cues of the
teacher."""

PHONES = (
    "SIL AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW "
    "V W Y Z ZH"
).split()
SILENCE = 0
BILABIALS = tuple(PHONES.index(p) for p in "B M P".split())
LABIODENTALS = tuple(PHONES.index(p) for p in "F V".split())
DENTALS = tuple(PHONES.index(p) for p in "DH TH".split())
VOWELS = tuple(PHONES.index(p) for p in "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())
SIBILANTS = tuple(PHONES.index(p) for p in "S Z SH ZH CH JH".split())

# Symbols that synthesisers and aligners use for sounds that have another name in ARPABET.
_ALIASES = {
    "PAU": "SIL", "SP": "SIL", "SPN": "SIL", "+SPN+": "SIL", "+NSN+": "SIL", "BRTH": "SIL",
    "H#": "SIL", "SSIL": "SIL",
    "AX": "AH", "AXR": "ER", "IX": "IH", "UX": "UW", "EL": "L", "EM": "M", "EN": "N", "DX": "D",
    "NX": "N", "HV": "HH",
    "OH": "AO", "IA": "IH", "EA": "EH", "UA": "UH",
}  # fmt: skip
_INDEX = {p: i for i, p in enumerate(PHONES)}


def phone_index(symbol: str) -> int:
    """Index into PHONES of an ARPABET-like symbol, any case, stress digits ignored; unknown symbols
    are silence."""
    s = symbol.upper().rstrip("0123456789")
    return _INDEX.get(_ALIASES.get(s, s), SILENCE)
