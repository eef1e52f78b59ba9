"""A new optimiser in fifteen lines: momentum as a moving average of gradients. Its closed form is derived, proved and trained."""

from dataclasses import dataclass

import closedflow as cf
from empirical.data import digits


@dataclass(frozen=True)
class AveragedGradient(cf.Descent):
    learning_rate: float
    momentum: float

    def initial_state(self, weight):
        return weight, 0 * weight

    def step(self, state, gradient, index):  # the rule: numbers, symbols and the prover's letters all go through it
        weight, average = state
        average = self.momentum * average + (1 - self.momentum) * gradient(weight)
        return weight - self.learning_rate * average, average

    @property
    def same(self):  # torch's heavy ball at a smaller rate does the same; that this is so is checked, not believed
        return cf.HeavyBall(self.learning_rate * (1 - self.momentum), self.momentum)

    def response(self, xp, s, t):
        return self.same.response(xp, s, t)

    def max_learning_rate(self, s_max):
        return self.same.max_learning_rate(s_max) / (1 - self.momentum)

    def flow_time(self, steps):
        return steps * self.learning_rate  # unlike torch's momentum, it does not make a gradient count 1/(1 − β) times

    def torch_optimizer(self):
        return self.same.torch_optimizer()


if __name__ == "__main__":
    setting = cf.Setting(cf.Conv(3), AveragedGradient(0.1, 0.9))
    print(cf.solve(setting), end="\n\n")
    print(cf.verify(setting=setting, inputs=digits().values[:1]))
    print(
        f"100 steps are flow time {cf.time_from_steps(setting, 100):g}; of torch's momentum at the same rate", end=" "
    )
    print(f"{cf.time_from_steps(cf.Setting(cf.Conv(3), cf.HeavyBall(0.1, 0.9)), 100):g}")
