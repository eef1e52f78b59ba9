"""What objects show of themselves in a notebook: small tables in plain HTML, readable in a light and in a dark theme."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

_COLOURS = {
    **dict.fromkeys(("proved", "agrees", "holds"), "#2a9d4a"),
    **dict.fromkeys(("refuted", "disagrees", "broken"), "#e5484d"),
}


def verdict(word: str) -> str:
    """A verdict in its colour; the word says it too, for those who see none.

    Example:
        >>> verdict("proved")
        '<strong style="color:#2a9d4a">proved</strong>'
    """
    return f'<strong style="color:{_COLOURS.get(word, "#b7791f")}">{escape(word)}</strong>'


def listing(caption: str, rows: Iterable[tuple[str, str]]) -> str:
    """Names and values, a row each; the values are HTML, captions and names are text.

    Example:
        >>> listing("a < b", [("n", "1")])
        '<table><caption>a &lt; b</caption><tbody><tr><th scope="row">n</th><td>1</td></tr></tbody></table>'
    """
    body = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{value}</td></tr>' for name, value in rows)
    return f"<table><caption>{escape(caption)}</caption><tbody>{body}</tbody></table>"


def grid(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a head; the cells are HTML, caption and head are text."""
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def code(text: str) -> str:
    """A text in a fixed width, its lines kept."""
    return f"<pre>{escape(text)}</pre>" if "\n" in text else f"<code>{escape(text)}</code>"


def proof_listing(proof: Any) -> str:
    """What is known about a claim: of a ``Proof`` or of a ``WeightProof``."""
    rows = [("verdict", verdict(proof.verdict)), ("claim", code(proof.claim))]
    if proof.counterexample is not None:
        rows.append(("counterexample", code(str(proof.counterexample))))
    for name, items in (("uses", proof.used), ("provided", proof.side_conditions), ("modulo", proof.lemmas)):
        if items:
            rows.append((name, "<br>".join(map(code, items))))
    if proof.residual is not None:
        rows.append(("left over", code(proof.residual)))
    if proof.certificate is not None:
        rows.append(("certificate", f"{len(proof.certificate)} characters, re-checked"))
    return listing("Proof", rows)
