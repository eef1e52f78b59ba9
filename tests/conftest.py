"""What the tests share: one Hypothesis profile, the devices, and real digits where they are present."""

import os
from pathlib import Path

# One thread per process, before numpy and torch read it: small matrices gain nothing from more, and workers would fight.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import settings

# The same command prints the same verdicts twice: examples are derived from the test, and none is remembered.
settings.register_profile("closedflow", deadline=None, derandomize=True, database=None, max_examples=40)
settings.load_profile("closedflow")


def pytest_configure(config):
    # torch warns that an even kernel copies its input; training prints it, and no verdict depends on it.
    config.addinivalue_line("filterwarnings", "ignore:Using padding='same' with even kernel")


MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist10k.npz"


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    """The name of each device that torch finds here."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    return request.param


@pytest.fixture(scope="session")
def mnist():
    """Real digits, (10000, 784) in [0, 1]."""
    if not MNIST.exists():
        pytest.skip("mnist10k.npz is not in the folder shared/data beside the repository")
    with np.load(MNIST) as archive:
        return archive["X"] / 255.0
