"""The library of named results: every module here that defines ``THEOREM`` is in it, in the order of the ids."""

import importlib
import pkgutil

from theory.component import one_of
from theory.theorems.theorem import SHAPES, Case, Claim, OwnCase, Shapes, Theorem

__all__ = ["SHAPES", "Case", "Claim", "OwnCase", "Shapes", "Theorem", "find", "library"]


def library() -> list[Theorem]:
    """Every theorem."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    theorems = [module.THEOREM for module in modules if hasattr(module, "THEOREM")]
    return sorted(theorems, key=lambda theorem: int(theorem.id[1:]))


def find(name: str) -> Theorem:
    """The theorem of this id or name.

    Raises:
        SettingError: If there is none; the nearest name is suggested.

    Example:
        >>> find("t3").name, find("limit").id
        ('null-space', 'T2')
    """
    by_name = {key: theorem for theorem in library() for key in (theorem.name, theorem.id)}
    spelt = {key.lower(): key for key in by_name}
    return by_name[one_of("theorem", spelt.get(str(name).lower(), name), by_name)]
