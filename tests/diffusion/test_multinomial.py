import pytest
import torch
from scipy.stats import chisquare
from torch.nn.functional import one_hot

from smalti.codec import Codec
from smalti.diffusion import TRAINING_TIMESTEPS, DiscreteLevel, Multinomial
from smalti.schedulers import Resampling


@pytest.fixture
def process(codec: Codec) -> Multinomial:
    return Multinomial.of(codec, k=2)


@pytest.fixture
def z(codec: Codec, photo: torch.Tensor) -> torch.Tensor:
    return torch.cat([codec.encode(photo[None, :, side : side + 32, :32]) for side in (0, 60, 120)])


def _level(process: Multinomial, *times: int) -> DiscreteLevel:
    """The level at times of training, an image each."""
    return process.level((torch.tensor(times) + 0.5) / TRAINING_TIMESTEPS)


def test_as_many_indices_are_replaced_as_the_time_says(process: Multinomial, z: torch.Tensor, codec: Codec) -> None:
    torch.manual_seed(0)
    state = process.corrupt(z, _level(process, 0, 499, 999), torch.randn(3, process.noise_channels, 8, 8))
    changed = (state != z).float().mean((1, 2, 3))
    assert changed[0] < 0.02
    assert changed[1] == pytest.approx(0.5, abs=0.15)
    assert changed[2] > 0.9
    for indices in (state, process.begin(5 * torch.randn(3, process.state_channels, 8, 8), 1.0)):
        assert (indices < torch.tensor(codec.spec.codewords)[:, None, None]).all()
        assert (indices >= 0).all()


def test_the_loss_is_the_surprise_everywhere(process: Multinomial, z: torch.Tensor, codec: Codec) -> None:
    level, noise = _level(process, 100, 500, 900), torch.randn(3, process.noise_channels, 8, 8)
    state = process.corrupt(z, level, noise)
    even = process.losses(torch.zeros(3, process.out_channels, 8, 8), z, state, level, noise)["cross_entropy"]
    expected = torch.tensor(codec.spec.codewords).log().mean()
    torch.testing.assert_close(even, expected.expand(3))


@pytest.mark.parametrize(("t", "before"), [(999, 799), (599, 399), (199, -1)])
def test_a_step_follows_the_posterior_of_the_chain(t: int, before: int) -> None:
    """Against the product of the transition matrices, written out."""
    k, many, clean, now = 5, 40_000, 3, 1
    kept, kept_before = 1 - (t + 1) / 1000, 1 - (before + 1) / 1000
    ratio = kept / kept_before
    eye, even = torch.eye(k, dtype=torch.float64), torch.full((k, k), 1 / k, dtype=torch.float64)
    between, from_clean = ratio * eye + (1 - ratio) * even, kept_before * eye + (1 - kept_before) * even
    for state in (now, clean):
        posterior = from_clean[clean] * between[:, state]
        posterior /= posterior.sum()
        scheduler = Resampling([k])
        scheduler.set_timesteps(5)
        logits = 200.0 * one_hot(torch.tensor(clean), k).float()[None, None, :, None, None].expand(1, 1, k, 1, many)
        sample = torch.full((1, 1, 1, many), state)
        after = scheduler.step(logits, torch.tensor(t), sample, torch.Generator().manual_seed(0)).prev_sample
        counts = torch.bincount(after.flatten(), minlength=k).double()
        possible = posterior > 1e-12
        assert not counts[~possible].any()
        if possible.sum() > 1:
            assert chisquare(counts[possible].numpy(), (many * posterior[possible]).numpy()).pvalue > 1e-4


def test_any_number_of_steps_ends_at_the_first_time() -> None:
    scheduler = Resampling([5])
    for steps in range(1, 1001):
        scheduler.set_timesteps(steps)
        assert len(scheduler.timesteps) == steps
        assert scheduler.timesteps[0] == 999
        assert (scheduler.timesteps.diff() < 0).all()
        assert scheduler.timesteps[-1] >= 0


def test_an_image_does_not_depend_on_its_batch(process: Multinomial, codec: Codec) -> None:
    logits = process.coordinates.logits(torch.randn(3, process.out_channels, 8, 8))
    begun = process.begin(torch.randn(3, process.state_channels, 8, 8), 1.0)

    def made(rows: slice) -> torch.Tensor:
        scheduler = Resampling(codec.spec.codewords)
        scheduler.set_timesteps(4)
        generators = [torch.Generator().manual_seed(n) for n in range(3)[rows]]
        state = begun[rows]
        for t in scheduler.timesteps:
            state = scheduler.step(logits[rows], t, state, generators).prev_sample
        return state

    assert torch.equal(made(slice(0, 3))[1:], made(slice(1, 3)))
    assert (made(slice(0, 3)) < torch.tensor(codec.spec.codewords)[:, None, None]).all()
