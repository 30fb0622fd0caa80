"""Schedulers by name, the one face that sampling sees of them, and the two of our own."""

from smalti.schedulers.resampling import Resampling
from smalti.schedulers.steps import CumulativeSteps, RatioSteps, ReplacingSteps, Steps, UnmaskingSteps
from smalti.schedulers.table import (
    SCHEDULERS,
    Scheduler,
    make_scheduler,
    require_suits,
    row_of,
    schedulers_of,
    steps_of,
)
from smalti.schedulers.unmasking import Unmasking

__all__ = [
    "SCHEDULERS",
    "CumulativeSteps",
    "RatioSteps",
    "ReplacingSteps",
    "Resampling",
    "Scheduler",
    "Steps",
    "Unmasking",
    "UnmaskingSteps",
    "make_scheduler",
    "require_suits",
    "row_of",
    "schedulers_of",
    "steps_of",
]
