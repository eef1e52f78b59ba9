"""From text to a syntax tree of bounded size, by way of Python's own grammar; nothing is evaluated."""

from __future__ import annotations

import ast
import unicodedata
import warnings
from fractions import Fraction

from theory.errors import ClaimError
from theory.operators.limits import (
    DEPTH,
    DIGITS,
    LARGEST_POWER,
    LENGTH,
    NODES,
    SMALLEST_POWER,
    TooLargeError,
    check_size,
)

_BITS = DIGITS * 10 // 3
_QUOTED = 200


def syntax(text: str, argument: str) -> ast.expr:
    """The syntax tree of one expression or comparison.

    Raises:
        ClaimError: If the text does not parse (the message gives the column), or is too large.

    Example:
        >>> syntax("W @@ X == Y", "claim")
        Traceback (most recent call last):
        ...
        theory.errors.ClaimError: claim must be written in the claim language, but `W @@ X == Y` does not parse at column 4,
        `@ X == Y`: invalid syntax. Write for example `W @ X == Y`.
    """
    if not isinstance(text, str):
        message = f"{argument} must be text, but it is of type {type(text).__name__}. Pass a string."
        raise ClaimError(message)
    check_size(argument, len(text), LENGTH, "characters")
    line = _one_line(text)
    check_letters(line, argument)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's advice on its own programs, such as on `1if`
            tree = ast.parse(line, mode="eval").body
    except SyntaxError as error:
        raise _does_not_parse(line, argument, error) from None
    except ValueError:
        message = f"{argument} must be plain text, but {short(line)!r} holds a character of code 0. Remove it."
        raise ClaimError(message) from None
    except (RecursionError, MemoryError):
        raise TooLargeError(argument, DEPTH, "operations inside one another") from None
    _check_tree(tree, argument)
    return tree


def check_letters(text: str, argument: str) -> None:
    """Refuse letters that Python reads as other letters.

    Raises:
        ClaimError: If there are any.

    Example:
        >>> check_letters("\N{MICRO SIGN} * A == A", "claim")
        Traceback (most recent call last):
        ...
        theory.errors.ClaimError: claim must be written in plain letters, but it holds `µ`, which reads as `μ`. Replace it.
    """
    for letter in text:
        plain = unicodedata.normalize("NFKC", letter)
        if plain != letter:
            message = f"{argument} must be written in plain letters, but it holds `{letter}`, which reads as `{plain}`. Replace it."
            raise ClaimError(message)


def number(node: ast.expr, text: str) -> Fraction | None:
    """An int or decimal literal, exactly as it is written; None for anything else.

    Raises:
        TooLargeError: If it has too many digits.

    Example:
        >>> number(syntax("0.1", "claim"), "0.1")
        Fraction(1, 10)
    """
    if not isinstance(node, ast.Constant) or isinstance(node.value, bool):
        return None
    if isinstance(node.value, int):
        check_size("a number", node.value.bit_length(), _BITS, "bits")
        return Fraction(node.value)
    if not isinstance(node.value, float):
        return None
    written = ast.get_source_segment(_one_line(text), node) or ""
    exponent = written.lower().partition("e")[2] or "0"
    check_size("a number", len(written), DIGITS, "digits")
    check_size("a number", int(exponent), LARGEST_POWER, "as its power of ten")
    check_size("a number", -int(exponent), SMALLEST_POWER, "places after the point")
    return Fraction(written.replace("_", ""))


def short(text: str) -> str:
    """A text as it is quoted in an error."""
    printable = "".join(letter if letter.isprintable() else "�" for letter in text[:_QUOTED])
    return printable if len(text) <= _QUOTED else f"{printable}…"


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ").strip()


def _does_not_parse(line: str, argument: str, error: SyntaxError) -> ClaimError:
    column = error.offset or 0
    place = f" at column {column}, `{short(line[column - 1 :])}`" if 0 < column <= len(line) else " at its end"
    reason = error.msg.partition(";")[0]
    message = f"{argument} must be written in the claim language, but `{short(line)}` does not parse{place}: {reason}."
    return ClaimError(f"{message} Write for example `W @ X == Y`.")


def _check_tree(tree: ast.expr, argument: str) -> None:
    """Count the nodes and the depth without recursion."""
    nodes, depth, level = 0, 0, [tree]
    while level:
        nodes, depth = nodes + len(level), depth + 1
        check_size(argument, depth, DEPTH, "operations inside one another")
        check_size(argument, nodes, NODES, "letters and operations")
        level = [child for node in level for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
