"""Diffusion without our codec: on pixels in patches, on pixels, and on the latents of a learned autoencoder.

States are floats of about -1 to 1 (latents: of mean 0 and variance 1). They are noised, and what networks predict is
sampled, by the schedulers of diffusers.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from diffusers import AutoencoderTiny, DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, UNet2DModel
from diffusers.training_utils import compute_snr
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from _study import clock
from smalti import UNetSettings
from smalti.devices import find_device
from smalti.diffusion import TRAINING_TIMESTEPS
from smalti.random import Epochs, keyed_normal, keyed_positions
from smalti.training import Batch, Losses

Prediction = Literal["v", "x"]
Schedule = Literal["linear", "scaled_linear", "squaredcos_cap_v2"]
Net = Literal["unet", "full", "peer"]
"""Ours, that of diffusers at full resolution, or that of denoising-diffusion-pytorch."""

PEER = "denoising_diffusion_pytorch"
_MIN_SNR = 5.0  # as `GaussianSettings.snr_gamma`
_SMALLEST_SIGMA = 0.05  # below it an error of x is weighted no higher, as in JiT (Li and He 2025)
_BATCH = 128


class Space(ABC):
    """What is noised: states of pictures."""

    bounded: ClassVar[bool]
    """Whether they lie in -1 ... 1."""

    def __init__(self, photos: Tensor):
        """Make the states of all photos, uint8 (N, C, H, W)."""
        began = clock()
        self.clean = torch.cat([self._states(part.float() / 127.5 - 1) for part in photos.split(_BATCH)])
        self.seconds = clock() - began

    @abstractmethod
    def _states(self, values: Tensor) -> Tensor:
        """States (B, c, h, w) of values in -1 ... 1."""

    @abstractmethod
    def _values(self, states: Tensor) -> Tensor:
        """The inverse."""

    @torch.inference_mode()
    def pixels(self, states: Tensor) -> Tensor:
        """The pictures that states stand for, uint8."""
        return ((self._values(states) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu()


class Patches(Space):
    """The pixels of each patch as channels; with patches of one pixel a picture as it is."""

    bounded = True

    def __init__(self, photos: Tensor, side: int):
        self.side = side
        super().__init__(photos)

    def _states(self, values: Tensor) -> Tensor:
        return pixel_unshuffle(values, self.side)

    def _values(self, states: Tensor) -> Tensor:
        return pixel_shuffle(states, self.side)


class Learned(Space):
    """Latents of an AutoencoderTiny of diffusers, each channel of mean 0 and variance 1."""

    bounded = False

    def __init__(self, photos: Tensor, folder: Path):
        loaded: Any = AutoencoderTiny.from_pretrained(folder)
        self.model = loaded.to(find_device()).eval()
        super().__init__(photos)
        self._deviation, self._mean = torch.std_mean(self.clean, (0, 2, 3), keepdim=True)
        self.clean = (self.clean - self._mean) / self._deviation

    @torch.no_grad()
    def _states(self, values: Tensor) -> Tensor:
        return self.model.encode(values.to(self.model.device)).latents.cpu()

    def _values(self, states: Tensor) -> Tensor:
        latents = states * self._deviation.to(states.device) + self._mean.to(states.device)
        return self.model.decode(latents).sample


class FullUNet(nn.Module):
    """The U-Net of diffusers on pixels: levels down to 4x4, self-attention from 16x16 on, as `smalti.UNet` has them."""

    def __init__(self, width: int, side: int):
        super().__init__()
        levels = [side // 2**level for level in range(5) if side // 2**level >= 4]
        attends = [each <= 16 for each in levels]
        self.body = UNet2DModel(
            in_channels=3,
            out_channels=3,
            block_out_channels=tuple(width * (1 if each == side else 2) for each in levels),
            down_block_types=tuple("AttnDownBlock2D" if attend else "DownBlock2D" for attend in attends),
            up_block_types=tuple("AttnUpBlock2D" if attend else "UpBlock2D" for attend in reversed(attends)),
            layers_per_block=1,
            norm_num_groups=8,  # widths are multiples of it
        )

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.body(x, t).sample


def make_net(kind: Net, channels: int, side: int, parameters: int, seed: int) -> nn.Module:
    """An untrained network for states (channels, side, side), of the width that brings it nearest to `parameters`."""
    kinds: dict[Net, tuple[Callable[[int], nn.Module], Iterable[int]]] = {
        "unet": (
            lambda width: UNetSettings(width=width).build(channels, channels, (side, side), 0),
            range(32, 257, 32),
        ),
        "full": (partial(FullUNet, side=side), range(16, 257, 8)),
        "peer": (lambda width: import_module(PEER).Unet(width), range(8, 129, 2)),
    }
    make, widths = kinds[kind]

    def apart(width: int) -> int:
        with torch.device("meta"):
            return abs(size_of(make(width)) - parameters)

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make(min(widths, key=apart))


def size_of(net: nn.Module) -> int:
    return sum(each.numel() for each in net.parameters())


def has_peer() -> bool:
    return find_spec(PEER) is not None


class StateBatches:
    """States by their running numbers, the times they are shown at, and noise; drawn as `generator.py` draws them."""

    def __init__(self, states: Tensor, seed: int):
        self.states = states
        self.seed = seed
        self._rows = Epochs(seed, len(states))

    def __call__(self, numbers: Sequence[int]) -> Batch:
        """Tensors clean (B, C, h, w), time (B,) and noise (B, C, h, w)."""
        position = torch.from_numpy(keyed_positions(self.seed, numbers))
        return {
            "clean": self.states[self._rows(numbers)],
            "time": (position * TRAINING_TIMESTEPS).long().clamp(max=TRAINING_TIMESTEPS - 1),
            "noise": torch.from_numpy(keyed_normal(self.seed, "noise", numbers, tuple(self.states.shape[1:]))),
        }


def state_losses(prediction: Prediction, schedule: Schedule) -> Losses:
    """Squared errors: of v under Min-SNR weighting; or of x by 1 / sigma**2, which makes it an error of v."""
    noiser: Any = DDPMScheduler(TRAINING_TIMESTEPS, beta_schedule=schedule)

    def losses(net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        clean, noise, time = batch["clean"], batch["noise"], batch["time"]
        out = net(noiser.add_noise(clean, noise, time), time).float()
        snr = compute_snr(noiser, time)
        if prediction == "v":
            target, weight = noiser.get_velocity(clean, noise, time), snr.clamp(max=_MIN_SNR) / (snr + 1)
        else:
            target, weight = clean, (snr + 1).clamp(max=_SMALLEST_SIGMA**-2)  # 1 / sigma**2 = SNR + 1
        return {prediction: weight * (out - target).square().mean((1, 2, 3))}

    return losses


def make_sampler(name: str, prediction: Prediction, schedule: Schedule, bounded: bool) -> Any:
    """A scheduler of diffusers; with `bounded` clean states are kept in -1 ... 1."""
    kinds: dict[str, tuple[type, dict[str, Any]]] = {
        "ddim": (DDIMScheduler, {"clip_sample": bounded}),
        "dpmsolver++": (DPMSolverMultistepScheduler, {"thresholding": bounded}),  # at its default, the same as clipping
    }
    kind, own = kinds[name]
    predicted = {"v": "v_prediction", "x": "sample"}[prediction]
    shared = {"beta_schedule": schedule, "prediction_type": predicted, "timestep_spacing": "trailing"}
    return kind(TRAINING_TIMESTEPS, **shared, **own)


@torch.inference_mode()
def sampled(net: nn.Module, sampler: Any, steps: int, numbers: Sequence[int], shape: tuple[int, ...]) -> Tensor:
    """Clean states (B, *shape) by their running numbers."""
    device = next(net.parameters()).device
    sampler.set_timesteps(steps, device=device)
    state = torch.from_numpy(keyed_normal(0, "sample", numbers, shape)).to(device) * sampler.init_noise_sigma
    for time in sampler.timesteps:
        state = sampler.step(net(state, time.expand(len(state))), time, state).prev_sample
    return state
