"""Diffusion processes on the integers of a codec."""

from smalti.diffusion.continuous import Continuous
from smalti.diffusion.coordinates import Coordinates
from smalti.diffusion.process import Process

__all__ = ["Continuous", "Coordinates", "Process"]
