"""The U-Net of refs 1 and 2 on a grid of patches: diffusers' UNet2DModel, fitted to the grid."""

from collections.abc import Sequence
from math import log2
from typing import Any

import torch
from diffusers import UNet2DModel
from diffusers.models.attention_processor import Attention, AttnProcessor, AttnProcessor2_0
from diffusers.models.resnet import ResnetBlock2D
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import group_norm, pad, pixel_shuffle

from smalti.component import Component
from smalti.mixins import register_to_config
from smalti.nets.codeword_head import CodewordHead
from smalti.nets.dropout import BatchDropout
from smalti.nets.labels import label_rows

_CONDITIONING: dict[str, Any] = {
    "scale": {"norm_num_groups": 8, "resnet_time_scale_shift": "scale_shift"},
    "add": {"norm_num_groups": 32, "resnet_time_scale_shift": "default"},
}
_SMALLEST_LEVEL = 4  # patches on a side of the coarsest level
_MOST_LEVELS = 4
_ATTENTION_UP_TO = 16  # self-attention on levels of at most so many patches a side
# Fused attention is made for accelerators; on a processor plain products are faster, in bfloat16 three times.
_ATTENTION: Any = AttnProcessor2_0 if torch.accelerator.is_available() else AttnProcessor


class UNet(Component):
    """(x, t, label) -> output, floats in and out, on a grid of any size.

    The number of levels follows from the grid: each halves it, down to 4 patches. A grid that does not halve evenly is
    continued by its last row and column, and the output cropped. Levels have `width` channels; without unfolding that
    is said of the finest, and all others have twice as many. With `classes` > 0 the network takes labels 0 ... classes
    - 1, and -1 for "no label". With `features` > 0 the output is logits of the codewords of `codebooks` codebooks, told
    by a `CodewordHead`.

    With `unfold` > 1 a linear layer unfolds each patch into that many places a side, and at the end they are folded
    again: the same kernels then serve all places in a patch, as they do in networks on pixels. That layer finds the
    codec's decoder by itself: begun as that, the network learned no faster (cats 32x32, 50,000 images).

    With the `conditioning` "scale" time and label scale and shift what a block has normalised, in 8 groups of channels.
    With "add" they are added before 32 groups are normalised, and the smaller a group is, the less is left of them: of
    32 channels nothing.

    With `bare_middle` the attention in the middle reads what is not normalised, as diffusers has it where time scales:
    its scores grow without bound (10^8 was seen after 100,000 images), and in bfloat16 the gradient of all layers
    before it becomes noise. It is there for models that were trained so.

    Raises:
        ValueError: `unfold` is no power of 2, or an unknown conditioning.
    """

    _supports_gradient_checkpointing = True  # as the body does

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
        unfold: int = 1,
        conditioning: str = "add",
        bare_middle: bool = True,
    ):
        super().__init__()
        if unfold < 1 or unfold & (unfold - 1):
            raise ValueError(f"unfold is {unfold}; it must be a power of 2.")
        if conditioning not in _CONDITIONING:
            raise ValueError(f"conditioning is {conditioning}; it must be one of {', '.join(_CONDITIONING)}.")
        self.register_to_config(bare_middle=bare_middle and conditioning == "scale")
        self.head = CodewordHead(codebooks, out_channels // codebooks, features) if features else None
        side = min(grid)
        levels = min(_MOST_LEVELS, max(1, int(log2(max(side, 1) / _SMALLEST_LEVEL)) + 1))
        self.classes = classes
        self.stride = 2 ** (levels - 1)
        finer = int(log2(unfold))
        self.unfolding = nn.Conv2d(in_channels, in_channels * unfold**2, 1) if finer else None
        attends = [False] * finer + [side / 2**level <= _ATTENTION_UP_TO for level in range(levels)]
        levels += finer
        self.body = UNet2DModel(
            sample_size=None,
            in_channels=in_channels,
            out_channels=width,
            block_out_channels=(width,) * levels if finer else (width, *[2 * width] * (levels - 1)),
            down_block_types=tuple("AttnDownBlock2D" if attend else "DownBlock2D" for attend in attends),
            up_block_types=tuple("AttnUpBlock2D" if attend else "UpBlock2D" for attend in reversed(attends)),
            layers_per_block=layers,
            attention_head_dim=32,
            dropout=dropout,
            **_CONDITIONING[conditioning],
            attn_norm_num_groups=None if bare_middle else _CONDITIONING[conditioning]["norm_num_groups"],
            num_class_embeds=classes + 1 if classes else None,
        )
        # A convolution over one patch writes the output: over 3x3 it would cost, for logits, as much as all the rest.
        # The first output is 0: the best guess while nothing is known.
        self.body.conv_out = nn.Conv2d(width, self.head.in_channels if self.head else out_channels, unfold, unfold)
        for parameter in self.body.conv_out.parameters():
            nn.init.zeros_(parameter)
        for module in self.body.modules():
            if isinstance(module, nn.GroupNorm):
                module.__class__ = _GroupNorm
            elif isinstance(module, ResnetBlock2D):
                module.dropout = BatchDropout(dropout)
            elif isinstance(module, Attention):
                module.set_processor(_ATTENTION())

    def forward(
        self,
        x: Float[Tensor, "B in h w"],
        t: Float[Tensor, " B"] | Int64[Tensor, " B"],
        label: Int64[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B *out h w"]:
        """The output for inputs x at times t; without `label`, or where it is -1, for no label.

        Logits of a `CodewordHead` are (B, c, K, h, w).
        """
        height, width = x.shape[2:]
        padded = pad(x, (0, -width % self.stride, 0, -height % self.stride), mode="replicate")
        rows = label_rows(label, self.classes, t) if self.classes else None
        if self.unfolding is not None:
            padded = pixel_shuffle(self.unfolding(padded), self.config["unfold"])
        out = self.body(padded, t, class_labels=rows).sample[..., :height, :width]
        return self.head(out) if self.head else out


class _GroupNorm(nn.GroupNorm):
    """In float32 under autocast everywhere, as accelerators do it: processors are slow at it in bfloat16."""

    def forward(self, input: Float[Tensor, "B c *places"]) -> Float[Tensor, "B c *places"]:
        device = input.device.type
        lowered = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
        return group_norm(input.float() if lowered else input, self.num_groups, self.weight, self.bias, self.eps)
