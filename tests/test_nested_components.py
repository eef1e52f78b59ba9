"""A component that holds another: a table inside a table, written and read back."""

from dataclasses import dataclass

import pytest

from theory.component import Component
from theory.errors import SettingError
from theory.layers import Linear
from theory.optimizers import GradientDescent, Optimizer
from theory.setting import Setting


class Pace(Component):
    """A family of this file."""


@dataclass(frozen=True)
class Even(Pace):
    pass


@dataclass(frozen=True)
class Falling(Pace):
    to: float
    steps: tuple = (1, 2)
    pace: Pace = Even()


@dataclass(frozen=True)
class Paced(GradientDescent, abstract=True):
    pace: Pace | None = None


del Component.families["pace"]


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The kinds of this file exist only in its tests."""
    monkeypatch.setitem(Optimizer.kinds, "paced", Paced)
    monkeypatch.setitem(Component.families, "pace", Pace)


SETTING = Setting(Linear(), Paced(0.1, pace=Falling(0.5, pace=Falling(0.25))))
TOML = """\
target = "identity"
loss = "half_sum"
weight_decay = 0.0

[layer]
kind = "linear"
bias = false

[optimizer]
kind = "paced"
learning_rate = 0.1

[optimizer.pace]
kind = "falling"
to = 0.5
steps = [1, 2]

[optimizer.pace.pace]
kind = "falling"
to = 0.25
steps = [1, 2]

[optimizer.pace.pace.pace]
kind = "even"

[start]
kind = "torch_default"
"""


def test_a_component_in_a_component_is_a_table_in_a_table():
    assert SETTING.to_toml() == TOML
    assert Setting.from_toml(TOML) == SETTING
    assert hash(Setting.from_toml(TOML)) == hash(SETTING)


def test_a_table_holds_only_plain_values_and_tables():
    assert SETTING.optimizer.to_table() == {
        "kind": "paced",
        "learning_rate": 0.1,
        "pace": {
            "kind": "falling",
            "to": 0.5,
            "steps": (1, 2),
            "pace": {"kind": "falling", "to": 0.25, "steps": (1, 2), "pace": {"kind": "even"}},
        },
    }


def test_none_is_left_out_and_a_part_without_options_may_be_its_bare_kind():
    assert "pace" not in Setting(Linear(), Paced(0.1)).to_toml().replace('"paced"', "")
    table = {"kind": "paced", "learning_rate": 0.1, "pace": "even"}
    assert Optimizer.from_table(table) == Paced(0.1, pace=Even())


@pytest.mark.parametrize(
    ("pace", "message"),
    [
        ({"kind": "fallin", "to": 1.0}, r"\[pace\] kind must be one of 'even', 'falling', but it is 'fallin'. Did you"),
        ({"kind": "falling"}, r"\[pace\] of kind 'falling' must have the key 'to'"),
        ({"kind": "even", "too": 1}, r"\[pace\] of kind 'even' must have only the keys"),
        ("evn", "Did you mean 'even'"),
    ],
)
def test_mistakes_inside_are_named_by_their_family(pace, message):
    with pytest.raises(SettingError, match=message):
        Optimizer.from_table({"kind": "paced", "learning_rate": 0.1, "pace": pace})
