"""One visible loop, used for every network."""

from smalti.training.crops import most_photos
from smalti.training.deblocker import DeblockerSettings, train_deblocker
from smalti.training.generator import (
    GeneratorSettings,
    LatentBatches,
    begin_generator,
    generator_losses,
    train_generator,
)
from smalti.training.held_out import HeldOutLoss
from smalti.training.learner import Batch, Batches, Learner, Losses
from smalti.training.levels import LossByLevel
from smalti.training.loop import train
from smalti.training.measured import independent_by_level, loss_by_level, on_held_out
from smalti.training.origin import Origin
from smalti.training.pace import choose_processes, speed
from smalti.training.refiner import RefinerSettings, train_refiner
from smalti.training.settings import TrainSettings
from smalti.training.timing import refining_speed, training_speed
from smalti.training.tracking import TrackerName, require_tracker

__all__ = [
    "Batch",
    "Batches",
    "DeblockerSettings",
    "GeneratorSettings",
    "HeldOutLoss",
    "LatentBatches",
    "Learner",
    "LossByLevel",
    "Losses",
    "Origin",
    "RefinerSettings",
    "TrackerName",
    "TrainSettings",
    "begin_generator",
    "choose_processes",
    "generator_losses",
    "independent_by_level",
    "loss_by_level",
    "most_photos",
    "on_held_out",
    "refining_speed",
    "require_tracker",
    "speed",
    "train",
    "train_deblocker",
    "train_generator",
    "train_refiner",
    "training_speed",
]
