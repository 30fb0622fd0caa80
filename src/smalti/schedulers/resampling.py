"""The reverse step of multinomial diffusion, which diffusers has only together with masks (`VQDiffusionScheduler`)."""

from typing import Any

import numpy as np
import torch
from diffusers import SchedulerMixin
from diffusers.schedulers.scheduling_utils import SchedulerOutput
from diffusers.utils.torch_utils import randn_tensor
from jaxtyping import Float, Int64
from torch import Tensor
from torch.special import ndtr

from smalti.diffusion.draws import Generators, draw, uniform
from smalti.mixins import ConfigMixin, register_to_config


class Resampling(SchedulerMixin, ConfigMixin):
    """Steps of multinomial diffusion: a clean latent is drawn, and from it and the state the state before.

    At time t an index has been kept with probability a_t = 1 - (t + 1) / T and is any of K otherwise. Given x_t and a
    clean z, there are three ways in which an index x_s of an earlier time can have come about; with r = a_t / a_s their
    probabilities are proportional to (Hoogeboom et al. 2021)

    - it is x_t, not replaced between s and t:  r ((1 - a_s) / K + a_s [x_t = z])
    - it is z, replaced between s and t:        (1 - r) / K * a_s
    - it is any, replaced twice:                (1 - r) / K * (1 - a_s)
    """

    init_noise_sigma = 1.0
    order = 1

    @register_to_config
    def __init__(self, codewords: tuple[int, ...] | list[int], num_train_timesteps: int = 1000):
        self.set_timesteps(num_train_timesteps)

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        """Spread the steps evenly over the times of training, from the last one on."""
        settings: Any = self.config
        total = settings.num_train_timesteps
        times = np.round(np.arange(num_inference_steps, 0, -1) * total / num_inference_steps).astype(np.int64) - 1
        self.timesteps = torch.from_numpy(times).to(device)
        self._before = dict(zip(times.tolist(), [*times[1:].tolist(), -1], strict=True))

    def scale_model_input(self, sample: Tensor, timestep: Tensor) -> Tensor:
        """The state as it is."""
        del timestep
        return sample

    def step(
        self,
        model_output: Float[Tensor, "B c K h w"],
        timestep: Tensor,
        sample: Int64[Tensor, "B c h w"],
        generator: Generators = None,
    ) -> SchedulerOutput:
        """The state before; with a list of generators each image has its own."""
        settings: Any = self.config
        clean = draw(model_output, 1.0, generator)
        t = int(timestep)
        kept, kept_before = (1 - (time + 1) / settings.num_train_timesteps for time in (t, self._before[t]))
        sizes = torch.as_tensor(settings.codewords)
        number = sizes.to(sample.device)[:, None, None].float()
        ratio = kept / kept_before
        same = ratio * ((1 - kept_before) / number + kept_before * (sample == clean))
        back = (1 - ratio) / number * kept_before
        either = (1 - ratio) / number * (1 - kept_before)
        shape = (len(sample), 2 * sample.shape[1], *sample.shape[2:])
        which, what = ndtr(randn_tensor(shape, generator, sample.device)).chunk(2, dim=1)
        which = which * (same + back + either)
        earlier = torch.where(which < same, sample, torch.where(which < same + back, clean, uniform(what, sizes)))
        return SchedulerOutput(earlier)  # pyright: ignore[reportArgumentType]
