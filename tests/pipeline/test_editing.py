from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import torch

from smalti.codec import Codec
from smalti.diffusion import Categorical, Continuous, Gaussian, Masked, Multinomial, Process
from smalti.diffusion.level import over
from smalti.errors import SmaltiError
from smalti.nets import DiT, UNet
from smalti.pipeline import (
    Known,
    SampleSettings,
    SmaltiPipeline,
    Start,
    blended,
    inpaint,
    interpolate,
    outpaint,
    touched,
    vary,
)
from smalti.pipeline.sampling import Estimates, sample_state
from smalti.schedulers import SCHEDULERS, make_scheduler, steps_of

CPU = torch.device("cpu")
IMAGES, SIDE, STEPS = 2, 12, 10
SIZE = (24, 32)  # a grid of 6x8 patches
FREE = torch.zeros(SIDE, SIDE, dtype=torch.bool)
FREE[2:6, 3:12] = True
GAUSSIAN = [name for name, row in SCHEDULERS.items() if row.suits is Gaussian]
WAYS = [
    *((Continuous, name) for name in GAUSSIAN),
    *((Categorical, name) for name in ("ddpm", "ddim", "dpmsolver++", "renoise")),
    *((Masked, name) for name in ("unmask", "unmask-halton", "unmask-random")),
    (Multinomial, "multinomial"),
]
EACH_WAY = pytest.mark.parametrize(("kind", "name"), WAYS, ids=[f"{kind.__name__}-{name}" for kind, name in WAYS])


