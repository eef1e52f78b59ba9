"""The kinds of experiments that come with the project: importing this package makes them known by their names."""

from empirical.experiments.first_layer import FirstLayer
from empirical.experiments.flat_centre import FlatCentre
from empirical.experiments.predict import Predict
from empirical.experiments.sample_networks import SampleNetworks
from empirical.experiments.theorem_one import TheoremOne
from empirical.experiments.train_networks import TrainNetworks

__all__ = ["FirstLayer", "FlatCentre", "Predict", "SampleNetworks", "TheoremOne", "TrainNetworks"]
