"""The arguments of ``closedflow predict``; what it does is in :mod:`closedflow.prediction`, which is imported when it runs."""

from pathlib import Path

from closedflow.data_options import AS_THEY_ARE, Data


def predict(
    setting: Path,
    *,
    train: Path,
    test: Path,
    times: str,
    out: Path,
    plot: Path | None = None,
    seed: int = 0,
    options: Data = AS_THEY_ARE,
) -> int:
    """The closed form on data: predictions, errors and losses at the given times, in one .npz file.

    Args:
        setting: A TOML file.
        train: Training images; all of them, unless --examples chooses.
        test: Test images.
        times: Flow times, or step counts for a descent, such as 0,10,inf.
        out: The .npz file to write: times, predictions, error, loss, weight, bias, and the setting as text.
        plot: Also draw the predictions to this picture.
        seed: Seed of the start.
        options: Which images.
    """
    from closedflow.prediction import predict_files

    return predict_files(setting, options.read(train), options.read(test), options.examples, times, out, plot, seed)
