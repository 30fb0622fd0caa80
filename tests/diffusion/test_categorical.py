from pathlib import Path

import pytest
import torch
from torch.nn.functional import one_hot

from smalti.codec import Codec
from smalti.diffusion import TRAINING_TIMESTEPS, Categorical, GaussianLevel, draw
from smalti.diffusion.level import over
from smalti.errors import SmaltiError
from smalti.nets import UNet
from smalti.training import generator_losses

ALL = {"cross_entropy_weight": 2.0, "noise_weight": 0.5, "image_weight": 3.0}
TIMES = (20, 400, 900)
POSITION = (torch.tensor(TIMES) + 0.5) / TRAINING_TIMESTEPS


@pytest.fixture
def z(codec: Codec, photo: torch.Tensor) -> torch.Tensor:
    return torch.cat([codec.encode(photo[None, :, side : side + 32, :32]) for side in (0, 60, 120)])


def _level(process: Categorical, *times: int) -> GaussianLevel:
    """The level at times of training, an image each."""
    return process.level((torch.tensor(times) + 0.5) / TRAINING_TIMESTEPS)


def _sure(process: Categorical, z: torch.Tensor, margin: float = 200.0) -> torch.Tensor:
    """An output that gives all weight to the true indices."""
    return margin * one_hot(z, process.coordinates.codewords).permute(0, 1, 4, 2, 3).flatten(1, 2).float()


def test_each_term_is_its_formula(codec: Codec, z: torch.Tensor) -> None:
    process = Categorical.of(codec, k=2, **ALL)
    torch.manual_seed(0)
    noise = torch.randn(3, process.noise_channels, 8, 8)
    out = torch.randn(3, process.out_channels, 8, 8)
    level = _level(process, *TIMES)
    state = process.corrupt(z, level, noise)
    torch.manual_seed(5)
    terms = process.losses(out, z, state, level, noise, codec.decode_soft)

    logits = out.unflatten(1, (-1, process.coordinates.codewords)).clone()
    for channel, size in enumerate(codec.spec.codewords):
        logits[:, channel, size:] = -torch.inf
    true = logits.log_softmax(2).gather(2, z[:, :, None])[:, :, 0]
    torch.testing.assert_close(terms["cross_entropy"], -2 * true.mean((1, 2, 3)))

    torch.manual_seed(5)
    gumbel = -torch.empty_like(logits).exponential_().log()
    drawn = (logits + gumbel).softmax(2)
    table = process.coordinates.table.masked_fill(process.coordinates.table.isinf(), 0)
    clean = torch.einsum("bcnhw,cnk->bckhw", drawn, table).flatten(1, 2)
    alpha, sigma = over(level.alpha), over(level.sigma)
    a, b = 1 / sigma, alpha / sigma
    error = (noise - (a * state - b * clean)).square().mean((1, 2, 3))
    snr = (alpha / sigma).square().flatten()
    torch.testing.assert_close(terms["noise"], 0.5 * snr.clamp(max=5) / snr * error, rtol=1e-4, atol=1e-6)

    pixels = codec.decode_soft(drawn) - codec.decode_float(z).clamp(0, 255)
    torch.testing.assert_close(terms["image"], 3 * (pixels / 127.5).square().mean((1, 2, 3)), rtol=1e-4, atol=1e-6)


def test_the_noise_term_is_the_error_of_the_clean_state_times_the_snr(codec: Codec, z: torch.Tensor) -> None:
    process = Categorical.of(codec, k=2, cross_entropy_weight=0.0, noise_weight=1.0, snr_gamma=1e9)
    noise = torch.randn(3, process.noise_channels, 8, 8)
    shifted = _sure(process, z.roll(1, 0))
    level = _level(process, *TIMES)
    state = process.corrupt(z, level, noise)
    error = (process.coordinates.embed(z) - process.coordinates.embed(z.roll(1, 0))).square().mean((1, 2, 3))
    snr = (level.alpha / level.sigma).square()
    torch.testing.assert_close(
        process.losses(shifted, z, state, level, noise)["noise"], snr * error, rtol=1e-3, atol=1e-5
    )


