"""The U-Net of refs 1 and 2 on a grid of patches: diffusers' UNet2DModel, fitted to the grid."""

from collections.abc import Sequence
from math import log2

from diffusers import UNet2DModel
from diffusers.configuration_utils import register_to_config
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import pad

from smalti.component import Component
from smalti.nets.codeword_head import CodewordHead
from smalti.nets.labels import label_rows

_SMALLEST_LEVEL = 4  # patches on a side of the coarsest level
_MOST_LEVELS = 4
_ATTENTION_UP_TO = 16  # self-attention on levels of at most so many patches a side


class UNet(Component):
    """(x, t, label) -> output, floats in and out, on a grid of any size.

    The number of levels follows from the grid: each halves it, down to 4 patches. Level l has width * (1, 2, 2, ...)
    channels. A grid that does not halve evenly is continued by its last row and column, and the output cropped. With
    `classes` > 0 the network takes labels 0 ... classes - 1, and -1 for "no label". With `features` > 0 the output is
    logits of the codewords of `codebooks` codebooks, told by a `CodewordHead`.
    """

    @register_to_config
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        grid: Sequence[int],
        classes: int = 0,
        width: int = 64,
        layers: int = 1,
        dropout: float = 0.0,
        codebooks: int = 0,
        features: int = 0,
    ):
        super().__init__()
        self.head = CodewordHead(codebooks, out_channels // codebooks, features) if features else None
        side = min(grid)
        levels = min(_MOST_LEVELS, max(1, int(log2(max(side, 1) / _SMALLEST_LEVEL)) + 1))
        self.classes = classes
        self.stride = 2 ** (levels - 1)
        attends = [side / 2**level <= _ATTENTION_UP_TO for level in range(levels)]
        self.body = UNet2DModel(
            sample_size=None,
            in_channels=in_channels,
            out_channels=width,
            block_out_channels=tuple(width * (1 if level == 0 else 2) for level in range(levels)),
            down_block_types=tuple("AttnDownBlock2D" if attend else "DownBlock2D" for attend in attends),
            up_block_types=tuple("AttnUpBlock2D" if attend else "UpBlock2D" for attend in reversed(attends)),
            layers_per_block=layers,
            attention_head_dim=32,
            dropout=dropout,
            num_class_embeds=classes + 1 if classes else None,
        )
        # A convolution over 1x1 patches writes the output: over 3x3 it would cost, for logits, as much as all the rest.
        # The first output is 0: the best guess while nothing is known.
        self.body.conv_out = nn.Conv2d(width, self.head.in_channels if self.head else out_channels, 1)
        for parameter in self.body.conv_out.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self,
        x: Float[Tensor, "B in h w"],
        t: Float[Tensor, " B"] | Int64[Tensor, " B"],
        label: Int64[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B out h w"]:
        """The output for inputs x at times t; without `label`, or where it is -1, for no label."""
        height, width = x.shape[2:]
        padded = pad(x, (0, -width % self.stride, 0, -height % self.stride), mode="replicate")
        rows = label_rows(label, self.classes, t) if self.classes else None
        out = self.body(padded, t, class_labels=rows).sample[..., :height, :width]
        return self.head(out) if self.head else out
