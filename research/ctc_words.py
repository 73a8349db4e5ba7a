# SPDX-License-Identifier: GPL-3.0-or-later
"""Words from phone probabilities: a CTC beam search over a tree of pronunciations with a language model.

A second recogniser besides pocketsphinx, which aligned the training phones. Its acoustic model is the shipped encoder's CTC head,
trained on other speakers than those measured; dictionary and language model are pocketsphinx's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

BEAM = 60  # paths followed
_FAR = 9.0  # pruning threshold below the best phone of a frame, or the best path, nats
_NONE = -math.inf


@dataclass
class Node:
    """A node in the tree of pronunciations: phones that may follow, words that end here, and the log probability of the likeliest word that
    continues or ends here."""

    children: dict[int, Node] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    likeliest: float = _NONE


def tree(lexicon: Iterable[tuple[str, list[int]]], log_probability: Callable[[str], float]) -> Node:
    """The tree of (word, phones); log_probability: of a word alone."""
    root = Node()
    for word, phones in lexicon:
        if not phones:
            continue
        node, own = root, log_probability(word)
        for phone in phones:
            node = node.children.setdefault(phone, Node())
            node.likeliest = max(node.likeliest, own)
        if word not in node.words:
            node.words.append(word)
    root.likeliest = 0.0
    return root


def _sum(a: float, b: float) -> float:
    """log(exp a + exp b)."""
    if a < b:
        a, b = b, a
    return a if b == _NONE else a + math.log1p(math.exp(b - a))


class _Paths(dict):
    """Paths of a frame: (node's id, last phone, last two words) → [log probability that ends with a blank, … with a phone, node, words]."""

    def add(self, key, value: float, ends_with: int, node: Node, words: tuple[str, ...]) -> None:
        path = self.get(key)
        if path is None:
            self[key] = path = [_NONE, _NONE, node, words]
        elif value > max(path[0], path[1]):
            path[3] = words
        path[ends_with] = _sum(path[ends_with], value)


class Words:
    """The decoder. language: log probability of a word after at most two others, the latest last.

    weight: of the language model; bonus: nats for each word, which compensates the weight's cost for long sentences. Both were chosen on
    natural speech of validation speakers."""

    def __init__(
        self, root: Node, language: Callable[[str, tuple[str, ...]], float], weight: float = 0.5, bonus: float = 0.5, beam: int = BEAM
    ):  # fmt: skip
        self.root, self.language, self.weight, self.bonus, self.beam = root, language, weight, bonus, beam

    def decode(self, logits: np.ndarray, blank: int = 0) -> str:
        """The words of logits [N, phones], separated by spaces."""
        logits = np.asarray(logits, np.float64)
        scores = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        paths = _Paths()
        paths.add((id(self.root), -1, ()), 0.0, 0, self.root, ())
        for frame in scores:
            paths = self._next(paths, frame, blank)
        whole = [(_sum(p[0], p[1]), p[3]) for p in paths.values() if p[2] is self.root]
        best = max(whole, default=(0.0, max(paths.values(), key=lambda p: max(p[0], p[1]))[3]))
        return " ".join(best[1])

    def _next(self, paths: _Paths, frame: np.ndarray, blank: int) -> _Paths:
        made = _Paths()
        phones = [(int(p), float(frame[p])) for p in np.flatnonzero(frame > frame.max() - _FAR) if p != blank]
        for (_, last, history), (by_blank, by_phone, node, words) in paths.items():
            both = _sum(by_blank, by_phone)
            made.add((id(node), last, history), both + float(frame[blank]), 0, node, words)
            if last >= 0 and by_phone > _NONE:
                made.add((id(node), last, history), by_phone + float(frame[last]), 1, node, words)
            for phone, score in phones:
                child = node.children.get(phone)
                before = by_blank if phone == last else both
                if child is None or before == _NONE:
                    continue
                value = before + score + self.weight * (child.likeliest - node.likeliest)
                if child.children:
                    made.add((id(child), phone, history), value, 1, child, words)
                for word in child.words:
                    added = self.weight * (self.language(word, history) - child.likeliest) + self.bonus
                    after = (*history, word)[-2:]
                    made.add((id(self.root), phone, after), value + added, 1, self.root, (*words, word))
        if len(made) > 1:
            ranked = sorted(made.items(), key=lambda item: -max(item[1][0], item[1][1]))
            least = max(ranked[0][1][:2]) - 2 * _FAR
            made = _Paths((key, path) for key, path in ranked[: self.beam] if max(path[:2]) >= least)
        return made


def english(**settings) -> Words:
    """A decoder with pocketsphinx's dictionary of English and its language model; settings: of `Words`."""
    from pocketsphinx import Decoder, get_model_path

    from thunder_core.engine.speech.phones import phone_index

    decoder = Decoder(loglevel="FATAL")
    model, log_of = decoder.get_lm(), math.log(decoder.logmath.exp(1000)) / 1000

    def language(word: str, history: tuple[str, ...]) -> float:
        return model.prob([word, *reversed(history)]) * log_of

    def lexicon():
        for line in Path(get_model_path("en-us/cmudict-en-us.dict")).read_text().splitlines():
            word, *phones = line.split()
            word = word.partition("(")[0]
            if model.prob([word]) > -(2**28):  # the language model knows it
                yield word, [phone_index(phone) for phone in phones]

    return Words(tree(lexicon(), lambda word: language(word, ())), language, **settings)
