"""`load`: what `save` wrote, whatever it was."""

from pathlib import Path
from typing import Any

from theory.errors import DataError


def load(path: str | Path) -> Any:
    """What a predictor's, a training's or a verdict table's ``save`` wrote; no pickle is involved.

    Args:
        path: An .npz file of a :class:`~numerics.predictor.Predictor` or a :class:`~empirical.train.Training`, or the JSON file
            of a :class:`~closedflow.verdicts.VerdictTable`.

    Raises:
        DataError: If the file is missing, is none of these, or is of a newer format.

    Example:
        >>> import tempfile, closedflow as cf
        >>> path = Path(tempfile.mkdtemp()) / "p.npz"
        >>> cf.Predictor(cf.Setting(cf.Linear(), cf.GradientFlow()), [[2.0, 0.0]]).save(path)
        >>> load(path).weight([0.25]).shape
        (1, 2, 2)
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(1)
    except OSError as error:
        message = f"path must be a file written by save, but {path} is not: {error.strerror}. Check the path."
        raise DataError(message) from None
    if head == b"{":
        from closedflow.verdicts import VerdictTable

        return VerdictTable.load(path)
    from empirical.saved_training import holds_training, load_training
    from numerics.predictor import load as load_predictor

    return load_training(path) if holds_training(path) else load_predictor(path)
