"""The diffusion transformer on a grid of patches, one token a patch: DiT (Peebles and Xie, ICCV 2023)."""

from collections.abc import Callable, Sequence

import torch
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import layer_norm, rms_norm, scaled_dot_product_attention, silu

from smalti.component import Component
from smalti.mixins import register_to_config
from smalti.nets.codeword_head import CodewordHead
from smalti.nets.dropout import BatchDropout
from smalti.nets.labels import label_rows

_HEAD = 32  # channels of an attention head
_TIME_WAVES = 256  # sines and cosines that a time is given by
_PLACE_BASE = 100.0  # waves of 6 to 350 patches tell where a patch lies (axial RoPE of Heo et al., ECCV 2024)


class DiT(Component):
    """(x, t, label) -> output, floats in and out, on a grid of any size.

    Every patch is a token of `width` channels, a multiple of 32; each of `layers` blocks lets all tokens see each
    other. Time and label scale and shift what goes into a block and gate what comes out of it (adaLN-Zero). Rows and
    columns turn queries and keys (axial rotary embedding), which tells how far two patches lie apart, and are added to
    the tokens, which tells where in the grid each lies. Both are formulas, so `grid` is only recorded. With `classes` >
    0 the network takes labels 0 ... classes - 1, and -1 for "no label". With `features` > 0 the output is logits of the
    codewords of `codebooks` codebooks, told by a `CodewordHead`.

    Raises:
        ValueError: a width that does not divide into heads.
    """

    _supports_gradient_checkpointing = True
    _gradient_checkpointing_func: Callable[..., Tensor]  # given by diffusers with what switches it on
    any_grid = False  # places beyond those of training mean nothing to it

    @register_to_config
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        grid: Sequence[int],
        classes: int = 0,
        width: int = 256,
        layers: int = 8,
        dropout: float = 0.0,
        codebooks: int = 0,
        features: int = 0,
    ):
        super().__init__()
        if width < _HEAD or width % _HEAD:
            raise ValueError(f"width is {width}; it must be a multiple of {_HEAD}, the channels of an attention head.")
        self.classes = classes
        self.gradient_checkpointing = False
        self.read = nn.Linear(in_channels, width)
        self.place = nn.Linear(_HEAD, width, bias=False)
        self.time_waves = Timesteps(_TIME_WAVES, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time = TimestepEmbedding(_TIME_WAVES, width)
        self.class_embedding = nn.Embedding(classes + 1, width) if classes else None
        self.blocks = nn.ModuleList(_Block(width, dropout) for _ in range(layers))
        self.modulation = nn.Linear(width, 2 * width)
        self.head = CodewordHead(codebooks, out_channels // codebooks, features) if features else None
        self.write = nn.Linear(width, self.head.in_channels if self.head else out_channels)

        # As in the paper: Xavier, small embeddings, and zeros where a branch or the output ends. So each block begins
        # as the identity, and the first output is 0: the best guess while nothing is known.
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for embedding in [self.time.linear_1, self.time.linear_2, self.class_embedding]:
            if embedding is not None:
                nn.init.normal_(embedding.weight, std=0.02)
        for last in [self.write, self.modulation, *(block.modulation for block in self.blocks)]:
            nn.init.zeros_(last.weight)

    def forward(
        self,
        x: Float[Tensor, "B in h w"],
        t: Float[Tensor, " B"] | Int64[Tensor, " B"],
        label: Int64[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B *out h w"]:
        """The output for inputs x at times t; without `label`, or where it is -1, for no label.

        Logits of a `CodewordHead` are (B, c, K, h, w).
        """
        dtype = self.read.weight.dtype
        condition = self.time(self.time_waves(t).to(dtype))
        if self.class_embedding is not None:
            condition = condition + self.class_embedding(label_rows(label, self.classes, t))
        condition = silu(condition)[:, None]

        angles = _angles(x.shape[2], x.shape[3], x.device)
        cos, sin = angles.cos(), angles.sin()
        tokens = self.read(x.flatten(2).mT) + self.place(torch.cat([cos, sin], 1).to(dtype))
        for block in self.blocks:
            if self.gradient_checkpointing and torch.is_grad_enabled():
                tokens = self._gradient_checkpointing_func(block, tokens, condition, cos, sin)
            else:
                tokens = block(tokens, condition, cos, sin)
        shift, scale = self.modulation(condition).chunk(2, -1)
        out = self.write(_modulated(tokens, shift, scale)).mT.unflatten(2, x.shape[2:])
        return self.head(out) if self.head else out


class _Block(nn.Module):
    """Attention and a two-layer perceptron, each a residual branch that the condition modulates and gates."""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.modulation = nn.Linear(width, 6 * width)
        self.attention = _Attention(width)
        self.perceptron = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width))
        self.dropout = BatchDropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "B n c"],
        condition: Float[Tensor, "B 1 c"],
        cos: Float[Tensor, "n half"],
        sin: Float[Tensor, "n half"],
    ) -> Float[Tensor, "B n c"]:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(condition).chunk(6, -1)
        x = x + gate1 * self.dropout(self.attention(_modulated(x, shift1, scale1), cos, sin))
        return x + gate2 * self.dropout(self.perceptron(_modulated(x, shift2, scale2)))


