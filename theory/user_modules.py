"""Modules of the user's own, with the layers, optimisers or experiments that a file asks for by kind."""

import importlib
import sys
from pathlib import Path
from typing import Any

from theory.errors import SettingError


def import_modules(modules: Any, name: str, folder: Path | None = None) -> None:
    """Imports modules by name: installed ones, or files in a folder, which then stays on the path of imports.

    Args:
        modules: Their names.
        name: Of the file that names them, for errors.
        folder: Where that file is.

    Raises:
        SettingError: If it is not a list of names, or one of them cannot be imported.
    """
    if not isinstance(modules, list) or not all(isinstance(module, str) for module in modules):
        message = (
            f'modules of {name} must be a list of module names, but it is {modules!r}. Write modules = ["my_kinds"].'
        )
        raise SettingError(message)
    if modules and folder is not None and str(folder) not in sys.path:
        sys.path.append(str(folder))  # processes that are started take it over
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            message = (
                f"modules of {name} must be importable, but {module} is not: {error}. Put {module}.py beside that file."
            )
            raise SettingError(message) from None
