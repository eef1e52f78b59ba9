"""Devices and arithmetic: what a name means here, and float32 that is really float32."""

import sys

import pytest

from empirical.device import DTYPES, construct, describe, few_threads, full_precision, import_torch, resolve
from numerics.budget import UNITS
from theory.component import Named
from theory.errors import SettingError
from theory.layers import Conv, Linear
from theory.optimizers import Adam, GradientDescent, HeavyBall

torch = pytest.importorskip("torch", reason="devices are torch's")
has_gpu = torch.cuda.is_available()


def test_cpu_is_always_there() -> None:
    assert resolve("cpu") == "cpu"
    assert describe("cpu") == f"cpu ({torch.get_num_threads()} threads)"


def test_auto_is_cuda_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for available, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        assert resolve("auto") == expected


def test_cuda_that_is_absent_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingError, match=r"^device must be .*, but 'cuda' is not\. Use device='cpu' or 'auto'\.$"):
        resolve("cuda")


def test_unknown_device_names_the_known_ones() -> None:
    with pytest.raises(SettingError, match=r"^device must be one of .*, but it is 'cuda:0'\."):
        resolve("cuda:0")


@pytest.mark.gpu
@pytest.mark.skipif(not has_gpu, reason="no CUDA device here")
def test_cuda_is_described_by_its_card() -> None:
    assert resolve("auto") == "cuda"
    assert torch.cuda.get_device_name() in describe("cuda")


def test_missing_torch_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SettingError, match=r"^torch must be installed .*, but it is not\. Run: pip install"):
        import_torch()


def test_every_dtype_is_torchs_and_has_the_unit_roundoff_of_its_budget() -> None:
    assert set(DTYPES) == set(UNITS)
    for dtype in DTYPES:
        assert UNITS[dtype] == torch.finfo(getattr(torch, dtype)).eps / 2


@pytest.mark.parametrize(
    ("layer", "shape", "module"),
    [
        (Linear(bias=True), (4,), torch.nn.Linear),
        (Conv(3), (2, 5), torch.nn.Conv1d),
        (Conv(3), (2, 5, 5), torch.nn.Conv2d),
        (Conv(3), (2, 5, 5, 5), torch.nn.Conv3d),
    ],
    ids=str,
)
def test_layer_constructs_torchs_own_module(layer, shape: tuple[int, ...], module: type) -> None:
    built = construct(layer.torch_module(shape, 6))
    assert type(built) is module
    assert tuple(built.weight.shape) == layer.weight_shape(shape, 6)
    assert (built.bias is not None) == layer.bias


def test_optimizer_constructs_torchs_own() -> None:
    parameter = torch.zeros(2, requires_grad=True)
    for optimizer, kind, expected in (
        (GradientDescent(0.25), torch.optim.SGD, {"lr": 0.25, "momentum": 0, "weight_decay": 0.5}),
        (HeavyBall(0.25, 0.9), torch.optim.SGD, {"lr": 0.25, "momentum": 0.9, "dampening": 0, "nesterov": False}),
        (Adam(0.25), torch.optim.Adam, {"lr": 0.25, "weight_decay": 0.5}),
    ):
        built = construct(optimizer.torch_optimizer(), params=[parameter], weight_decay=0.5)
        assert type(built) is kind
        assert {key: built.defaults[key] for key in expected} == expected


def test_construct_names_any_module() -> None:
    assert construct(Named("fractions.Fraction", {"numerator": 3}), denominator=4) * 4 == 3


@pytest.mark.parametrize("before", [True, False])
def test_tf32_is_off_inside_and_as_it_was_outside(before: bool) -> None:
    def flags() -> tuple[bool, bool, bool]:
        cudnn = torch.backends.cudnn
        return torch.backends.cuda.matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic

    saved = flags()
    try:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = before
        outside = flags()
        with full_precision():
            assert flags() == (False, False, True)
        assert flags() == outside
        with pytest.raises(ZeroDivisionError), full_precision():
            _ = 1 / 0
        assert flags() == outside
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, _ = saved


@pytest.mark.parametrize(("work", "inside"), [(999_999, 1), (10**6, 3)])
def test_small_work_gets_one_thread_and_the_others_come_back(work: int, inside: int) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with few_threads(work):
            assert torch.get_num_threads() == inside
        assert torch.get_num_threads() == 3
        with pytest.raises(ZeroDivisionError), few_threads(work):
            _ = 1 / 0
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
