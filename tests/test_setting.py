"""Settings as values, as TOML and as text; and every error of theory and numerics: what, must, but, repair."""

import sys
from dataclasses import FrozenInstanceError, dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from empirical.strategies import problems
from empirical.strategies import settings as random_settings
from numerics.integrate import trajectory
from numerics.predictor import Predictor, load
from numerics.problem import assemble
from theory.component import Component
from theory.errors import DataError, SettingError
from theory.layers import Conv, Layer, Linear
from theory.optimizers import (
    Adam,
    GradientDescent,
    GradientFlow,
    HeavyBall,
    Optimizer,
)
from theory.setting import FAMILIES, Setting
from theory.starts import Gaussian
from theory.targets import Constant, Given, Target

FLOW, ONE = Setting(Linear(), GradientFlow()), [[1.0]]


@settings(max_examples=150)
@given(random_settings())
def test_toml_brings_every_setting_back_with_its_hash_and_its_words(setting):
    back = Setting.from_toml(setting.to_toml())
    assert back == setting
    assert hash(back) == hash(setting)
    assert back.to_toml() == setting.to_toml()
    assert str(back) == str(setting)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_kind_of_every_family_is_brought_back_by_its_table(family):
    values = {"learning_rate": 0.1, "momentum": 0.9, "friction": 1.0, "std": 0.5, "kernel_size": (3, 1)}
    values |= {"optimizer": GradientFlow(), "duration": 3.0, "batch_size": 2, "layer": Linear()}
    values |= {"matrix": ((1.0, 2.0), (2.0, 5.0)), "value": ((1e-300, -0.0),), "degree": 2, "kernel": 3}
    for kind, cls in family.kinds.items():
        if kind == "features":  # it holds a function, which no table can: tests/test_polynomial_and_features.py
            continue
        part = cls(**{name: values[name] for name in cls.__dataclass_fields__ if name in values})
        assert part.to_table()["kind"] == kind
        assert family.from_table(part.to_table()) == part
        assert hash(family.from_table(part.to_table())) == hash(part)


@given(st.one_of(problems(), problems(optimizer_kinds=["heavy_ball"])))
def test_a_setting_is_written_and_read_with_its_data_filled_in(case):
    """What a saved run holds: the open constant as numbers."""
    setting = assemble(*case).setting
    assert Setting.from_toml(setting.to_toml()) == setting


def test_a_users_own_family_is_registered_and_its_toml_arrays_become_hashable_tuples():
    class Family(Component):
        """A direct subclass: its kinds are its own."""

    @dataclass(frozen=True)
    class TwoSizes(Family):
        sizes: tuple

    part = Family.from_table({"kind": "two_sizes", "sizes": [1, [2, 3]]})
    assert part == TwoSizes((1, (2, 3)))
    assert hash(part) == hash(TwoSizes((1, (2, 3))))
    assert Family.kinds == {"two_sizes": TwoSizes}


def test_settings_are_frozen_values():
    setting = Setting(Conv([3, 3], padding=1), GradientDescent(0.1), Constant(np.ones((1, 2, 2))))
    assert setting.layer.kernel_size == (3, 3)
    assert {setting: 1}[Setting(Conv((3, 3), padding=1), GradientDescent(0.1), Constant([[[1, 1], [1, 1]]]))] == 1
    assert setting != Setting(Conv((3, 3), padding=1), GradientDescent(0.2), Constant(np.ones((1, 2, 2))))
    with pytest.raises(FrozenInstanceError):
        setting.loss = "mse"
    assert setting.optimizer.with_values(learning_rate=0.3) == GradientDescent(0.3)
    with pytest.raises(SettingError, match="learning_rate"):
        setting.optimizer.with_values(learning_rate=-1.0)
    assert setting.optimizer.symbolic(learning_rate="η").learning_rate == "η"


