"""``closedflow solve``: the closed form of a setting file, in a format to paste."""

from pathlib import Path
from typing import Any, Literal

from closedflow.exit_codes import REFUTED, UNDECIDED


def solve(setting: Path, *, format: Literal["text", "latex", "markdown", "python", "json"] = "text") -> int:
    """The closed form of a setting, with its proof.

    Args:
        setting: A TOML file.
        format: How to print it; python is a standalone numpy function.
    """
    from theory.setting import Setting
    from theory.solution import solve as solve_setting

    solution = solve_setting(Setting.load(setting))
    match format:
        case "latex":
            print(solution.latex())
        case "markdown":
            print(solution.markdown())
        case "python":
            print(solution.python())
        case "json":
            print(_json(solution))
        case _:
            print(solution)
    return {"proved": 0, "refuted": REFUTED}.get(solution.proof.verdict, UNDECIDED)


def _json(solution: Any) -> str:
    import json

    one = solution.one_example
    fields = {
        "setting": str(solution.setting),
        "weight": str(solution.weight),
        "residual": str(solution.residual),
        "rates": str(solution.rates),
        "limit": str(solution.limit),
        **({} if solution.end is None else {"g_oo": str(solution.end), "q_oo": "(1 - g_oo)/s"}),
        "one_example": {"weight": str(one.weight), "limit": str(one.limit), "where": one.where},
        "latex": solution.latex(),
        "proof": {"verdict": solution.proof.verdict, "lemmas": solution.proof.lemmas, "reason": solution.proof.reason},
    }
    return json.dumps(fields, indent=1, ensure_ascii=False)