def test_terms_do_not_depend_on_how_many_images_are_held_at_a_time(
    codec: Codec, z: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Categorical.of(codec, k=2, **ALL)
    noise, out = torch.randn(3, process.noise_channels, 8, 8), _sure(process, z.roll(1, 0))
    level = _level(process, *TIMES)
    state = process.corrupt(z, level, noise)
    whole = process.losses(out, z, state, level, noise, codec.decode_soft)
    monkeypatch.setattr("smalti.diffusion.categorical._ELEMENTS_AT_A_TIME", 1)
    parts = process.losses(out, z, state, level, noise, codec.decode_soft)
    for name, term in whole.items():
        torch.testing.assert_close(parts[name], term)


@pytest.mark.parametrize("straight_through", [False, True])
def test_gradients_of_algorithm_1_reach_every_parameter(codec: Codec, z: torch.Tensor, straight_through: bool) -> None:
    process = Categorical.of(codec, k=2, cross_entropy_weight=0.0, image_weight=1.0, straight_through=straight_through)
    torch.manual_seed(0)
    net = UNet(process.in_channels, process.out_channels, (8, 8), width=32)
    torch.nn.init.normal_(net.body.conv_out.weight, std=0.1)
    noise = torch.randn(3, process.noise_channels, 8, 8)
    batch = {"z": z, "position": POSITION, "noise": noise, "label": torch.full((3,), -1)}
    generator_losses(process, codec)(net, batch)["image"].mean().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_a_sure_output_is_the_latent_by_draw_and_by_expectation(codec: Codec, z: torch.Tensor) -> None:
    process = Categorical.of(codec, k=2)
    state = torch.randn(3, process.state_channels, 8, 8)
    level = _level(process, 500, 500, 500)
    for temperature in (None, 0.0, 1.0):
        clean = process.estimate(_sure(process, z), state, level, temperature)
        torch.testing.assert_close(clean, process.coordinates.embed(z))
        assert torch.equal(process.codes(clean), z)


def test_a_low_temperature_is_the_likeliest_index_and_a_high_one_any() -> None:
    torch.manual_seed(0)
    logits = torch.randn(4, 2, 8, 6, 6)
    assert torch.equal(draw(logits, 0.0), logits.argmax(2))
    assert torch.equal(draw(logits, 1e-6), logits.argmax(2))
    counts = torch.bincount(draw(logits.expand(4, 2, 8, 6, 6).repeat(50, 1, 1, 1, 1), 1e6).flatten(), minlength=8)
    expected = counts.sum() / 8
    assert ((counts - expected).abs() < 5 * expected.sqrt()).all()


def test_draws_follow_the_distribution() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 1, 5, 1, 1)
    drawn = draw(logits.expand(20_000, 1, 5, 1, 1), 2.0)
    expected = (logits.flatten() / 2).softmax(0)
    found = torch.bincount(drawn.flatten(), minlength=5) / 20_000
    assert ((found - expected).abs() < 5 * (expected * (1 - expected) / 20_000).sqrt()).all()


def test_an_image_draws_from_its_own_generator_whatever_the_batch() -> None:
    logits = torch.randn(3, 2, 7, 4, 4)

    def drawn(rows: slice) -> torch.Tensor:
        return draw(logits[rows], 1.0, [torch.Generator().manual_seed(n) for n in range(3)[rows]])

    assert torch.equal(drawn(slice(0, 3))[1:], drawn(slice(1, 3)))


def test_no_padded_index_is_ever_drawn(codec: Codec) -> None:
    process = Categorical.of(codec, k=2)
    out = torch.zeros(8, process.out_channels, 8, 8)
    limits = torch.tensor(codec.spec.codewords)[:, None, None]
    assert len(set(codec.spec.codewords)) > 1
    for temperature in (0.0, 1.0, 1e6):
        state = torch.randn(8, process.state_channels, 8, 8)
        clean = process.estimate(out, state, _level(process, *[999] * 8), temperature)
        assert (process.codes(clean) < limits).all()
    assert process.coordinates.logits(out).softmax(2)[:, ~codec.valid].sum() == 0


def test_with_the_likelihood_an_even_output_is_the_posterior_of_a_place_alone(codec: Codec, z: torch.Tensor) -> None:
    process = Categorical.of(codec, k=2, likelihood=True)
    level = _level(process, 300, 300, 300)
    alpha, sigma = level.alpha[0], level.sigma[0]
    state = process.corrupt(z, level, torch.randn(3, process.noise_channels, 8, 8))
    posterior = process.logits(torch.zeros(3, process.out_channels, 8, 8), state, level).softmax(2)
    channel = 1
    table = process.coordinates.table[channel, : codec.spec.codewords[channel]]
    place = state[0, 2 * channel : 2 * channel + 2, 3, 4]
    expected = (-(place - alpha * table).square().sum(1) / (2 * sigma**2)).softmax(0)
    torch.testing.assert_close(posterior[0, channel, : len(table), 3, 4], expected, atol=1e-4, rtol=1e-3)


def test_wrong_settings_are_named(codec: Codec, z: torch.Tensor) -> None:
    with pytest.raises(SmaltiError, match="weights"):
        Categorical.of(codec, k=2, cross_entropy_weight=0.0)
    process = Categorical.of(codec, k=2, image_weight=1.0)
    noise = torch.randn(3, process.noise_channels, 8, 8)
    with pytest.raises(SmaltiError, match="decode_soft"):
        process.losses(_sure(process, z), z, noise, _level(process, *TIMES), noise)
    with pytest.raises(SmaltiError, match="temperature of -1"):
        draw(torch.zeros(1, 1, 2, 1, 1), -1.0)


def test_a_saved_process_comes_back(codec: Codec, tmp_path: Path) -> None:
    process = Categorical.of(codec, k=2, self_conditioning=True, likelihood=True, **ALL)
    process.save_pretrained(tmp_path)
    loaded = Categorical.from_pretrained(tmp_path)
    assert torch.equal(loaded.coordinates.table, process.coordinates.table)
    assert (loaded.weights, loaded.likelihood) == (process.weights, True)
    assert loaded.in_channels == 2 * process.state_channels
