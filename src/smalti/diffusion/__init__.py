"""Diffusion processes on the integers of a codec."""

from smalti.diffusion.categorical import Categorical
from smalti.diffusion.continuous import Continuous
from smalti.diffusion.coordinates import Coordinates
from smalti.diffusion.masked import Masked
from smalti.diffusion.multinomial import Multinomial
from smalti.diffusion.process import Process
from smalti.diffusion.resampling import Resampling
from smalti.diffusion.unmasking import Unmasking

__all__ = ["Categorical", "Continuous", "Coordinates", "Masked", "Multinomial", "Process", "Resampling", "Unmasking"]
