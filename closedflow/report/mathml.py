"""Claims of the claim language as MathML: what a browser shows as a formula and a screen reader reads as one."""

import ast
import re
from collections.abc import Mapping
from html import escape, unescape

import sympy

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "eta": "η", "theta": "θ", "kappa": "κ", "mu": "μ", "nu": "ν",
    "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "omega": "ω", "Phi": "Φ", "Sigma": "Σ", "Pi": "Π",
}  # fmt: skip
MARKS = {"star": "∗", "hat": "^", "perp": "⊥"}
# How tightly an operation binds; what binds less than its surroundings is put in parentheses.
SUM, PRODUCT, UNARY, POWER, ATOM = 1, 2, 3, 4, 5


def equation(text: str, flow: Mapping[str, str] | None = None) -> str:
    """A claim as a block of MathML.

    Args:
        text: The claim.
        flow: Names of exponentials to their generators: they are written as powers of e.

    Example:
        >>> equation("A.T == I")
        '<math display="block"><mrow><msup><mi>A</mi><mo>⊤</mo></msup><mo>=</mo><mi>I</mi></mrow></math>'
    """
    return f'<math display="block">{Writer(flow or {}).top(text)}</math>'


def formula(expression: sympy.Basic) -> str:
    """A sympy formula as a block of MathML.

    Example:
        >>> formula(sympy.Symbol("s") < 2)
        '<math display="block"><mrow><mi>s</mi><mo>&lt;</mo><mn>2</mn></mrow></math>'
    """
    from sympy.printing.mathml import mathml

    text = re.sub(
        r"&(?!lt;|gt;|amp;|quot;)\w+;", lambda found: unescape(found[0]), mathml(expression, printer="presentation")
    )
    text = text.replace("<mo><</mo>", "<mo>&lt;</mo>").replace(
        "<mo>></mo>", "<mo>&gt;</mo>"
    )  # sympy leaves these as they are
    return f'<math display="block">{text}</math>'


class Writer:
    """Writes syntax trees as MathML.

    Args:
        flow: Names of exponentials to their generators.
    """

    def __init__(self, flow: Mapping[str, str]) -> None:
        self.flow = dict(flow)

    def top(self, text: str) -> str:
        """A text of the claim language as one row."""
        tree = ast.parse(" ".join(text.split()), mode="eval").body
        if isinstance(tree, ast.Compare):
            return _row(self.write(tree.left), _mo("="), self.write(tree.comparators[0]))
        return self.write(tree)

    def write(self, tree: ast.expr, within: int = 0) -> str:
        """A tree, in parentheses where its surroundings bind more tightly."""
        text, binds = self._part(tree)
        return _row(_mo("("), text, _mo(")")) if binds < within else text

    def _part(self, tree: ast.expr) -> tuple[str, int]:
        match tree:
            case ast.Name(id=name):
                return (self._exponential(name, "t"), POWER) if name in self.flow else (_name(name), ATOM)
            case ast.Constant(value=value):
                return f"<mn>{escape(str(value))}</mn>", ATOM
            case ast.Attribute(value=value, attr="T"):
                return f"<msup>{self.write(value, ATOM)}{_mo('⊤')}</msup>", POWER
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _row(_mo("−"), self.write(operand, PRODUCT)), SUM
            case ast.UnaryOp(operand=operand):
                return self._part(operand)
            case ast.BinOp():
                negative, positive = _sign(tree)
                return (_row(_mo("−"), self.write(positive, PRODUCT)), SUM) if negative else self._operation(tree)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self._call(name, arguments)
        message = f"no formula for {ast.dump(tree)}"
        raise ValueError(message)

    def _operation(self, tree: ast.BinOp) -> tuple[str, int]:
        match tree.op:
            case ast.Add():
                return _row(self.write(tree.left, SUM), _mo("+"), self.write(tree.right, SUM)), SUM
            case ast.Sub():
                return _row(self.write(tree.left, SUM), _mo("−"), self.write(tree.right, PRODUCT)), SUM
            case ast.Div():
                return f"<mfrac>{self.write(tree.left)}{self.write(tree.right)}</mfrac>", UNARY
            case ast.Pow():
                return f"<msup>{self.write(tree.left, ATOM)}{self.write(tree.right)}</msup>", POWER
            case _:
                return _row(self.write(tree.left, PRODUCT), _mo("\u2062"), self.write(tree.right, UNARY)), PRODUCT

    def _call(self, name: str, arguments: list[ast.expr]) -> tuple[str, int]:
        first = arguments[0]
        match name:
            case "pinv":
                return f"<msup>{self.write(first, ATOM)}{_mo('+')}</msup>", POWER
            case "d":
                return _row(
                    "<mfrac><mi>d</mi><mrow><mi>d</mi><mi>t</mi></mrow></mfrac>", self.write(first, UNARY)
                ), UNARY
            case "start":
                return _row(
                    self.write(first, ATOM), "<msub><mo>|</mo>", _row("<mi>t</mi>", _mo("="), "<mn>0</mn>"), "</msub>"
                ), UNARY
            case "limit":
                below = _row("<mi>t</mi>", _mo("→"), _mo("∞"))
                return _row(f"<munder><mi>lim</mi>{below}</munder>", self.write(first, UNARY)), UNARY
            case "integral" if isinstance(first, ast.Name) and first.id in self.flow:
                inner = self._exponential(first.id, "τ")
                sign = f"<msubsup>{_mo('∫')}<mn>0</mn><mi>t</mi></msubsup>"
                return _row(sign, inner, "<mi>d</mi><mi>τ</mi>"), UNARY
            case "expect" | "var":
                sign = {"expect": "E", "var": "Var"}[name]
                letter, variance = self.write(arguments[1]), self.write(arguments[2])
                law = _row(letter, _mo("∼"), "<mi>N</mi>", _mo("("), "<mn>0</mn>", _mo(","), variance, _mo(")"))
                return _row(f"<munder><mi>{sign}</mi>{law}</munder>", self.write(first, ATOM)), UNARY
        return _row(f"<mi>{escape(name)}</mi>", _mo("("), self.write(first), _mo(")")), UNARY

    def _exponential(self, name: str, time: str) -> str:
        generator = ast.parse(self.flow[name], mode="eval").body
        inner = Writer({}).write(generator, PRODUCT)
        return f"<msup><mi>e</mi>{_row(_mo('−'), f'<mi>{time}</mi>', inner)}</msup>"


def _sign(tree: ast.expr) -> tuple[bool, ast.expr]:
    """Whether a product begins with a minus, and the product without it: -c * A is −(cA)."""
    match tree:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return True, operand
        case ast.BinOp(op=ast.Mult() | ast.MatMult() | ast.Div()):
            negative, left = _sign(tree.left)
            return negative, ast.BinOp(left, tree.op, tree.right)
    return False, tree


def _name(name: str) -> str:
    """A letter with its digits as index: W0 is W with index 0, Wstar is W with a star."""
    stem = name.rstrip("0123456789").rstrip("_")
    index = name[len(stem) :].strip("_")
    for word, mark in MARKS.items():
        if stem != word and stem.endswith(word):
            stem, index = stem.removesuffix(word).rstrip("_"), mark
    if "_" in stem:
        stem, _, index = stem.partition("_")
    letter = f"<mi>{escape(GREEK.get(stem, stem))}</mi>"
    return f"<msub>{letter}<mi>{escape(GREEK.get(index, index))}</mi></msub>" if index else letter


def _mo(operator: str) -> str:
    return f"<mo>{operator}</mo>"


def _row(*parts: str) -> str:
    return f"<mrow>{''.join(parts)}</mrow>"
