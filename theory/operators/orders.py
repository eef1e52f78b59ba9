"""The order of words in the completion: which of two words is the greater, and so the one that is rewritten."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from theory.operators.words import Factor, Polynomial, Word

Code: TypeAlias = str
"""A word in which every letter is one character: then Python's own string search finds subwords."""


@dataclass
class Encoding:
    """Letters as characters with weights; later characters are the greater letters."""

    weights: dict[str, int]
    letters: dict[Factor, str] = field(default_factory=dict)
    factors: dict[str, Factor] = field(default_factory=dict)

    def code(self, word: Word) -> Code:
        """A word as a string."""
        return "".join(self.letters[factor] for factor in word)

    def word(self, code: Code) -> Word:
        """A string as a word."""
        return tuple(self.factors[letter] for letter in code)

    def key(self, code: Code) -> tuple[int, int, Code]:
        """The order of words: by weight, then length, then letters. It is compatible with products."""
        weights = self.weights
        return sum(weights[letter] for letter in code), len(code), code


def encode(axioms: Sequence[Polynomial], goal: Iterable[Word]) -> Encoding:
    """Choose the order: a letter that an axiom defines by others is heavier than its definition, so it disappears."""
    words = [*goal, *(word for axiom in axioms for word in axiom.terms)]
    factors = {factor: None for word in words for factor in word}
    names = list(dict.fromkeys(factor.name for factor in factors))
    heavy: dict[str, int] = {}
    for axiom in axioms:
        name = _defined_letter(axiom)
        if name is not None and name not in heavy:
            rest = [word for word in axiom.terms if all(factor.name != name for factor in word)]
            heavy[name] = 1 + max((sum(heavy.get(factor.name, 1) for factor in word) for word in rest), default=0)

    def rank(name: str) -> tuple[int, bool, int]:
        return heavy.get(name, 1), name.startswith(("pinv", "integral")), names.index(name)

    ordered = sorted(names, key=rank)
    encoding = Encoding({})
    for transposed in (False, True):
        for name in ordered:
            letter = chr(0x100 + len(encoding.letters))
            encoding.letters[Factor(name, transposed)] = letter
            encoding.factors[letter] = Factor(name, transposed)
            encoding.weights[letter] = heavy.get(name, 1)
    return encoding


def _defined_letter(polynomial: Polynomial) -> str | None:
    """The letter A of an equation A = (words without A), if the equation has that form and words longer than A."""
    if max(len(word) for word in polynomial.terms) < 2:
        return None
    for word in polynomial.terms:
        if len(word) == 1 and sum(factor.name == word[0].name for other in polynomial.terms for factor in other) == 1:
            return word[0].name
    return None
