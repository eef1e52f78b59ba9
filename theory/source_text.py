"""The closed form as the text of a function that needs nothing but numpy, and scipy for Bessel functions."""

import math

import sympy
from sympy.printing.numpy import SciPyPrinter

from theory.errors import SettingError
from theory.optimizers import AveragedDescent, AveragedFlow, Optimizer
from theory.scalar import Mode, s, symbols_of
from theory.setting import Setting

TEMPLATE = '''import numpy as np
{imports}

def weight(Phi, Y, W0, {given}{time}{more}):
    """The weight after time {time} (W0 at 0) of one block: Phi (d, M), Y (q, M), W0 (q, d); returns (q, d).

    {setting}
    """
    c, mu = {scale}, {decay}{before}
    U, sigma, Vt = np.linalg.svd(Phi, full_matrices=False)
    sigma = np.where(sigma > max(Phi.shape) * np.finfo(float).eps * sigma[0], sigma, 0.0)

    def g(s):
        {residual}

    rates = c * sigma**2 + mu
    left, still = g(rates), g(np.array([mu]))[0]
    gain = np.divide(c * sigma, rates, out=np.zeros_like(rates), where=rates > 0)
    return {opening}still * W0 + ((W0 @ U) * (left - still) + (Y @ Vt{adjoint}) * (1 - left) * gain) @ U{adjoint}{after}
'''


# Means of 1 - e^{-st} and 1 - (1 - x)^k over st and kx: as they are derived, they would lose their digits in slow modes.
MEANS = {
    AveragedFlow: [
        'with np.errstate(divide="ignore", invalid="ignore"):',
        "    value = -np.expm1(-s*t)/(s*t)",
        "return np.where((s == 0) | (t == 0), 1.0, value)",
    ],
    AveragedDescent: [
        "x = eta*s",
        'with np.errstate(divide="ignore", invalid="ignore"):',
        "    gone = np.where(x < 0.5, -np.expm1(k*np.log1p(-np.minimum(x, 0.5))), 1 - (1 - x)**k)",
        "    value = (1 - x)*gone/(k*x)",
        "return np.where((s == 0) | (k == 0), 1.0, value)",
    ],
}


def python_source(setting: Setting, mode: Mode) -> str:
    """The function, with the setting's numbers put in.

    A double root is met by its own formula; next to one the general formula loses digits, which the Predictor does not.
    """
    optimizer = setting.optimizer.rule
    if optimizer.recurrent:
        message = f"optimizer must have a residual with a formula to be pasted, but that of {optimizer} is a recurrence. Use Predictor."
        raise SettingError(message)
    numbers = {letter: getattr(optimizer, name) for name, letter in symbols_of(optimizer).items()}
    assigned = "; ".join(f"{symbol} = {value!r}" for symbol, value in numbers.items())
    lines = [assigned] if assigned else []
    if optimizer.converges or (mode.final is not None and not optimizer.discrete):
        final = "np.where(s == 0, 1.0, 0.0)" if mode.final is None else _code(mode.final)
        lines += [f"if {mode.time} == np.inf:", f"    return {final}"]
    if isinstance(mode.residual, sympy.Product):
        return _filled(setting, mode, [*lines, *_product(optimizer, mode)], "")
    if type(optimizer) in MEANS:
        return _filled(setting, mode, [*lines, *MEANS[type(optimizer)]], "")
    code = [_code(mode.residual), *(_code(part) for condition, case in mode.special for part in (condition.lhs, case))]
    if mode.special:
        lines.append(
            "# the roots may be complex; where they nearly meet, digits are lost: hence the longest floats that there are"
        )
        lines.append("s = np.asarray(s, dtype=np.clongdouble)")
    if mode.special or mode.time.name == "t":  # 0·∞ at infinite time in the null space
        lines.append('with np.errstate(divide="ignore", invalid="ignore"):')
        lines.append(f"    value = {code[0]}")
        for condition, case in zip(code[1::2], code[2::2], strict=True):
            lines.append(f"    value = np.where(np.abs({condition}) < 1e-15, {case}, value)")
        lines.append(f"return np.where((s == 0) | ({mode.time} == 0), 1.0, value.real).astype(float)")
    else:
        lines.append(f"return {code[0]}")
    return _filled(setting, mode, lines, "import scipy.special\n" if any("scipy" in part for part in code) else "")


def _filled(setting: Setting, mode: Mode, lines: list[str], imports: str) -> str:
    """The template with a residual; a preconditioner is one more argument."""
    changed = setting.optimizer.rule is not setting.optimizer
    before = "\n    values, V = np.linalg.eigh(P)\n    R = (V * np.sqrt(values)) @ V.T\n    Phi, W0 = R @ Phi, W0 @ np.linalg.inv(R)"
    layer = setting.layer
    blocks = str(layer.channel_groups()) if layer.block_name == "group" else "blocks"  # how many, only the data say
    scale = "1.0" if setting.loss == "half_sum" else f"2 / (Y.size * {blocks})"
    return TEMPLATE.format(
        imports=imports,
        more=", blocks" if scale.endswith("blocks)") else "",
        adjoint=".conj().T" if layer.complex_features else ".T",
        time=mode.time,
        setting=setting,
        scale=scale,
        decay=setting.weight_decay,
        residual="\n        ".join(lines),
        given="P, " if changed else "",
        before=before if changed else "",
        opening="(" if changed else "",
        after=") @ R" if changed else "",
    )


def _product(optimizer: Optimizer, mode: Mode) -> list[str]:
    """The factors of a schedule, one by one."""
    index, _, _ = mode.residual.limits[0]
    count = str(mode.time)
    if optimizer.schedule is not None and optimizer.has_limit and not optimizer.converges:
        count = f"min({count}, {math.ceil(optimizer.schedule.settles)})"
    loop = f"for {index} in range(int({count})):"
    return ["value = np.ones_like(s)", loop, f"    value = value * ({_code(mode.residual.function)})", "return value"]


def _code(expression: sympy.Expr) -> str:
    printed = SciPyPrinter({"fully_qualified_modules": True}).doprint(expression.subs(s, sympy.Symbol("s")))
    return (
        str(printed).replace("scipy.pi", "numpy.pi").replace("scipy.constants.pi", "numpy.pi").replace("numpy.", "np.")
    )
