from typing import Any

import pytest
import torch
from torch.nn.functional import one_hot

from smalti.codec import Codec
from smalti.diffusion import Continuous, Gaussian, Masked, Multinomial, Process
from smalti.diffusion.level import over
from smalti.pipeline.sampling import Estimates, Start, sample_state
from smalti.schedulers import SCHEDULERS, make_scheduler, steps_of

CPU = torch.device("cpu")
IMAGES, SIDE = 2, 12


def _latents(codec: Codec) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.stack(
        [torch.randint(size, (IMAGES, SIDE, SIDE), generator=random) for size in codec.spec.codewords], dim=1
    )


def _noise(process: Process) -> torch.Tensor:
    return torch.randn(IMAGES, process.noise_channels, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("strength", [0.001, 0.35, 1.0])
@pytest.mark.parametrize("name", [name for name, row in SCHEDULERS.items() if row.suits is Gaussian])
def test_what_is_begun_with_is_as_noisy_as_the_network_is_told_and_comes_back(
    codec: Codec, name: str, strength: float
) -> None:
    """By a network that knows it, in all steps from there on."""
    process = Continuous.of(codec, k=2)
    z, noise = _latents(codec), _noise(process)
    clean, told = process.coordinates.embed(z), []

    def network(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        level = process.level((t.double() + 0.5) / 1000)
        told.append((float(t[0]), x))
        return (over(level.alpha) * x - clean) / over(level.sigma)

    steps = steps_of(make_scheduler(name, process), 10, CPU)
    random = torch.Generator().manual_seed(2)
    state = sample_state(
        process,
        steps,
        network,
        noise,
        estimates=Estimates(None, 0.0, False, 0.0),
        start=Start(z, strength),
        generator=random,
    )
    assert torch.equal(process.codes(state), z)
    time, first = told[0]
    assert [round(time) for time, _ in told] == [round(each) for each in steps.times.tolist()][-len(told) :]
    assert time <= 1000 * strength or len(told) == 1
    assert len(told) % steps.scheduler.order == len(steps) % steps.scheduler.order  # Heun's steps are of two calls
    torch.testing.assert_close(
        first,
        process.corrupt(z, process.level(torch.full((IMAGES,), (time + 0.5) / 1000)), noise),
        rtol=1e-3,
        atol=1e-3,
    )


@pytest.mark.parametrize("strength", [0.35, 1.0])
@pytest.mark.parametrize(
    ("kind", "name"),
    [(Masked, "unmask"), (Masked, "unmask-halton"), (Masked, "unmask-random"), (Multinomial, "multinomial")],
)
def test_as_much_is_replaced_as_the_network_is_told_and_comes_back(
    codec: Codec, kind: type[Process], name: str, strength: float
) -> None:
    process: Any = kind.of(codec, k=2)
    z, told = _latents(codec), []
    sure = 100 * one_hot(z, process.coordinates.codewords).permute(0, 1, 4, 2, 3).flatten(1, 2).float()

    def network(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        told.append((float(t.mean()), x[:, : process.state_channels]))
        return sure

    steps = steps_of(make_scheduler(name, process), 10, CPU)
    estimates = Estimates(1.0, 0.0, True, 0.0)
    random = torch.Generator().manual_seed(2)
    state = sample_state(
        process, steps, network, _noise(process), estimates=estimates, start=Start(z, strength), generator=random
    )
    assert torch.equal(process.codes(state), z)
    time, shown = told[0]
    same = (shown == process.coordinates.embed(z)).unflatten(1, (-1, 2)).all(2).float().mean()
    # An index that is replaced may stay what it was: by one of 16, the codewords of the smallest codebook.
    assert float(1 - same) == pytest.approx((time + 1) / 1000, abs=0.07)
    assert time <= 1000 * (strength + 0.07)
