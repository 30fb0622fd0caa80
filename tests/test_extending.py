"""What docs/architecture.md says of adding a scheduler, a noise schedule, a process and a pixel format, done once."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from diffusers import DDPMScheduler, ModelMixin, SchedulerMixin
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerOutput
from torch import Tensor

from smalti.codec import Codec
from smalti.data import Latents, open_images
from smalti.diffusion import SCHEDULES, TRAINING_TIMESTEPS, ContinuousSettings, Gaussian, GaussianSettings
from smalti.diffusion.level import GaussianLevel, over
from smalti.encoding import encode_images
from smalti.errors import SmaltiError
from smalti.metrics import psnr
from smalti.nets import UNetSettings
from smalti.pipeline import SmaltiPipeline
from smalti.pixels import PixelFormat
from smalti.schedulers import SCHEDULERS, CumulativeSteps, Scheduler, make_scheduler
from smalti.training import GeneratorSettings, TrainSettings, train_generator

# diffusers finds out how to load a part by looking for its base class in the module that the part comes from.
_FOR_DIFFUSERS = (ModelMixin, SchedulerMixin)
TRAINING = TrainSettings(images=16, batch_size=4, warmup=4, checkpoint_every=8, log_every=4, ema_halflife=8)
Train = Callable[[Any], SmaltiPipeline]


@pytest.fixture(scope="module")
def latents(photo_folder: Path, codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> Latents:
    out = tmp_path_factory.mktemp("encoded") / "latents"
    return encode_images(open_images(photo_folder, size=16), codec, out, progress=False)


@pytest.fixture
def train(latents: Latents, tmp_path: Path) -> Train:
    """Trains a small generator, which is then loaded from its folder."""

    def trained(process: Any) -> SmaltiPipeline:
        model = GeneratorSettings(process=process, net=UNetSettings(width=32))
        train_generator(latents, tmp_path / "run", model, TRAINING, device="cpu", progress=False)
        pipe = SmaltiPipeline.from_pretrained(tmp_path / "run")
        pipe.set_progress_bar_config(disable=True)
        return pipe

    return trained


class Straight(SchedulerMixin, ConfigMixin):
    """The deterministic step of DDIM between evenly spread times, by hand."""

    init_noise_sigma = 1.0

    @register_to_config
    def __init__(self, cumulative: list[float]):
        self.alphas_cumprod = torch.tensor(cumulative)

    def set_timesteps(self, count: int, device: Any = None) -> None:
        self.timesteps = torch.linspace(len(self.alphas_cumprod), 0, count + 1).round().long()[:-1] - 1

    def scale_model_input(self, sample: Tensor, timestep: Tensor) -> Tensor:
        return sample

    def step(self, clean: Tensor, timestep: Tensor, sample: Tensor) -> SchedulerOutput:
        after = self.timesteps[self.timesteps < timestep]
        now, then = self.alphas_cumprod[timestep], self.alphas_cumprod[after[0]] if len(after) else torch.ones(())
        noise = (sample - now.sqrt() * clean) / (1 - now).sqrt()
        return SchedulerOutput(then.sqrt() * clean + (1 - then).sqrt() * noise)  # pyright: ignore


def test_a_scheduler_is_a_row_of_the_table(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    def arguments(process: Gaussian) -> dict[str, Any]:
        return {"cumulative": process.alpha.square().tolist()}

    row = Scheduler(suits=Gaussian, kind=Straight, steps=CumulativeSteps, draws=True, make=arguments)
    monkeypatch.setitem(SCHEDULERS, "straight", row)
    pipe = train(GeneratorSettings().process)
    made = []
    for name in ("straight", "ddim"):
        pipe.scheduler = make_scheduler(name, pipe.process)
        generator = torch.Generator().manual_seed(0)
        states: list[Tensor] = []
        pipe(
            2,
            num_inference_steps=10,
            generator=generator,
            draws=False,
            callback_on_step_end=lambda pipe, step, time, told, states=states: states.append(*told.values()),
            callback_on_step_end_tensor_inputs=["pred_original_sample"],
        )
        made.append(torch.stack(states))
    torch.testing.assert_close(made[0], made[1], rtol=1e-3, atol=1e-3)


def test_a_noise_schedule_is_a_row_of_the_table(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    def betas() -> Tensor:
        return torch.linspace(0.01, 0.14, TRAINING_TIMESTEPS) ** 2

    with pytest.raises(SmaltiError, match="mine"):
        GaussianSettings(beta_schedule="mine")
    monkeypatch.setitem(SCHEDULES, "mine", betas)
    pipe = train(ContinuousSettings(beta_schedule="mine"))
    expected = DDPMScheduler(TRAINING_TIMESTEPS, trained_betas=betas().tolist()).alphas_cumprod
    torch.testing.assert_close(pipe.process.alpha.square(), expected)  # pyright: ignore
    for name, row in SCHEDULERS.items():
        if row.suits is Gaussian:
            pipe.scheduler = make_scheduler(name, pipe.process)
            torch.testing.assert_close(pipe.scheduler.alphas_cumprod, expected)
            assert pipe(2, num_inference_steps=3, output_type="pt").images.shape == (2, 3, 16, 16)  # pyright: ignore


@dataclass(frozen=True, kw_only=True)
class DirectSettings(GaussianSettings):
    """Settings of the process below."""

    kind: ClassVar[str] = "direct"

    power: float = 2.0
    """Of the error."""

    def build(self, codec: Codec, counts: Tensor | None = None) -> "Direct":
        return Direct.of(codec, self.coordinates, self.k, counts, **self.own())


class Direct(Gaussian):
    """The network predicts the clean state itself."""

    @register_to_config
    def __init__(
        self,
        channels: int,
        codewords: int,
        k: int,
        codec_fingerprint: str,
        beta_schedule: str = "linear",
        snr_gamma: float = 5.0,
        self_conditioning: bool = False,
        power: float = 2.0,
    ):
        super().__init__(channels, codewords, k, beta_schedule, self_conditioning)
        self.power = power

    @property
    def out_channels(self) -> int:
        return self.state_channels

    def losses(self, out: Tensor, z: Tensor, *_: Any, **__: Any) -> dict[str, Tensor]:
        return {"error": (out - self.coordinates.embed(z)).abs().pow(self.power).mean((1, 2, 3))}

    def estimate(self, out: Tensor, *_: Any, **__: Any) -> Tensor:
        return out


def test_a_process_is_a_class_of_one_of_the_families_and_its_settings(train: Train, latents: Latents) -> None:
    pipe = train(DirectSettings(power=1.5, k=2))
    assert isinstance(pipe.process, Direct)
    assert pipe.process.power == 1.5
    made = pipe(3, class_labels=[0, 1, -1], num_inference_steps=3).latents
    assert made.shape == (3, *latents[torch.zeros(1, dtype=torch.int64).numpy()].shape[1:])
    level = GaussianLevel(torch.full((1,), 0.6), torch.full((1,), 0.8))
    z, noise = latents[torch.zeros(1, dtype=torch.int64).numpy()], torch.randn(1, pipe.process.noise_channels, 4, 4)
    state = pipe.process.corrupt(z, level, noise)
    torch.testing.assert_close(state, 0.6 * pipe.process.coordinates.embed(z) + over(level.sigma) * noise)


def test_a_pixel_format_is_a_value(photos: list[Tensor], tmp_path: Path) -> None:
    """Thirteen satellite bands of 16 bits: here the planes of photos, scaled."""
    bands = PixelFormat(planes=13, colour="bands", highest=2**16 - 1)
    images = [photo.repeat(5, 1, 1)[:13].int() * 257 for photo in photos]
    codec = Codec.fit(images[1:], "-".join(["PQ", *["16"] * 13]) + "/4", pixel_format=bands, progress=False)
    codec.save_pretrained(tmp_path)
    loaded = Codec.from_pretrained(tmp_path)
    assert loaded.pixel_format == bands
    assert loaded.fingerprint == codec.fingerprint
    x = images[0][None]
    y = loaded.decode(loaded.encode(x), (x.shape[2], x.shape[3]))
    assert y.dtype == torch.int32
    assert psnr(x, y, peak=bands.highest) > 25
    with pytest.raises(SmaltiError, match=r"torch\.int32"):
        loaded.encode(x.to(torch.uint8))
