"""The studies: one file for each experiment of the papers. Importing this package makes them known by their names."""

import importlib
import pkgutil

from empirical.studies.finding import Finding, above, agreement, below
from empirical.studies.samples import interval
from empirical.studies.study import Account, Result, Scale, Study, StudyRun, run_study

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = [
    "Account",
    "Finding",
    "Result",
    "Scale",
    "Study",
    "StudyRun",
    "above",
    "agreement",
    "below",
    "interval",
    "run_study",
]
