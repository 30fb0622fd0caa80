"""Diffusion processes on the integers of a codec, in two families: Gaussian noise on coordinates, replaced indices."""

from smalti.diffusion.categorical import Categorical, CategoricalSettings
from smalti.diffusion.continuous import Continuous, ContinuousSettings
from smalti.diffusion.coordinates import Coordinates
from smalti.diffusion.discrete import Discrete
from smalti.diffusion.draws import draw
from smalti.diffusion.gaussian import Gaussian, GaussianSettings
from smalti.diffusion.independence import entropy, independent_cross_entropy
from smalti.diffusion.level import DiscreteLevel, GaussianLevel, Level
from smalti.diffusion.masked import Masked, MaskedSettings
from smalti.diffusion.multinomial import Multinomial, MultinomialSettings
from smalti.diffusion.process import LogitsSettings, Process, ProcessSettings
from smalti.diffusion.schedule import SCHEDULES, TRAINING_TIMESTEPS, NoiseSchedule

__all__ = [
    "SCHEDULES",
    "TRAINING_TIMESTEPS",
    "Categorical",
    "CategoricalSettings",
    "Continuous",
    "ContinuousSettings",
    "Coordinates",
    "Discrete",
    "DiscreteLevel",
    "Gaussian",
    "GaussianLevel",
    "GaussianSettings",
    "Level",
    "LogitsSettings",
    "Masked",
    "MaskedSettings",
    "Multinomial",
    "MultinomialSettings",
    "NoiseSchedule",
    "Process",
    "ProcessSettings",
    "draw",
    "entropy",
    "independent_cross_entropy",
]
