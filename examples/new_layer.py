"""A new layer in twenty lines: fully connected, on a blurred input. Proof, solver and torch then say whether it is right."""

from dataclasses import dataclass

import torch

import closedflow as cf
from empirical.data import digits
from theory.component import Named


@dataclass(frozen=True)
class Blurred(cf.Layer):
    bias = False
    single_column = True

    def check(self, input_shape):
        pass  # raise cf.SettingError for shapes that it cannot take

    def arrange(self, images):
        return images.reshape((len(images), -1))

    def positions(self, input_shape):
        return ()

    def weight_shape(self, input_shape, channels):
        return (channels, input_shape[0] - 1)

    def patches(self, x, xp):  # φ: (N, inputs) to (blocks, features, columns)
        return xp.moveaxis((x[:, 1:] + x[:, :-1]) / 2, 0, 1)[None]

    def torch_module(self, input_shape, channels):
        return Named(f"{__name__}.BlurredModule", {"channels": channels, "features": input_shape[0] - 1})


class BlurredModule(torch.nn.Linear):  # what is trained; it must not call φ
    def __init__(self, channels, features):
        super().__init__(features, channels, bias=False)

    def forward(self, x):
        return super().forward(torch.nn.functional.avg_pool1d(x[:, None], 2, stride=1)[:, 0])


if __name__ == "__main__":
    images = digits().values[:5]
    setting = cf.Setting(Blurred(), cf.GradientDescent(0.02), cf.LinearMap(images.reshape(5, 64)[:2]), start=cf.Zeros())
    print(cf.solve(setting), end="\n\n")
    print(cf.verify(setting=setting, inputs=images))