def _latents(codec: Codec, *grid: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.stack([torch.randint(size, (IMAGES, *grid), generator=random) for size in codec.spec.codewords], dim=1)


class Sampling:
    """One run of the loop with a network that knows nothing of the latents, and all that it was shown."""

    def __init__(
        self, process: Process, name: str, free: torch.Tensor, jumps: int, z: torch.Tensor, extrapolation: float = 0.0
    ):
        self.shown: list[tuple[float, torch.Tensor]] = []
        self.outs: list[torch.Tensor] = []
        self.process, random = process, torch.Generator().manual_seed(1)
        steps = steps_of(make_scheduler(name, process), STEPS, CPU)
        draws = process.default_temperature is not None
        noise = torch.randn(IMAGES, process.state_channels, SIDE, SIDE, generator=random)
        state = sample_state(
            process,
            steps,
            self.network,
            noise,
            estimates=Estimates(1.0 if draws else None, 0.0, SCHEDULERS[name].draws, extrapolation),
            known=Known(z, free, jumps),
            generator=random,
        )
        self.codes = process.codes(state)

    def network(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        self.shown.append((float(t[0]), x[:, : self.process.state_channels]))
        random = torch.Generator().manual_seed(len(self.shown))
        self.outs.append(torch.randn(IMAGES, self.process.out_channels, SIDE, SIDE, generator=random))
        return self.outs[-1]


@EACH_WAY
@pytest.mark.parametrize("jumps", [0, 2])
def test_what_is_known_is_shown_under_the_noise_of_every_step_and_comes_back(
    codec: Codec, kind: Any, name: str, jumps: int
) -> None:
    process, z = kind.of(codec, k=2), _latents(codec, SIDE, SIDE)
    run = Sampling(process, name, FREE, jumps, z)
    assert torch.equal(run.codes[:, :, ~FREE], z[:, :, ~FREE])
    assert not torch.equal(run.codes[:, :, FREE], z[:, :, FREE])
    clean = process.coordinates.embed(z)[:, :, ~FREE]
    times = [time for time, _ in run.shown]
    # Every fifth of the steps but the last is gone back, as often as there are jumps.
    assert sum(later > time for time, later in pairwise(times)) == 4 * jumps
    for time, x in run.shown:
        known = x[:, :, ~FREE]
        if kind is Masked:
            assert torch.equal(known, clean)
        elif kind is Multinomial:
            replaced = (known != clean).unflatten(1, (-1, 2)).any(2).float().mean()
            # One of 16 ... 64 is the same again; of 2 x 5 x 108 codes a share varies by 0.015.
            assert float(replaced) == pytest.approx((time + 1) / 1000, abs=0.08)
        else:
            level = process.level((torch.tensor([time] * IMAGES).double() + 0.5) / 1000)
            noise = (known - over(level.alpha)[..., 0] * clean) / over(level.sigma)[..., 0]
            # 2,160 normal numbers: their deviation is 1 to 0.016, their mean 0 to 0.022.
            assert float(noise.std()) == pytest.approx(1, abs=0.08)
            assert float(noise.mean()) == pytest.approx(0, abs=0.11)


@EACH_WAY
def test_what_is_free_nowhere_comes_back_whatever_the_network_says(codec: Codec, kind: Any, name: str) -> None:
    z = _latents(codec, SIDE, SIDE)
    assert torch.equal(Sampling(kind.of(codec, k=2), name, torch.zeros_like(FREE), 0, z).codes, z)


def test_logits_are_not_carried_on_over_a_jump(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    process: Any = Categorical.of(codec, k=2)
    estimate, estimated = process.estimate, []

    def watched(out: torch.Tensor, *others: Any, **more: Any) -> torch.Tensor:
        estimated.append(out)
        return estimate(out, *others, **more)

    monkeypatch.setattr(process, "estimate", watched)
    run = Sampling(process, "ddpm", FREE, 2, _latents(codec, SIDE, SIDE), extrapolation=1.0)
    as_they_were = [torch.equal(out, given) for out, given in zip(run.outs, estimated, strict=True)]
    after_jumps = [True] + [later > time for (time, _), (later, _) in pairwise(run.shown)]
    assert as_they_were == after_jumps


@pytest.fixture(scope="module", params=[Continuous, Categorical, Masked, Multinomial])
def pipe(request: pytest.FixtureRequest, codec: Codec) -> SmaltiPipeline:
    process: Any = request.param.of(codec, k=2)
    torch.manual_seed(0)
    net = UNet(process.in_channels, process.out_channels, (6, 8), classes=2, width=32)
    torch.nn.init.normal_(net.body.conv_out.weight, std=0.1)
    scheduler = make_scheduler(process.default_scheduler, process)
    made = SmaltiPipeline(codec, process, net.eval(), scheduler, list(SIZE), ["one", "other"])
    made.set_progress_bar_config(disable=True)
    return made


@pytest.fixture(scope="module")
def crop(photo: torch.Tensor) -> torch.Tensor:
    return photo[:, 100 : 100 + SIZE[0], 150 : 150 + SIZE[1]]


SETTINGS = SampleSettings(steps=3, seed=5, batch_size=2)


def _all(batches: Iterator[torch.Tensor]) -> torch.Tensor:
    return torch.cat(list(batches))


def test_pixels_outside_the_mask_stay_and_those_inside_are_made(pipe: SmaltiPipeline, crop: torch.Tensor) -> None:
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[5:14, 9:22] = True  # no whole patches
    made = _all(inpaint(pipe, crop, mask, 3, SETTINGS, labels=[0, 1, 0]))
    assert torch.equal(made[:, :, ~mask], crop[:, ~mask].expand(3, -1, -1))
    assert len({each[:, mask].numpy().tobytes() for each in made}) == 3
    again = _all(inpaint(pipe, crop, mask, 2, SETTINGS, labels=[0, 1]))
    assert torch.equal(again, made[:2])


def test_a_mask_over_everything_is_the_plain_sample_of_that_seed(pipe: SmaltiPipeline, crop: torch.Tensor) -> None:
    plain = _all(pipe.stream(2, SETTINGS))
    assert torch.equal(_all(inpaint(pipe, crop, torch.ones(SIZE, dtype=torch.bool), 2, SETTINGS)), plain)


def test_a_latent_that_is_known_everywhere_is_decoded_as_the_codec_does(
    pipe: SmaltiPipeline, crop: torch.Tensor
) -> None:
    z = pipe.codec.encode(crop[None])
    known = Known(z, torch.zeros(z.shape[2:], dtype=torch.bool))
    assert torch.equal(_all(pipe.stream(1, SETTINGS, known=known)), pipe.codec.decode(z, SIZE))


def test_a_variation_of_no_strength_is_the_codecs_own_decode_and_of_more_another(
    pipe: SmaltiPipeline, crop: torch.Tensor
) -> None:
    decoded = pipe.codec.decode(pipe.codec.encode(crop[None]), SIZE)
    assert torch.equal(_all(vary(pipe, crop, 0.0, 3, SETTINGS)), decoded.expand(3, -1, -1, -1))
    one, two = _all(vary(pipe, crop, 0.7, 2, SETTINGS))
    assert not torch.equal(one, two)


def test_what_is_masked_may_be_varied_instead_of_made_anew(pipe: SmaltiPipeline, crop: torch.Tensor) -> None:
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[8:16, 8:24] = True
    varied = _all(inpaint(pipe, crop, mask, 1, SETTINGS, strength=0.4))
    assert torch.equal(varied[:, :, ~mask], crop[None][:, :, ~mask])
    other = crop.clone()
    other[:, mask] = 255 - other[:, mask]
    assert not torch.equal(_all(inpaint(pipe, other, mask, 1, SETTINGS, strength=0.4)), varied)
    anew = [_all(inpaint(pipe, each, mask, 1, SETTINGS)) for each in (crop, other)]
    assert torch.equal(*anew)


def test_a_photo_is_extended_on_the_sides_that_are_asked_for(pipe: SmaltiPipeline, crop: torch.Tensor) -> None:
    for down, across in ((0, 8), (5, 3)):
        made = _all(outpaint(pipe, crop, (down, across), 1, SETTINGS))
        assert made.shape == (1, 3, SIZE[0] + 2 * down, SIZE[1] + 2 * across)
        assert torch.equal(made[0, :, down : down + SIZE[0], across : across + SIZE[1]], crop)


def test_a_strip_begins_and_ends_where_it_was_told(pipe: SmaltiPipeline, crop: torch.Tensor) -> None:
    first, last = pipe.codec.encode(torch.stack([crop, crop.flip(2)]))
    strip = _all(interpolate(pipe, first, last, 4, SETTINGS, labels=[0, 0, 0, 0]))
    assert torch.equal(strip[[0, -1]], pipe.codec.decode(torch.stack([first, last]), SIZE))
    assert len({each.numpy().tobytes() for each in strip}) == 4


@pytest.mark.parametrize("size", [(32, 24), (20, 44)])
def test_pictures_may_be_of_another_size_than_those_of_training(pipe: SmaltiPipeline, size: tuple[int, int]) -> None:
    height, width = size
    images: Any = pipe(1, num_inference_steps=2, height=height, width=width, output_type="pt").images
    assert images.shape == (1, 3, height, width)
    assert next(pipe.stream(1, SETTINGS, size=size)).shape == (1, 3, height, width)
    assert pipe(1, num_inference_steps=2, width=width, output_type="pt").images.shape == (1, 3, SIZE[0], width)  # pyright: ignore


def test_a_transformer_is_bound_to_its_places(codec: Codec) -> None:
    process = Continuous.of(codec, k=2)
    net = DiT(process.in_channels, process.out_channels, (6, 8), width=32, layers=1)
    pipe = SmaltiPipeline(codec, process, net.eval(), make_scheduler("ddim", process), list(SIZE))
    with pytest.raises(SmaltiError, match="a DiT is bound to the 6x8 places that it was trained on"):
        pipe.stream(1, SETTINGS, size=(32, 32))
    pipe.stream(1, SETTINGS, size=(23, 30))  # on the same grid


def test_a_mask_is_widened_to_whole_patches() -> None:
    mask = torch.zeros(10, 13, dtype=torch.bool)
    assert not touched(mask, 4).any()
    mask[3, 4] = mask[9, 12] = True
    assert touched(mask, 4).nonzero().tolist() == [[0, 1], [2, 3]]


def test_what_is_made_is_brought_to_the_brightness_at_its_border(codec: Codec, crop: torch.Tensor) -> None:
    photo = torch.full_like(crop, 100)
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[:, 8:] = True
    joined = blended(codec, torch.full_like(crop, 140)[None], photo, mask)[0]
    assert (joined[:, :, :8] == 100).all()
    assert (joined[:, :, 8] < 110).all()  # a step of 40 without
    assert (joined[:, :, 20:] == 140).all()
    assert (joined[:, :, 8:].diff(dim=2) >= 0).all()


def test_what_cannot_be_edited_is_refused(pipe: SmaltiPipeline, crop: torch.Tensor) -> None:
    none = torch.zeros(SIZE, dtype=torch.bool)
    z = pipe.codec.encode(crop[None])
    with pytest.raises(SmaltiError, match="the mask is empty"):
        inpaint(pipe, crop, none)
    with pytest.raises(SmaltiError, match=r"a mask of \(8, 8\) pixels for a photo of \(24, 32\)"):
        inpaint(pipe, crop, none[:8, :8])
    with pytest.raises(SmaltiError, match="jumps is -1; it must be at least 0"):
        inpaint(pipe, crop, ~none, jumps=-1)
    with pytest.raises(SmaltiError, match="a margin of no pixels"):
        outpaint(pipe, crop, (0, 0))
    with pytest.raises(SmaltiError, match="a strength of 2"):
        vary(pipe, crop, 2.0)
    with pytest.raises(SmaltiError, match="count is 1; it must be at least 2"):
        next(interpolate(pipe, z[0], z[0], 1))
    with pytest.raises(SmaltiError, match="a mask of 2x2 places for latents of 6x8"):
        Known(z, torch.zeros(2, 2, dtype=torch.bool))
    with pytest.raises(SmaltiError, match="that are known; they must be"):
        pipe.stream(2, known=Known(z, touched(~none, 4)))
    with pytest.raises(SmaltiError, match="to begin with; they must be"):
        pipe.stream(1, start=Start(z, 0.5), size=(32, 32))
