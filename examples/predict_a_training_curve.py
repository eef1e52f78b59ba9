"""A training curve on images of your own (python examples/predict_a_training_curve.py images.npy), against your own torch loop."""

import sys

import numpy as np
import torch

import closedflow as cf
from empirical.data import digits, read_images

STEPS, RATE = 200, 0.005


def my_loop(x, start):
    """What one would write without this toolkit."""
    layer = torch.nn.Conv2d(1, 1, 5, padding="same", bias=False, dtype=torch.float64)
    layer.weight.data = torch.tensor(start)
    optimizer, x = torch.optim.SGD(layer.parameters(), lr=RATE), torch.tensor(x)
    losses, weights = [], []
    for _ in range(STEPS + 1):
        optimizer.zero_grad()
        loss = (layer(x) - x).square().sum() / 2
        losses.append(loss.item())
        weights.append(layer.weight.detach().numpy().copy())
        loss.backward()
        optimizer.step()
    return losses, weights


def main(paths):
    images = (read_images(paths[0]) if paths else digits()).values[:2]
    setting = cf.Setting(cf.Conv(5), cf.GradientDescent(RATE), start=cf.Gaussian(0.1))
    predictor = cf.Predictor(setting, images, seed=0)
    print(predictor)
    losses, weights = my_loop(images, predictor.weight([0])[0])
    shown = np.array([0, 1, 2, 5, 10, 20, 50, 100, 200])
    predicted = predictor.loss(shown)
    for step, loss in zip(shown, predicted, strict=True):
        bar = "█" * round(50 * np.log1p(1e3 * loss) / np.log1p(1e3 * predicted[0]))
        print(f"step {step:4d}   predicted {loss:10.6f}   trained {losses[step]:10.6f}   {bar}")
    print(f"and at infinity {predictor.loss(np.inf)[0]:.3g}")
    print(cf.crosscheck(predictor, range(STEPS + 1), weights))


if __name__ == "__main__":
    main(sys.argv[1:])
