# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences in twelve languages for `research/voices.py`, spoken by espeak-ng with exact phone times.

The variants (f5, m5, m6, m8) are in no training corpus. Of the languages, nine are in it only as English letters read by their
rules; Finnish, Hungarian and Russian are not in it at all.
"""

from __future__ import annotations

from thunder_core.train.voices import speak_espeak

VARIANTS = ("+f5", "+m5", "+m6", "+m8")
SENTENCES = {
    ("French", "fr"): (
        "Bonjour, je m'appelle Pauline et je viens de Bordeaux.", "Le petit bateau bleu passe sous le pont pendant la nuit.",
        "Il ne faut pas vendre la peau de l'ours avant de l'avoir tué.", "Ma mère prépare une bonne soupe aux pommes de terre.",
        "Où peut-on trouver un bon médecin dans ce quartier ?", "Nous voulons beaucoup de lumière, du vin et une chambre.",
    ),
    ("German", "de"): (
        "Guten Morgen, mein Name ist Barbara und ich komme aus München.", "Am Abend spielen viele Kinder vor dem Haus mit dem Ball.",
        "Übung macht den Meister, sagt man bei uns im Dorf.", "Wir möchten bitte zwei Pfund Äpfel und ein paar Pflaumen.",
    ),
    ("Spanish", "es"): (
        "Buenos días, me llamo Pablo y vivo cerca de la playa.", "El perro blanco bebe agua fresca en la puerta.",
        "Mañana vamos a comprar pan, miel y un poco de vino.", "Más vale pájaro en mano que ciento volando.",
    ),
    ("Italian", "it"): (
        "Buongiorno, mi chiamo Bianca e abito vicino a Palermo.", "La mamma prepara la pasta con pomodoro e basilico.",
        "Chi va piano va sano e va lontano, dice il proverbio.", "Vorrei una camera per due persone, per favore.",
    ),
    ("Portuguese", "pt"): (
        "Bom dia, o meu nome é Beatriz e moro perto do mar.", "O menino pequeno bebe um copo de leite pela manhã.",
        "Amanhã vamos comprar peixe fresco no mercado do porto.", "Água mole em pedra dura tanto bate até que fura.",
    ),
    ("Dutch", "nl"): (
        "Goedemorgen, mijn naam is Bram en ik woon op een boot.", "De moeder van mijn vriend bakt vandaag appelbrood.",
        "Wij willen graag drie broden en een beetje boter kopen.", "Wie het laatst lacht, lacht het best, zeggen ze hier.",
    ),
    ("Polish", "pl"): (
        "Dzień dobry, mam na imię Barbara i mieszkam w Poznaniu.", "Mała dziewczynka pije mleko i bawi się piłką przed domem.",
        "Proszę bilet do Warszawy na popołudniowy pociąg.", "Bez pracy nie ma kołaczy, mówi stare przysłowie.",
    ),
    ("Turkish", "tr"): (
        "Merhaba, benim adım Mehmet ve burada babamla oturuyorum.", "Küçük kız bahçede büyük bir topla oynuyor.",
        "Bize biraz peynir, ekmek ve iki bardak çay verin lütfen.", "Damlaya damlaya göl olur derdi babaannem.",
    ),
    ("Swedish", "sv"): (
        "God morgon, jag heter Björn och bor bredvid en park.", "Den lilla pojken bygger en båt av papper på bordet.",
        "Vi vill gärna köpa bröd, mjölk och några päron.", "Bättre en fågel i handen än tio i skogen.",
    ),
    ("Finnish", "fi"): (
        "Hyvää huomenta, minun nimeni on Pekka ja asun Tampereella.", "Pieni poika juo maitoa ja leikkii pallolla pihalla.",
        "Voimmeko ostaa vähän leipää, voita ja punaisia omenoita?", "Parempi myöhään kuin ei milloinkaan, sanoo vanha mummo.",
    ),
    ("Hungarian", "hu"): (
        "Jó napot kívánok, a nevem Péter és Budapesten lakom.", "A kisfiú piros labdával játszik a ház előtt.",
        "Kérek szépen fél kiló almát és egy üveg bort.", "Ki korán kel, aranyat lel, mondja a nagymamám.",
    ),
    ("Russian", "ru"): (
        "Доброе утро, меня зовут Павел, и я живу в Москве.", "Маленький мальчик пьёт молоко и играет с мамой.",
        "Мы хотим купить хлеба, масла и немного яблок.", "Без труда не выловишь и рыбку из пруда.",
    ),
}  # fmt: skip


def spoken() -> dict[str, list[tuple]]:
    """{"espeak, French": [(samples at 16 kHz, [(phone, start s, end s)]), …], …}. Raises RuntimeError without espeak-ng."""
    return {
        f"espeak, {language}": [
            speak_espeak(text, code + VARIANTS[i % len(VARIANTS)], 140 + 15 * (i % 4), 35 + 10 * (i % 4)) for i, text in enumerate(texts)
        ]
        for (language, code), texts in SENTENCES.items()
    }
