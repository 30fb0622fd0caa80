"""The last step of a model: what coding leaves of a picture, finished."""

from smalti.component import Component
from smalti.mixins import register_to_config
from smalti.nets.pixel_network import PixelNetwork


class Refiner(PixelNetwork, Component):
    """A network from pixels to pixels that is saved with a model."""

    @register_to_config
    def __init__(self, channels: int = 3, patch: int = 8, width: int = 48, blocks: int = 4):
        super().__init__(channels, patch, width, blocks)
