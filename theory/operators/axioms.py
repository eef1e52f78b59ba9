r"""What may be used without proof: the hypotheses, and the defining equations of every construct in the statement.

For ``pinv(A)`` these are Penrose's four equations (L-PINV). For a flow :math:`E = e^{-tG}` with
:math:`\tilde\Phi = \int_0^t e^{-sG} ds` they are :math:`E = I - G\tilde\Phi` (L-EXP), and
:math:`GM = MH \Rightarrow \tilde\Phi_G M = M\tilde\Phi_H` (L-UNIQUE). This module belongs to the trusted base.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from theory.operators.algebra import Reading
from theory.operators.expressions import (
    Dimension,
    Integral,
    Letter,
    Pinv,
    Shape,
)
from theory.operators.scalars import TIME, Symbol
from theory.operators.statement import Statement
from theory.operators.words import Factor, Polynomial, Word, transpose


@dataclass(frozen=True)
class Axiom:
    """An equation ``polynomial = 0`` that may be used.

    Attributes:
        name: The equation as text; it names the axiom in a certificate.
        polynomial: Left side minus right side.
        sources: What it comes from: the texts of hypotheses, or the construct it defines.
        lemma: The lemma that provides it; empty for a hypothesis.
        basic: False for those that a proof seldom needs and that slow the search down.
    """

    name: str
    polynomial: Polynomial
    sources: tuple[str, ...]
    lemma: str = ""
    basic: bool = True


class Algebra(Reading):
    """The polynomials of one statement and its axioms."""

    def __init__(self, statement: Statement) -> None:
        super().__init__(statement)
        # Pseudo-inverses that the statement does not mention: those of the flows make their invertibility usable,
        # those of the letters in a hypothesis let it conclude A = 0 from Aᵀ A = 0.
        self._mentioned = dict(self.pseudo_inverses)
        assumed = {part.name for _, polynomial in self.hypotheses for word in polynomial.terms for part in word}
        for name in [*self.generators, *sorted(assumed & set(statement.dynamics.shapes))]:
            self.polynomial(Pinv(Letter(name)))
        self.axioms: dict[str, Axiom] = {axiom.name: axiom for axiom in self._axioms() if axiom.polynomial.terms}

    def _identity(self, size: Dimension) -> Polynomial:
        return Polynomial((size, size), {(): self.coefficients.one})

    def _axioms(self) -> Iterator[Axiom]:
        for text, polynomial in self.hypotheses:
            yield from with_transpose(Axiom(text, polynomial, (text,)))
            yield from self._vanishing_squares(text, polynomial)
        yield from self._square_inverses()
        for name, matrix in self.pseudo_inverses.items():
            yield from self._penrose(name, matrix)
        for name, generator in self.generators.items():
            yield from self._flow(name, generator)
        yield from self._one_by_one()

    def _square_inverses(self) -> Iterator[Axiom]:
        """A one-sided inverse of a square matrix is two-sided: from a hypothesis A B = I, B A = I."""
        for text, polynomial in self.hypotheses:
            words = [word for word in polynomial.terms if word]
            if len(polynomial.terms) != 2 or len(words) != 1 or len(words[0]) != 2:
                continue
            value, (first, second) = polynomial.terms[words[0]], words[0]
            square = len({*self.factor_shape(first), *self.factor_shape(second)}) == 1
            # A factor in front that is not a number could be zero; then the hypothesis says nothing.
            if square and value + polynomial.terms[()] == 0 and self.coefficients.is_constant(value):
                product = Polynomial(polynomial.shape, {(second, first): self.coefficients.one})
                label = f"{product} == I"
                yield from with_transpose(Axiom(label, product - self._identity(polynomial.shape[0]), (text,), "L-DIM"))

    def _penrose(self, name: str, a: Polynomial) -> Iterator[Axiom]:
        p, one, shown = self.letter(name), self._identity(a.shape[0]), str(a)
        ap, pa = a @ p, p @ a
        basic = name in self._mentioned
        source: tuple[str, ...] = (f"Penrose equations of {name}",)
        for text, polynomial in (
            (f"({shown}) @ {name} @ ({shown}) == {shown}", ap @ a - a),
            (f"{name} @ ({shown}) @ {name} == {name}", p @ ap - p),
            (f"(({shown}) @ {name}).T == ({shown}) @ {name}", ap.T - ap),
            (f"({name} @ ({shown})).T == {name} @ ({shown})", pa.T - pa),
        ):
            yield from with_transpose(Axiom(text, polynomial, source, "L-PINV", basic))
        lemma = "L-EXP" if shown in self.generators else "L-SQUARE" if self._is_definite(a) else ""
        if lemma:
            positive = [name for value in a.terms.values() for name in self.coefficients.declared(value)]
            source = (f"{shown} is invertible", *dict.fromkeys(positive if lemma == "L-SQUARE" else ()))
            for text, polynomial in ((f"({shown}) @ {name} == I", ap - one), (f"{name} @ ({shown}) == I", pa - one)):
                yield from with_transpose(Axiom(text, polynomial, source, lemma, basic))

    def _vanishing_squares(self, text: str, polynomial: Polynomial) -> Iterator[Axiom]:
        """A sum of positive multiples of squares that is zero: each of them is; with I among them, that is a contradiction."""
        for value in (polynomial, polynomial.scaled(-1)):
            if len(value.terms) > 1 and self._is_sum_of_squares(value):
                declared = [name for a in value.terms.values() for name in self.coefficients.declared(a)]
                sources = tuple(dict.fromkeys([text, *declared]))
                for word in value.terms:
                    head = Polynomial(
                        self._shape_of(word[: len(word) // 2], value.shape),
                        {word[: len(word) // 2]: self.coefficients.one},
                    )
                    yield from with_transpose(Axiom(f"{head} == 0", head, sources, "L-SQUARE"))

    def _shape_of(self, word: Word, shape: Shape) -> Shape:
        return (shape[0], self.factor_shape(word[-1])[1]) if word else shape

    def _is_sum_of_squares(self, a: Polynomial) -> bool:
        """Whether a matrix is a sum of positive multiples of squares A Aᵀ, I among them."""
        halves = [(word[: len(word) // 2], word[len(word) // 2 :]) for word in a.terms]
        squares = all(tail == transpose(head) for head, tail in halves)
        return squares and all(self.coefficients.is_positive(value) for value in a.terms.values())

    def _is_definite(self, a: Polynomial) -> bool:
        """Whether a matrix is a sum of positive multiples of squares A Aᵀ and of I."""
        return () in a.terms and self._is_sum_of_squares(a)

    def _flow(self, name: str, generator: Polynomial) -> Iterator[Axiom]:
        flow, integral = self.letter(name), self.letter(str(Integral(name)))
        shown = str(generator)
        source = f"{name} = exp(-t ({shown}))"
        text = f"{name} == I - ({shown}) @ integral({name})"
        polynomial = flow - self._identity(generator.shape[0]) + generator @ integral
        yield from with_transpose(Axiom(text, polynomial, (source,), "L-EXP"))
        symmetry = self._symmetry(generator)
        if symmetry is not None:
            for letter in (flow, integral):
                sources = (f"{source} is symmetric", *symmetry)
                yield Axiom(f"{letter}.T == {letter}", letter.T - letter, sources, "L-EXP")
        yield from self._null_space(name, generator)
        for other, second in self.generators.items():
            for middle in self._intertwiners(generator, second):
                # G M = M H is checked here as an identity of polynomials, so it holds for all matrices.
                if (generator @ middle - middle @ second).terms:
                    continue
                right = self.letter(str(Integral(other)))
                words = str(middle)
                label = f"{integral} @ ({words}) == ({words}) @ {right}"
                pair = f"{name} commutes" if name == other else f"{name} and {other} intertwine"
                sources = (f"{pair} with {words}",)
                yield from with_transpose(Axiom(label, integral @ middle - middle @ right, sources, "L-UNIQUE"))
            yield from self._products(name, other)

    def _null_space(self, name: str, generator: Polynomial) -> Iterator[Axiom]:
        """On the null space of G = A Aᵀ the integral is t; stated where the statement speaks of A⁺ and of t."""
        word = next(iter(generator.terms), ())
        head = word[: len(word) // 2]
        if not self.timed or len(generator.terms) != 1 or not head or word != head + transpose(head):
            return
        root = Polynomial((generator.shape[0], self.factor_shape(head[-1])[1]), {head: self.coefficients.one})
        inverse = f"pinv({root})"
        if inverse in self._mentioned:
            one, integral = self._identity(generator.shape[0]), self.letter(str(Integral(name)))
            projector = one - root @ self.letter(inverse)
            time = self.coefficients.read(Symbol(TIME))
            label = f"{integral} @ ({projector}) == t * ({projector})"
            sources = (f"{name} is constant on the null space of its generator",)
            yield from with_transpose(Axiom(label, integral @ projector - projector.scaled(time), sources, "L-ZERO"))

    def _products(self, first: str, second: str) -> Iterator[Axiom]:
        """exp(A) exp(B) = exp(B) exp(A) = exp(A + B) for commuting A and B, where all of them are at hand."""
        a, b = self.generators[first], self.generators[second]
        if a.shape != b.shape or a @ b != b @ a:
            return
        product = self.letter(first) @ self.letter(second)
        sources = (f"{first} and {second} have generators that commute",)
        if first < second:
            label = f"{first} @ {second} == {second} @ {first}"
            yield Axiom(label, product - self.letter(second) @ self.letter(first), sources, "L-UNIQUE")
        total = a + b
        if not total.terms:
            yield Axiom(f"{first} @ {second} == I", product - self._identity(a.shape[0]), sources, "L-UNIQUE")
        for name, generator in self.generators.items():
            if generator == total:
                yield Axiom(f"{first} @ {second} == {name}", product - self.letter(name), sources, "L-UNIQUE")

    def _intertwiners(self, first: Polynomial, second: Polynomial) -> Iterator[Polynomial]:
        """The M worth trying in G M = M H: the beginnings of the words of G, and G itself without its multiple of I."""
        shape = first.shape[0], second.shape[0]
        words = {word[:length]: None for word in first.terms for length in range(1, len(word) + 1)}
        for word in words:
            if (self.factor_shape(word[0])[0], self.factor_shape(word[-1])[1]) == shape:
                yield Polynomial(shape, {word: self.coefficients.one})
        rest = {word: value for word, value in first.terms.items() if word}
        if first == second and len(rest) > 1:
            yield Polynomial(shape, rest)

    def _symmetry(self, generator: Polynomial) -> tuple[str, ...] | None:
        """The hypotheses ``S.T == S`` by which the generator is symmetric word by word; None if it is not."""
        texts: dict[str, str] = {}
        for text, polynomial in self.hypotheses:
            words, values = list(polynomial.terms), list(polynomial.terms.values())
            opposite = len(words) == 2 and len(words[0]) == 1 and words[0] == transpose(words[1])
            # A factor in front that is not a number could be zero; then the hypothesis says nothing.
            if opposite and values[0] + values[1] == 0 and self.coefficients.is_constant(values[0]):
                texts[words[0][0].name] = text

        def plain(polynomial: Polynomial) -> Polynomial:
            total = Polynomial(polynomial.shape, {})
            for word, value in polynomial.terms.items():
                same = tuple(Factor(part.name) if part.name in texts else part for part in word)
                total = total + Polynomial(polynomial.shape, {same: value})
            return total

        if plain(generator) != plain(generator.T):
            return None
        letters = {part.name for word in generator.terms for part in word}
        return tuple(text for name, text in texts.items() if name in letters)

    def _one_by_one(self) -> Iterator[Axiom]:
        """A 1×1 matrix is its own transpose; stated for every 1×1 piece of a word in the claim or a hypothesis."""
        seen: set[Word] = set()
        # In a trace every word stands for its transpose, so a goal of traces needs none of these.
        goal = [] if self.about_scalars else [self.goal]
        for polynomial in (*goal, *(hypothesis for _, hypothesis in self.hypotheses)):
            for word in polynomial.terms:
                for piece in self._pieces(word):
                    if piece in seen or transpose(piece) in seen or piece == transpose(piece):
                        continue
                    seen.add(piece)
                    value = Polynomial((1, 1), {piece: self.coefficients.one})
                    yield Axiom(f"({value}).T == {value}", value.T - value, ("a 1×1 matrix is its own transpose",))

    def _pieces(self, word: Word) -> Iterator[Word]:
        shapes = [self.factor_shape(factor) for factor in word]
        starts = [index for index, shape in enumerate(shapes) if shape[0] == 1]
        ends = [index + 1 for index, shape in enumerate(shapes) if shape[1] == 1]
        return (word[start:end] for start in starts for end in ends if start < end)


def with_transpose(axiom: Axiom) -> Iterator[Axiom]:
    """The axiom, and its transpose where that is another."""
    yield axiom
    flipped = axiom.polynomial.T
    if axiom.polynomial not in (flipped, flipped.scaled(-1)):
        yield replace(axiom, name=f"transposed: {axiom.name}", polynomial=flipped)