def test_a_setting_says_itself_in_one_line():
    text = str(Setting(Linear(), HeavyBall(0.1, 0.9), loss="mse", weight_decay=0.25, start=Gaussian(0.1)))
    assert text == (
        "Linear(bias=False) by HeavyBall(learning_rate=0.1, momentum=0.9) towards Identity(), loss mse, "
        "weight decay 0.25, start Gaussian(std=0.1)"
    )


def test_a_part_without_options_may_be_written_as_its_kind():
    assert Setting.from_toml('layer = "linear"\noptimizer = "gradient_flow"\ntarget = "given"') == Setting(
        Linear(), GradientFlow(), Given()
    )


def test_a_file_is_read(tmp_path):
    (tmp_path / "s.toml").write_text(FLOW.to_toml(), encoding="utf-8")
    assert Setting.load(tmp_path / "s.toml") == FLOW


def test_the_loss_scale_is_one_or_two_over_the_entries():
    assert FLOW.loss_scale(12) == 1.0
    assert Setting(Linear(), GradientFlow(), loss="mse").loss_scale(12) == 1 / 6


@pytest.mark.theorem("T1")
def test_adam_is_refused_by_what_knows_a_closed_form_and_by_the_oracle():
    setting = Setting(Linear(), Adam(0.1))
    for ask in (lambda: Predictor(setting, ONE), lambda: trajectory(assemble(setting, ONE), [1])):
        with pytest.raises(SettingError, match=r"theorem T1, is false for it\)\. Train it with train"):
            ask()


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    np.save(tmp_path / "array.npy", np.zeros(3))
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    Predictor(FLOW, ONE).save(tmp_path / "p.npz")
    whole = (tmp_path / "p.npz").read_bytes()
    broken = whole.replace(
        "half_sum".encode("utf-32-le"), "half_sun".encode("utf-32-le")
    )  # the checksum no longer fits
    for content in (b"", b"PK\x03\x04", b"\x93NUMPY", b"text", whole[:-40], broken):
        (tmp_path / "x.npz").write_bytes(content)
        with pytest.raises(DataError, match="Save it again"):
            load(tmp_path / "x.npz")
    for name in ("array.npy", "other.npz"):
        with pytest.raises(DataError, match="Save it again"):
            load(tmp_path / name)


def test_the_families_hold_every_kind_by_its_name_in_snake_case():
    assert FAMILIES == {"layer": Layer, "optimizer": Optimizer, "target": Target, "start": FAMILIES["start"]}
    assert {"linear", "conv"} <= set(Layer.kinds)
    assert {"gradient_flow", "gradient_descent", "heavy_ball", "adam"} <= set(Optimizer.kinds)
    assert {"identity", "constant", "linear_map", "given"} <= set(Target.kinds)
    assert {"torch_default", "gaussian", "zeros", "orthogonal", "fixed"} <= set(FAMILIES["start"].kinds)


def test_a_setting_file_may_name_modules_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(Target, "kinds", dict(Target.kinds))
    monkeypatch.setattr("sys.path", [*sys.path])
    (tmp_path / "flows_of_a_setting.py").write_text(
        "from dataclasses import dataclass\nimport theory.targets\n\n\n"
        "@dataclass(frozen=True)\nclass Doubled(theory.targets.Identity):\n    pass\n"
    )
    path = tmp_path / "s.toml"
    path.write_text(
        'modules = ["flows_of_a_setting"]\nlayer = "linear"\noptimizer = "gradient_flow"\ntarget = "doubled"\n'
    )
    assert Setting.load(path).target.kind == "doubled"
    path.write_text('modules = ["absent_kinds"]\nlayer = "linear"\noptimizer = "gradient_flow"\n')
    with pytest.raises(SettingError, match=r"modules of .*s\.toml must be importable, but absent_kinds is not"):
        Setting.load(path)


def test_only_a_file_may_name_modules():
    """What is read from an archive imports nothing."""
    with pytest.raises(SettingError, match="it has 'modules'"):
        Setting.from_toml('modules = ["os"]\nlayer = "linear"\noptimizer = "gradient_flow"\n')
