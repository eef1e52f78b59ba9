"""The kinds of experiments that come with the project: importing this package makes them known by their names."""

from empirical.experiments.predict import Predict

__all__ = ["Predict"]
