"""The closed form as the text of a function that needs nothing but numpy, and scipy for Bessel functions."""

from dataclasses import fields

import sympy
from sympy.printing.numpy import SciPyPrinter

from theory.scalar import Mode, s, symbols_of
from theory.setting import Setting

TEMPLATE = '''import numpy as np
{imports}

def weight(Phi, Y, W0, {time}{more}):
    """The weight after time {time} (W0 at 0) of one block: Phi (d, M), Y (q, M), W0 (q, d); returns (q, d).

    {setting}
    """
    c, mu = {scale}, {decay}
    U, sigma, Vt = np.linalg.svd(Phi, full_matrices=False)
    sigma = np.where(sigma > max(Phi.shape) * np.finfo(float).eps * sigma[0], sigma, 0.0)

    def g(s):
        {residual}

    rates = c * sigma**2 + mu
    left, still = g(rates), g(np.array([mu]))[0]
    gain = np.divide(c * sigma, rates, out=np.zeros_like(rates), where=rates > 0)
    return still * W0 + ((W0 @ U) * (left - still) + (Y @ Vt{adjoint}) * (1 - left) * gain) @ U{adjoint}
'''


def python_source(setting: Setting, mode: Mode) -> str:
    """The function, with the setting's numbers put in.

    A double root is met by its own formula; next to one the general formula loses digits, which the Predictor does not.
    """
    letters = symbols_of(setting.optimizer)
    numbers = {letters[field.name]: getattr(setting.optimizer, field.name) for field in fields(setting.optimizer)}  # type: ignore[arg-type]
    assigned = "; ".join(f"{symbol} = {value!r}" for symbol, value in numbers.items())
    lines = [assigned] if assigned else []
    code = [_code(mode.residual), *(_code(part) for condition, case in mode.special for part in (condition.lhs, case))]
    if mode.special:
        lines.append("s = np.asarray(s, dtype=complex)  # the roots may be complex; the residual is real")
    if mode.special or mode.time.name == "t":  # 0·∞ at infinite time in the null space
        lines.append('with np.errstate(divide="ignore", invalid="ignore"):')
        lines.append(f"    value = {code[0]}")
        for condition, case in zip(code[1::2], code[2::2], strict=True):
            lines.append(f"    value = np.where(np.abs({condition}) < 1e-15, {case}, value)")
        lines.append(f"return np.where((s == 0) | ({mode.time} == 0), 1.0, value.real)")
    else:
        lines.append(f"return {code[0]}")
    layer = setting.layer
    blocks = str(layer.channel_groups()) if layer.block_name == "group" else "blocks"  # how many, only the data say
    scale = "1.0" if setting.loss == "half_sum" else f"2 / (Y.size * {blocks})"
    imports = "import scipy.special\n" if any("scipy" in part for part in code) else ""
    return TEMPLATE.format(
        imports=imports,
        more=", blocks" if scale.endswith("blocks)") else "",
        adjoint=".conj().T" if layer.complex_features else ".T",
        time=mode.time,
        setting=setting,
        scale=scale,
        decay=setting.weight_decay,
        residual="\n        ".join(lines),
    )


def _code(expression: sympy.Expr) -> str:
    printed = SciPyPrinter({"fully_qualified_modules": True}).doprint(expression.subs(s, sympy.Symbol("s")))
    return str(printed).replace("numpy.", "np.")
