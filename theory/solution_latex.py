"""A closed form as LaTeX, with every letter explained, ready to be pasted into a paper or a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy

from theory.scalar import symbols_of

if TYPE_CHECKING:
    from theory.solution import Solution

_NAMES = {"{parallel}": r"{\parallel}", "{perp}": r"{\perp}", "(R*Phi)^{+}": r"\left(R \Phi\right)^{+}"}


def aligned(solution: Solution) -> str:
    """The closed form as an ``aligned`` block."""
    mode, setting = solution.mode, solution.setting
    time = sympy.latex(mode.time)
    rows = [
        rf"W({time}) &= {sympy.latex(solution.weight)}, & S &= {sympy.latex(solution.rates)}",
        rf"g(s) &= {sympy.latex(mode.short)}, & q(s) &= \frac{{1 - g(s)}}{{s}}",
        *(rf"{sympy.latex(name)} &= {sympy.latex(value)}" for name, value in mode.roots.items()),
        *(
            rf"g(s) &= {sympy.latex(case)} && \text{{where }} {sympy.latex(condition.lhs)} = 0"
            for condition, case in mode.special
        ),
    ]
    if setting.optimizer.rule.recurrent:
        equations = (mode.equation, *mode.start)
        rows += [rf"{sympy.latex(equation.lhs)} &= {sympy.latex(equation.rhs)}" for equation in equations]
    if solution.end is not None:
        end = sympy.latex(solution.end)
        rows.append(rf"g_{{\infty}}(s) &= {end}, & q_{{\infty}}(s) &= \frac{{1 - g_{{\infty}}(s)}}{{s}}")
    rows.append(rf"W(\infty) &= {_limit(solution.limit)}")
    if setting.layer.single_column and not solution.preconditioned:
        rows.append(rf"f(x, \infty) &= {_limit(solution.one_example.limit)} && \text{{(one example)}}")
    return _named("\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}")


def _limit(value: sympy.Basic) -> str:
    return r"\text{none}" if value is sympy.nan else str(sympy.latex(value))


def _named(text: str) -> str:
    for name, latex in _NAMES.items():
        text = text.replace(name, latex)
    return text


def legend(solution: Solution) -> list[str]:
    """What each letter of :func:`aligned` stands for, one Markdown line each."""
    setting, layer = solution.setting, solution.setting.layer
    each = "example and output position" if layer.block_name == "group" else "example"
    rows = [
        (r"\Phi", rf"features, $d \times M$, one column per {each}"),
        ("Y", rf"targets{' less what the layer adds' if layer.skips else ''}, $p \times M$"),
        ("W_0", r"the start, $p \times d$"),
    ]
    if solution.preconditioned:
        rows.append(("R", "the symmetric root of the preconditioner"))
    if solution.blocks != 1:
        rows.append(("B", f"the number of blocks; the formula holds in each {layer.block_name} apart"))
    for field, letter in symbols_of(setting.optimizer.rule).items():
        rows.append((sympy.latex(letter), f"{field.replace('_', ' ')}, here {getattr(setting.optimizer.rule, field)}"))
    if setting.weight_decay:
        rows.append((r"\mu", f"weight decay, here {setting.weight_decay:g}"))
    if layer.single_column and not solution.preconditioned:
        meanings = {
            r"x_1": "the one training example",
            r"\phi_1": "the features of the one training example",
        }
        used = solution.one_example.where
        first = "x_1" if any("x_1" in text for text in used.values()) else r"\phi_1"
        rows.append((first, meanings[first]))
        rows.append((r"\Pi_{\parallel},\ \Pi_{\perp}", f"the projectors on ${first}$ and on its complement"))
        if first != "x_1":
            rows.append((r"\phi,\ y", "features of $x$, target of the example"))
        rows.append(("n", rf"$\|{first}\|^2$"))
        rows.append((r"\lambda", f"${sympy.latex(sympy.sympify(used['lambda'].replace(' n', '*n')))}$"))
    if any(case.has(sympy.KroneckerDelta) for _, case in solution.mode.special):
        rows.append((r"\delta_{0 k}", "1 for $k = 0$, else 0"))
    return [f"- ${letter}$: {meaning}" for letter, meaning in rows]
