"""The kinds of experiments that come with the project: importing this package makes them known by their names."""

from empirical.experiments.predict import Predict
from empirical.experiments.sample_networks import SampleNetworks
from empirical.experiments.train_networks import TrainNetworks

__all__ = ["Predict", "SampleNetworks", "TrainNetworks"]
