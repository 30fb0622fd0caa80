"""A scheduler of one's own: the deterministic step of DDIM by hand, on evenly spread times, beside the library's.

python examples/own_scheduler.py MODEL --out schedulers.png
"""

from pathlib import Path
from typing import Any

import torch
import tyro
from diffusers import SchedulerMixin
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerOutput
from torch import Tensor

from smalti import SampleSettings, SmaltiPipeline
from smalti.diffusion import Gaussian
from smalti.report import grid
from smalti.schedulers import SCHEDULERS, CumulativeSteps, Scheduler


class Straight(SchedulerMixin, ConfigMixin):
    """From the noisy state straight to the estimate, as far as the next time says; `cumulative` is alpha squared."""

    init_noise_sigma = 1.0

    @register_to_config
    def __init__(self, cumulative: list[float]):
        self.alphas_cumprod = torch.tensor(cumulative)

    def set_timesteps(self, count: int, device: Any = None) -> None:
        """Place so many steps."""
        self.timesteps = torch.linspace(len(self.alphas_cumprod), 0, count + 1).round().long()[:-1] - 1

    def scale_model_input(self, sample: Tensor, timestep: Tensor) -> Tensor:
        """What the network is shown."""
        return sample

    def step(self, clean: Tensor, timestep: Tensor, sample: Tensor) -> SchedulerOutput:
        """The state at the next time, given what the network takes for the clean one."""
        after = self.timesteps[self.timesteps < timestep]
        now, then = self.alphas_cumprod[timestep], self.alphas_cumprod[after[0]] if len(after) else torch.ones(())
        noise = (sample - now.sqrt() * clean) / (1 - now).sqrt()
        return SchedulerOutput(then.sqrt() * clean + (1 - then).sqrt() * noise)  # pyright: ignore


def main(model: str, /, *, out: Path = Path("schedulers.png"), count: int = 8, steps: int = 50) -> None:
    """Draw a row of pictures by ddim, and one of the same noise by the scheduler above."""

    def make(process: Gaussian) -> dict[str, Any]:  # on the noise schedule that the model was trained with
        return {"cumulative": process.alpha.square().tolist()}

    SCHEDULERS["straight"] = Scheduler(suits=Gaussian, kind=Straight, steps=CumulativeSteps, draws=True, make=make)
    pipe = SmaltiPipeline.from_pretrained(model)
    settings = [SampleSettings(scheduler=name, steps=steps, draws=False) for name in ("ddim", "straight")]
    grid(torch.cat([batch for each in settings for batch in pipe.stream(count, each)]), count).save(out)


if __name__ == "__main__":
    tyro.cli(main)
