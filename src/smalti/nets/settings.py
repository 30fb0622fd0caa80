"""What networks can be told: a kind of settings a network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from smalti.component import Component
from smalti.errors import SmaltiError
from smalti.nets.dit import DiT
from smalti.nets.unet import UNet
from smalti.records import Kind


@dataclass(frozen=True, kw_only=True)
class NetSettings(Kind):
    """What every network can be told."""

    width: int = 64
    """Channels of the U-Net's finest level, or of the transformer's tokens."""
    layers: int = 1
    """Residual blocks a level of the U-Net, or blocks of the transformer."""
    dropout: float = 0.0
    """Dropout in the residual blocks."""

    def __post_init__(self) -> None:
        """Refuse a network that cannot be built.

        Raises:
            SmaltiError: a setting that is out of range.
        """
        if self.width < 32 or self.width % 32:
            raise SmaltiError(f"width is {self.width}; it must be a multiple of 32.")
        if self.layers < 1 or not 0 <= self.dropout < 1:
            raise SmaltiError("layers must be at least 1, and dropout from 0 to 1.")

    def build(self, in_channels: int, out_channels: int, grid: Sequence[int], classes: int) -> Component:
        """The network, with weights from torch's own generator."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class UNetSettings(NetSettings):
    """A U-Net."""

    kind: ClassVar[str] = "unet"

    def build(self, in_channels: int, out_channels: int, grid: Sequence[int], classes: int) -> UNet:
        """The network, with weights from torch's own generator."""
        return UNet(in_channels, out_channels, grid, classes, self.width, self.layers, self.dropout)


@dataclass(frozen=True, kw_only=True)
class DiTSettings(NetSettings):
    """A transformer with a token a patch."""

    kind: ClassVar[str] = "dit"

    def build(self, in_channels: int, out_channels: int, grid: Sequence[int], classes: int) -> DiT:
        """The network, with weights from torch's own generator."""
        return DiT(in_channels, out_channels, grid, classes, self.width, self.layers, self.dropout)
