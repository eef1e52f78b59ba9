"""Every study, rehearsed: its experiments run, its account and picture take their outcomes; findings judge as they say."""

import math

import numpy as np
import pytest

from empirical.studies import Account, Finding, Result, Scale, Study, above, agreement, below, interval
from theory.errors import SettingError

pytest.importorskip("torch", reason="studies train networks")


@pytest.mark.parametrize("kind", list(Study.kinds))
def test_a_study_can_be_rehearsed_and_drawn(kind):
    figure = pytest.importorskip("matplotlib.figure", reason="studies are drawn by matplotlib").Figure()
    study, scale = Study.kinds[kind](), Scale()
    for text in (study.title, study.claim, study.source, study.protocol):
        assert len(text) > 3
    results = [Result(experiment, experiment.quick().run()) for experiment in study.experiments(scale)]
    account = study.account(scale, results)
    assert isinstance(account, Account)
    assert account.findings
    assert all(len(row) == len(account.columns) for row in account.rows)
    study.draw(figure, scale, results)
    assert figure.axes


@pytest.mark.parametrize("kind", list(Study.kinds))
def test_the_paper_scale_of_a_study_is_larger_and_can_be_described(kind):
    small, paper = (Study.kinds[kind]().experiments(Scale(name)) for name in ("small", "paper"))
    assert {experiment.to_toml() for experiment in small} != {experiment.to_toml() for experiment in paper}


@pytest.mark.parametrize("shift", [-1.0, 1.0])
def test_a_finding_is_unclear_until_its_interval_leaves_the_threshold(shift):
    """Samples ±1 around a mean m: the half width is t·s/√n = 12.7·√2/√2 for two, and 2.78·1.095/√5 for five."""
    two, five = np.array([-1.0, 1.0]), np.array([-1.0, -1.0, 0.0, 1.0, 1.0])
    for judge, sign in ((above, 1), (below, -1)):
        assert judge("it", two + sign * shift, 0.0).verdict == "unclear"
        wanted = "replicates" if shift > 0 else "does not replicate"
        assert judge("it", five + 2 * sign * shift, 0.0).verdict == wanted


def test_one_sample_decides_nothing_and_what_is_not_finite_is_left_out():
    assert interval([3.0]) == (3.0, -math.inf, math.inf)
    assert above("it", [3.0], 0.0).verdict == "unclear"
    assert interval([1.0, math.nan, 3.0, math.inf]) == interval([1.0, 3.0])


def test_agreement_is_a_ratio_of_at_most_one():
    assert [agreement("it", ratio, "χ²").verdict for ratio in (0.5, 1.0, 1.01, math.nan, math.inf)] == [
        "agrees",
        "agrees",
        *["disagrees"] * 3,
    ]
    with pytest.raises(SettingError, match="verdict must be one of"):
        Finding("it", "proved", 0, 0, 0, "")


def test_a_scale_has_a_name_and_resizes_its_images():
    with pytest.raises(SettingError, match="scale must be one of"):
        Scale("large")
    assert Scale().images(14).images().values.shape[2:] == (14, 14)
    assert Scale("paper", seed=5).seeds(2) == (5, 6)
