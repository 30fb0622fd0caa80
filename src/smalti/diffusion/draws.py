"""Drawing indices from distributions over codewords."""

from collections.abc import Callable
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor
from jaxtyping import Float, Int64
from torch import Generator, Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import cross_entropy
from torch.special import ndtr

from smalti.errors import SmaltiError
from smalti.threads import joined

Generators = Generator | list[Generator] | None
"""What draws: one generator for a batch, one for each image, or the global one."""

_ELEMENTS_AT_A_TIME = 2**19  # of logits that are worked on


def draw(
    logits: Float[Tensor, "B c K h w"], temperature: float, generator: Generators = None
) -> Int64[Tensor, "B c h w"]:
    """An index from softmax(logits / temperature) at every place; at temperature 0 the likeliest.

    With a list of generators each image draws from its own.

    Raises:
        SmaltiError: the temperature is below 0.
    """
    if temperature < 0:
        raise SmaltiError(f"a temperature of {temperature:g}: it must be 0 (the likeliest codeword) or more.")
    if temperature == 0:
        return logits.argmax(2)
    b, c, _, h, w = logits.shape
    chance = ndtr(randn_tensor((b, c, h, w, 1), generator, logits.device))
    return in_parts(lambda part, level: _inverse_transform(part / temperature, level), logits, chance)


def surprise(logits: Float[Tensor, "B c K h w"], z: Int64[Tensor, "B c h w"]) -> Float[Tensor, "B c h w"]:
    """-log p of the indices, in nats.

    Codebook by codebook, a row for each place: so `CodewordHead` stores them, and they are not copied.
    """
    rows, indices = logits.permute(1, 0, 3, 4, 2), z.transpose(0, 1).flatten()
    if logits.device.type == "cpu":
        found = _Surprise.apply(rows.flatten(0, 3), indices)
    else:
        found = cross_entropy(rows.flatten(0, 3).float(), indices, reduction="none")
    return found.unflatten(0, rows.shape[:4]).transpose(0, 1)


class _Surprise(Function):
    """The cross-entropy of rows of logits, some rows at a time, which stay in a processor's cache.

    In bfloat16 it takes two thirds as long as PyTorch's, and holds no copies in float32.
    """

    @staticmethod
    def forward(ctx: Any, rows: Float[Tensor, "N K"], indices: Int64[Tensor, " N"]) -> Float[Tensor, " N"]:
        total = torch.cat([part.float().logsumexp(1) for part in rows.split(_rows_at_a_time(rows))])
        ctx.save_for_backward(rows, indices, total)
        return total - rows.gather(1, indices[:, None])[:, 0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Float[Tensor, " N"]) -> tuple[Float[Tensor, "N K"], None]:
        rows, indices, total = ctx.saved_tensors
        found = torch.empty_like(rows)
        split = (each.split(_rows_at_a_time(rows)) for each in (found, rows, indices, total, gradient))
        for into, part, index, sums, factor in zip(*split, strict=True):
            p = (part.float() - sums[:, None]).exp_()
            p.scatter_add_(1, index[:, None], -torch.ones_like(sums)[:, None])
            into.copy_(p.mul_(factor[:, None]))
        return found, None


def _rows_at_a_time(rows: Float[Tensor, "N K"]) -> int:
    return max(1, _ELEMENTS_AT_A_TIME // rows.shape[1])


def in_parts(function: Callable[..., Tensor], logits: Float[Tensor, "B c K h w"], *others: Tensor) -> Tensor:
    """`function` of logits and what goes with them, on a processor a few images at a time.

    So what is worked on stays in its cache, which is three times as fast.
    """
    if logits.device.type != "cpu":
        return function(logits, *others)
    parts = zip(*(each.split(images_at_a_time(logits)) for each in (logits, *others)), strict=True)
    return joined([function(*part) for part in parts])


def images_at_a_time(outputs: Float[Tensor, "B *out h w"]) -> int:
    """How many images' outputs stay in a processor's cache."""
    return max(1, _ELEMENTS_AT_A_TIME // outputs[0].numel())


def uniform(share: Float[Tensor, "B c h w"], sizes: Int64[Tensor, " c"]) -> Int64[Tensor, "B c h w"]:
    """Any index of each channel's codebook, all equally likely, from numbers that are uniform in 0 ... 1."""
    limit = sizes.to(share.device)[:, None, None]
    return torch.minimum((share * limit).long(), limit - 1)


def _inverse_transform(
    logits: Float[Tensor, "B c K h w"], chance: Float[Tensor, "B c h w 1"]
) -> Int64[Tensor, "B c h w"]:
    """The first index up to which the probabilities sum to more than a chance in 0 ... 1."""
    cumulative = logits.float().movedim(2, -1).contiguous().softmax(-1).cumsum(-1)
    total = cumulative[..., -1:].contiguous()
    # Where rounding lifts the chance to the total, the last index that has a probability is drawn.
    index = torch.searchsorted(cumulative, chance * total, right=True)
    return torch.minimum(index, torch.searchsorted(cumulative, total))[..., 0]
