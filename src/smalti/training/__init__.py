"""One visible loop, used for every network."""

from smalti.training.deblocker import DeblockerSettings, train_deblocker
from smalti.training.generator import GeneratorSettings, begin_generator, train_generator
from smalti.training.loop import train
from smalti.training.refiner import RefinerSettings, train_refiner
from smalti.training.settings import TrainSettings

__all__ = [
    "DeblockerSettings",
    "GeneratorSettings",
    "RefinerSettings",
    "TrainSettings",
    "begin_generator",
    "train",
    "train_deblocker",
    "train_generator",
    "train_refiner",
]
