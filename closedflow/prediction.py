"""``closedflow predict``: a setting on files of images, the arrays of its closed form, and what is printed of them."""

from pathlib import Path
from typing import Any

import numpy as np

from closedflow.terminal import console, numbers, output, whole_numbers
from empirical.data import Images
from numerics.files import whole_file
from numerics.predictor import Predictor
from theory.setting import Setting


def predict_files(
    setting: Path,
    train: Images,
    test: Images,
    examples: str | None,
    times: str,
    out: Path,
    plot: Path | None,
    seed: int,
    json: Path | None = None,
) -> int:
    """Writes times, predictions, error, loss, weight and bias, and prints a line for each time; returns the exit code."""
    chosen = Setting.load(setting)
    images = train.take(whole_numbers("examples", examples)) if examples else train
    predictor = Predictor(chosen, chosen.layer.arrange(images.values), seed=seed)
    points, x = numbers("times", times), chosen.layer.arrange(test.values)
    arrays = {
        "times": np.array(points),
        "predictions": predictor.predict(x, points),
        "loss": predictor.loss(points),
        "weight": predictor.weight(points),
        "setting": np.array(chosen.to_toml()),
    }
    if chosen.target.is_function:
        arrays["error"] = predictor.error(x, points)
    if (bias := predictor.bias(points)) is not None:
        arrays["bias"] = bias
    with output(json) as write, whole_file(out) as file:
        np.savez(file, **arrays)
        if plot is not None:  # a picture that cannot be drawn leaves no file behind
            from closedflow.plot import draw_predictions

            letter = "k" if chosen.optimizer.discrete else "t"
            titles = [f"{letter} = {'∞' if point == np.inf else f'{point:g}'}" for point in points]
            draw_predictions(plot, x, arrays["predictions"], titles)
        write(_summary(chosen, images.source, test.source, arrays))
    lines = [
        f"trained on {images.source} ({len(images.values)} in all)",
        f"tested on {test.source} ({len(test.values)} in all)",
    ]
    ranks, margin = predictor.spectrum.ranks, predictor.spectrum.margin
    rank = ranks if len(ranks) <= 8 else f"{min(ranks)} to {max(ranks)} (of {len(ranks)} blocks)"
    lines.append(f"rank {rank} of {predictor.problem.features.shape[1]} features, {margin:.2g}× above rounding")
    for index, point in enumerate(points):
        error = f", mean ‖f(x) − target(x)‖² {arrays['error'][index].mean():.6g}" if "error" in arrays else ""
        lines.append(f"  at {point:g}: training loss {arrays['loss'][index]:.6g}{error}")
    lines.append(f"written to {out}" + (f" and {plot}" if plot is not None else ""))
    console(json).print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    return 0


def _summary(setting: Setting, train: str, test: str, arrays: dict[str, Any]) -> str:
    """Loss and mean error at each time as JSON; what is infinite is the string "inf"."""
    import json

    columns = {"times": arrays["times"], "loss": arrays["loss"]}
    if "error" in arrays:
        columns["mean_error"] = arrays["error"].mean(1)
    shown = {
        name: [value if np.isfinite(value) else "inf" for value in values.tolist()] for name, values in columns.items()
    }
    return json.dumps({"setting": str(setting), "train": train, "test": test, **shown}, indent=1, ensure_ascii=False)
