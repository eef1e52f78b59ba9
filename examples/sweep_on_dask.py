"""A sweep on dask workers (here two threads of this process; see docs/cluster.md for real ones). What is stored is not run again."""

import tempfile
from pathlib import Path

from distributed import Client, LocalCluster

from empirical.execute import execute
from empirical.run_table import table_of
from empirical.store import RunStore
from empirical.sweep import read_sweep

SWEEP = """
[experiment]
kind = "predict"
layer = "linear"
[experiment.optimizer]
kind = "gradient_descent"
learning_rate = 0.01

[grid]
layer = ["linear", {kind = "conv", kernel_size = 3}, {kind = "conv", kernel_size = 5}]
seed = [0, 1]
"""

if __name__ == "__main__":
    experiments, store = read_sweep(SWEEP), RunStore(Path(tempfile.mkdtemp()) / "runs")
    with LocalCluster(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=":0") as cluster:
        with Client(cluster) as client:
            for attempt in ("first", "second"):
                outcomes = execute(experiments, store, client.get_executor(pure=False), device="cpu")
                print(f"{attempt} time: {len(outcomes)} outcomes, {len(list(store.folder.iterdir()))} folders")
    print(table_of(experiments, outcomes).text())
