"""What networks can be told: a kind of settings a network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from jaxtyping import Float
from torch import Tensor

from smalti.component import Component
from smalti.errors import SmaltiError
from smalti.nets.dit import DiT
from smalti.nets.unet import UNet
from smalti.records import Kind


@dataclass(frozen=True, kw_only=True)
class NetSettings(Kind):
    """What every network can be told."""

    network: ClassVar[Callable[..., Any]]
    """The class of the network."""

    width: int = 64
    """Channels of the U-Net's levels, or of the transformer's tokens."""
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

    def build(
        self,
        in_channels: int,
        out_channels: int,
        grid: Sequence[int],
        classes: int,
        coordinates: Float[Tensor, "c K k"] | None = None,
        features: int = 0,
    ) -> Component:
        """The network, with weights from torch's own generator.

        With `features` > 0 its outputs are the logits of the codewords that have these coordinates.
        """
        own: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        if not features or coordinates is None:
            return self.network(in_channels, out_channels, grid, classes, **own)
        own |= {"codebooks": len(coordinates), "features": features}
        net: Any = self.network(in_channels, out_channels, grid, classes, **own)
        net.head.begin(coordinates)
        return net


@dataclass(frozen=True, kw_only=True)
class UNetSettings(NetSettings):
    """A U-Net."""

    kind: ClassVar[str] = "unet"
    network: ClassVar[Callable[..., Any]] = UNet

    unfold: int = 2
    """Places a side that each patch is unfolded into, a power of 2; 1 works on whole patches."""
    conditioning: Literal["scale", "add"] = "scale"
    """How blocks are told time and label: these scale and shift what was normalised, or are added before."""
    bare_middle: bool = False
    """The attention in the middle does not normalise what it reads: only to go on from a model that was trained so."""

    def __post_init__(self) -> None:
        """Refuse a network that cannot be built.

        Raises:
            SmaltiError: a setting that is out of range.
        """
        super().__post_init__()
        if self.unfold < 1 or self.unfold & (self.unfold - 1):
            raise SmaltiError(f"unfold is {self.unfold}; it must be a power of 2.")
        if self.bare_middle and self.conditioning == "add":
            raise SmaltiError("where time and label are added, the middle is never bare; leave bare_middle out.")


@dataclass(frozen=True, kw_only=True)
class DiTSettings(NetSettings):
    """A transformer with a token a patch."""

    kind: ClassVar[str] = "dit"
    network: ClassVar[Callable[..., Any]] = DiT
