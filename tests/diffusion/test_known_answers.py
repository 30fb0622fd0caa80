"""Toys whose right answer is known, for every process."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch

from smalti.codec import Codec
from smalti.diffusion import Categorical, Continuous, Masked, Multinomial, Process
from smalti.nets import DiT
from smalti.pipeline import SmaltiPipeline
from smalti.schedulers import make_scheduler
from smalti.training import generator_losses

CODEWORDS = 16
# Process and its settings, scheduler, temperature of draws or the mean.
SAMPLERS = [
    (Continuous, {}, "ddim", None),
    (Categorical, {}, "ddpm", 1.0),
    (Categorical, {}, "renoise", 1.0),
    (Categorical, {}, "ddim", "mean"),
    (Categorical, {}, "dpmsolver++", "mean"),
    (Masked, {}, "unmask", 1.0),
    (Masked, {}, "unmask-halton", 1.0),
    (Masked, {}, "unmask-random", 1.0),
    (Multinomial, {}, "multinomial", 1.0),
    (Categorical, {"likelihood": True}, "ddpm", 1.0),
    pytest.param(Continuous, {"self_conditioning": True}, "ddim", None, marks=pytest.mark.soak),
    pytest.param(Categorical, {"self_conditioning": True}, "ddpm", 1.0, marks=pytest.mark.soak),
    pytest.param(Categorical, {"cross_entropy_weight": 0.0, "noise_weight": 1.0}, "ddpm", 1.0, marks=pytest.mark.soak),
]


@pytest.fixture(scope="module")
def two_codes() -> Codec:
    """Two codes a patch, of grey pictures of one patch."""
    torch.manual_seed(0)
    codec = Codec(spec="LSQ-8@4/4")
    codec.codebooks.copy_(torch.randn(2, CODEWORDS, 16) * 20)
    return codec


def _trained(process: Process, codec: Codec, z: torch.Tensor, steps: int) -> SmaltiPipeline:
    torch.manual_seed(0)
    net = DiT(process.in_channels, process.out_channels, (1, 1), width=64, layers=2)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, fused=True)
    losses = generator_losses(process, codec)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1.0, 3 * (1 - step / steps))
        batch = {
            "z": z[torch.randint(len(z), (64,))],
            "position": torch.rand(64),
            "noise": torch.randn(64, process.noise_channels, 1, 1),
            "label": torch.full((64,), -1),
            "recall": torch.randint(2, (64,)).float(),
        }
        torch.stack(list(losses(net, batch).values())).sum(0).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    pipe = SmaltiPipeline(codec, process, net.eval(), make_scheduler(process.default_scheduler, process), [4, 4])
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def model_of(two_codes: Codec) -> Callable[..., SmaltiPipeline]:
    """A model of pairs (a, a + 3), each trained once: the second code follows from the first."""
    a = torch.arange(CODEWORDS)
    pairs = torch.stack([a, (a + 3) % CODEWORDS], 1)[:, :, None, None]
    return cache(lambda kind, **settings: _trained(kind.of(two_codes, k=8, **settings), two_codes, pairs, 600))


@pytest.mark.parametrize(("kind", "settings", "scheduler", "temperature"), SAMPLERS)
def test_two_codes_that_belong_together_stay_together(
    model_of: Callable[..., SmaltiPipeline],
    kind: type,
    settings: dict[str, float],
    scheduler: str,
    temperature: float | str | None,
) -> None:
    pipe = model_of(kind, **settings)
    pipe.scheduler = make_scheduler(scheduler, pipe.process)
    generator = torch.Generator().manual_seed(0)
    asked: Any = {"draws": False, "temperature": 1.0} if temperature == "mean" else {"temperature": temperature}
    z = pipe(
        512, num_inference_steps=30, generator=generator, cooling=0.0 if kind is Categorical else None, **asked
    ).latents
    first, second = z[:, :, 0, 0].unbind(1)
    assert ((first + 3) % CODEWORDS == second).float().mean() > 0.9
    # All of them, about equally often: chance would leave one out of 16 less than once in 10,000 times.
    counts = torch.bincount(first, minlength=CODEWORDS)
    assert (counts > 0).all()
    assert counts.max() < 5 * 512 / CODEWORDS


@pytest.mark.parametrize(
    ("kind", "scheduler"),
    [(Continuous, "ddim"), (Categorical, "ddpm"), (Masked, "unmask"), (Multinomial, "multinomial")],
)
def test_one_repeated_latent_is_generated_exactly(two_codes: Codec, kind: type, scheduler: str) -> None:
    one = torch.tensor([5, 11])[None, :, None, None]
    pipe = _trained(kind.of(two_codes, k=8), two_codes, one, 200)
    pipe.scheduler = make_scheduler(scheduler, pipe.process)
    z = pipe(64, num_inference_steps=20, generator=torch.Generator().manual_seed(0)).latents
    assert torch.equal(z, one.expand_as(z))