class _Attention(nn.Module):
    """Self-attention; queries and keys are normalised, which keeps training stable (Dehghani et al., ICML 2023)."""

    def __init__(self, width: int):
        super().__init__()
        self.read = nn.Linear(width, 3 * width, bias=False)
        self.gains = nn.Parameter(torch.ones(2, _HEAD))  # of queries and keys
        self.write = nn.Linear(width, width)

    def forward(
        self, x: Float[Tensor, "B n c"], cos: Float[Tensor, "n half"], sin: Float[Tensor, "n half"]
    ) -> Float[Tensor, "B n c"]:
        heads = self.read(x).unflatten(2, (3, -1, _HEAD)).permute(2, 0, 3, 1, 4)  # (3, B, heads, n, 32)
        normal = rms_norm(heads[:2], (_HEAD,), eps=1e-6) * self.gains[:, None, None, None]
        query, key = _turned(normal, cos, sin).to(heads.dtype)
        return self.write(_attended(query, key, heads[2]).transpose(1, 2).flatten(2))


def _attended(
    query: Float[Tensor, "B heads n c"], key: Float[Tensor, "B heads n c"], value: Float[Tensor, "B heads n c"]
) -> Float[Tensor, "B heads n c"]:
    """Values by how well their keys answer the queries; by plain products on a processor, which is faster there."""
    if query.device.type != "cpu":
        return scaled_dot_product_attention(query, key, value)
    return (query @ key.mT * _HEAD**-0.5).softmax(-1).to(value.dtype) @ value


def _angles(height: int, width: int, device: torch.device) -> Float[Tensor, "n half"]:
    """Angles of the patches, row by row: the first half of them times the row, the second times the column."""
    frequencies = _PLACE_BASE ** -torch.arange(0, 1, 4 / _HEAD, device=device)
    places = torch.cartesian_prod(torch.arange(height, device=device), torch.arange(width, device=device))
    return (places[:, :, None] * frequencies).flatten(1)


def _turned(
    x: Float[Tensor, "*heads n c"], cos: Float[Tensor, "n half"], sin: Float[Tensor, "n half"]
) -> Float[Tensor, "*heads n c"]:
    """Each pair (x_i, x_{i + c/2}) turned by its angle, so that products depend on differences of places alone."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


def _modulated(
    x: Float[Tensor, "B n c"], shift: Float[Tensor, "B 1 c"], scale: Float[Tensor, "B 1 c"]
) -> Float[Tensor, "B n c"]:
    return layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift
