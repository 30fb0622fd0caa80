import pytest
import torch
from torch.nn.functional import one_hot

from smalti.codec import Codec
from smalti.diffusion import TRAINING_TIMESTEPS, DiscreteLevel, Masked
from smalti.errors import SmaltiError
from smalti.schedulers import Unmasking, make_scheduler

ORDERS = [("confidence", 0.0), ("halton", 0.0), ("random", 0.0), ("halton", 0.1), ("random", 0.1)]


@pytest.fixture
def process(codec: Codec) -> Masked:
    return Masked.of(codec, k=2)


@pytest.fixture
def z(codec: Codec, photo: torch.Tensor) -> torch.Tensor:
    return torch.cat([codec.encode(photo[None, :, side : side + 32, :32]) for side in (0, 60, 120)])


def _level(process: Masked, *times: int) -> DiscreteLevel:
    """The level at times of training, an image each."""
    return process.level((torch.tensor(times) + 0.5) / TRAINING_TIMESTEPS)


def test_as_many_indices_are_masked_as_the_time_says(process: Masked, z: torch.Tensor) -> None:
    torch.manual_seed(0)
    level = _level(process, 0, 499, 999)
    state = process.corrupt(z, level, torch.randn(3, process.noise_channels, 8, 8))
    masked = state == process.mask
    assert torch.equal(state[~masked], z[~masked])
    share = masked.float().mean((1, 2, 3))
    assert share[0] < 0.02
    assert share[1] == pytest.approx(0.5, abs=0.15)
    assert share[2] == 1
    assert level.share.tolist() == pytest.approx([0.001, 0.5, 1.0])
    assert process.time(level).tolist() == pytest.approx([0, 499, 999])


def test_the_network_sees_what_is_known_and_where_nothing_is(process: Masked, z: torch.Tensor) -> None:
    state = z.clone()
    state[:, 1, 2, 3] = process.mask
    shown = process.inputs(state)
    assert shown.shape[1] == process.in_channels
    coordinates, flags = shown.split([process.state_channels, process.coordinates.channels], dim=1)
    assert not coordinates[:, 2:4, 2, 3].any()
    assert flags.sum() == 3
    assert flags[:, 1, 2, 3].all()
    assert torch.equal(coordinates[:, :, 0], process.coordinates.embed(z)[:, :, 0])


def test_the_loss_is_the_surprise_under_the_mask(process: Masked, z: torch.Tensor, codec: Codec) -> None:
    level, noise = _level(process, 100, 500, 900), torch.randn(3, process.noise_channels, 8, 8)
    state = process.corrupt(z, level, noise)
    even = process.losses(torch.zeros(3, process.out_channels, 8, 8), z, state, level, noise)["cross_entropy"]
    sizes = torch.tensor(codec.spec.codewords).log()[:, None, None].expand(3, -1, 8, 8)
    for row in range(3):
        torch.testing.assert_close(even[row], sizes[row][state[row] == process.mask].mean())
    # What is not masked counts nothing.
    out = torch.randn(3, process.out_channels, 8, 8)
    before = process.losses(out, z, state, level, noise)["cross_entropy"]
    known = (state != process.mask).repeat_interleave(process.coordinates.codewords, 1)
    after = process.losses(out + known * torch.randn_like(out), z, state, level, noise)["cross_entropy"]
    torch.testing.assert_close(before, after)


@pytest.mark.parametrize(("unmasking", "remask"), ORDERS)
def test_every_order_ends_without_masks_at_what_the_network_knows(
    process: Masked, z: torch.Tensor, unmasking: str, remask: float
) -> None:
    scheduler = Unmasking(process.mask, unmasking, remask)  # pyright: ignore
    scheduler.set_timesteps(6)
    sure = 200.0 * one_hot(z, process.mask).permute(0, 1, 4, 2, 3).flatten(1, 2).float()
    state = process.begin(torch.zeros(3, process.state_channels, 8, 8), 1.0)
    left = [state.numel()]
    for t in scheduler.timesteps:
        logits = process.estimate(sure, state, DiscreteLevel(torch.ones(3)), 1.0)
        generators = [torch.Generator().manual_seed(n) for n in range(3)]
        state = scheduler.step(logits, t, state, generator=generators).prev_sample
        left.append(int((state == process.mask).sum()))
    assert torch.equal(process.codes(state), z)
    expected = [state.numel() * torch.cos(torch.tensor(i / 6 * torch.pi / 2)).item() for i in range(7)]
    assert left == pytest.approx(expected, abs=3)


def test_halton_spreads_what_is_unmasked_first(process: Masked) -> None:
    scheduler = Unmasking(process.mask, "halton")
    rank = scheduler._halton(torch.zeros(1, 1, 8, 8, dtype=torch.int64))[0, 0]
    assert sorted(rank.flatten().tolist()) == [n / 64 for n in range(64)]
    first = (rank < 16 / 64).float()
    quarters = torch.nn.functional.avg_pool2d(first[None], 4) * 16
    assert ((quarters - 4).abs() <= 1).all()


@pytest.mark.parametrize("unmasking", ["confidence", "random"])
def test_an_image_does_not_depend_on_its_batch(process: Masked, unmasking: str) -> None:
    logits = process.coordinates.logits(torch.randn(3, process.out_channels, 8, 8))

    def made(rows: slice) -> torch.Tensor:
        scheduler = Unmasking(process.mask, unmasking)  # pyright: ignore
        scheduler.set_timesteps(4)
        generators = [torch.Generator().manual_seed(n) for n in range(3)[rows]]
        state = process.begin(torch.zeros(len(generators), process.state_channels, 8, 8), 1.0)
        for t in scheduler.timesteps:
            state = scheduler.step(logits[rows], t, state, generator=generators).prev_sample
        return state

    assert torch.equal(made(slice(0, 3))[1:], made(slice(1, 3)))


def test_no_padded_index_is_ever_unmasked(process: Masked, codec: Codec) -> None:
    limits = torch.tensor(codec.spec.codewords)[:, None, None]
    for unmasking, remask in ORDERS:
        scheduler = Unmasking(process.mask, unmasking, remask)  # pyright: ignore
        scheduler.set_timesteps(5)
        state = process.begin(torch.zeros(4, process.state_channels, 8, 8), 1.0)
        for t in scheduler.timesteps:
            logits = process.coordinates.logits(torch.zeros(4, process.out_channels, 8, 8))
            state = scheduler.step(logits, t, state).prev_sample
        assert (state < limits).all()


def test_wrong_settings_are_named(process: Masked) -> None:
    with pytest.raises(SmaltiError, match="masked again"):
        Unmasking(process.mask, "confidence", 0.5)
    with pytest.raises(SmaltiError, match="masked process"):
        make_scheduler("ddim", process)
    state = process.begin(torch.zeros(1, process.state_channels, 4, 4), 1.0)
    with pytest.raises(SmaltiError, match="temperature"):
        process.estimate(torch.zeros(1, process.out_channels, 4, 4), state, DiscreteLevel(torch.ones(1)))
