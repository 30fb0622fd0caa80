"""Generation: noise in, pictures out. What a user loads."""

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import diffusers
import numpy as np
import torch
from diffusers import DiffusionPipeline, SchedulerMixin
from diffusers.utils.torch_utils import randn_tensor
from huggingface_hub import snapshot_download
from jaxtyping import Float, Int64, UInt8
from PIL import Image
from torch import Tensor

from smalti.codec import Codec
from smalti.component import Component
from smalti.diffusion import Process, Resampling, Unmasking
from smalti.diffusion.process import TRAINING_TIMESTEPS
from smalti.files import SmaltiError
from smalti.nets import NO_LABEL, Refiner
from smalti.random import keyed_seed
from smalti.schedulers import draws_suit

Temperature = float | Literal["expectation"] | None
OnEstimate = Callable[[int, Tensor], None]

_TRAINING = ["checkpoints/*", "refining/*", "latents/*"]  # what is not downloaded
_PIXELS_AT_A_TIME = 2**22  # that the refiner holds activations of


def model_folder(model: str | Path, **download: Any) -> Path:
    """The folder of a model, downloaded without its training state if `model` is an `owner/name` on the Hub.

    Raises:
        SmaltiError: there is no such model.
    """
    folder = Path(model)
    if not folder.is_dir() and re.fullmatch(r"[\w.-]+/[\w.-]+", str(model)):
        try:
            folder = Path(snapshot_download(str(model), ignore_patterns=_TRAINING, **download))
        except (OSError, ValueError) as error:
            raise SmaltiError(
                f"{model}: neither a folder nor a model on the Hub that can be had ({type(error).__name__}); "
                "check the name."
            ) from error
    if not (folder / "model_index.json").is_file():
        raise SmaltiError(f"{folder}: holds no model (no model_index.json); `smalti train` or `create` makes one.")
    return folder


@dataclass
class SmaltiOutput(diffusers.utils.BaseOutput):
    """Pictures as `output_type` asked for them, and the latents (B, c, h, w) that they were decoded from."""

    images: list[Image.Image] | np.ndarray | Tensor
    latents: Tensor


class SmaltiPipeline(DiffusionPipeline):
    """A codec, a process, a network, a scheduler, and maybe a refiner: noise to states to integers to pixels.

    `size` is the height and width of the pictures in pixels (that of the network's grid, if not given), `classes` are
    the names of the labels it was trained with.
    """

    codec: Codec
    process: Process
    net: Component
    scheduler: Any
    refiner: Refiner | None
    size: tuple[int, int]
    classes: list[str]

    _optional_components: ClassVar[list[str]] = ["refiner"]

    def __init__(
        self,
        codec: Codec,
        process: Process,
        net: Component,
        scheduler: SchedulerMixin,
        size: list[int] | None = None,
        classes: list[str] | None = None,
        refiner: Refiner | None = None,
    ):
        super().__init__()
        if process.config["codec_fingerprint"] != codec.fingerprint:
            raise SmaltiError("the process was made for another codec; load both from one model folder.")
        self.register_modules(codec=codec, process=process, net=net, scheduler=scheduler, refiner=refiner)
        # diffusers takes an argument without a default for a component, so these two have one.
        height, width = size or [side * codec.spec.patch for side in net.config["grid"]]
        self.size = (height, width)
        self.classes = classes or []
        self.register_to_config(size=[height, width], classes=self.classes)

    def register_modules(self, **modules: Any) -> None:
        """Register components, ours under their public names, so that saved models outlive a move of the code."""
        super().register_modules(**modules)
        ours = {
            name: ("smalti", type(module).__name__)
            for name, module in modules.items()
            if isinstance(module, (Component, Resampling, Unmasking))
        }
        self.register_to_config(**ours)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> "SmaltiPipeline":
        """Load a model from a folder, or from the Hugging Face Hub by `owner/name`; options are those of diffusers.

        Training state is not downloaded.

        Raises:
            SmaltiError: there is no such model, or it is damaged.
        """
        download = {key: options.pop(key) for key in ("revision", "token", "cache_dir") if key in options}
        folder = model_folder(pretrained_model_name_or_path, **download)
        try:
            return super().from_pretrained(str(folder), **options)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise SmaltiError(f"{folder}: not a whole model ({reason}); make it again or copy it whole.") from error

    @torch.no_grad()
    def __call__(
        self,
        batch_size: int = 1,
        labels: int | Sequence[int] | None = None,
        num_inference_steps: int = 50,
        guidance_scale: float = 1.0,
        generator: torch.Generator | list[torch.Generator] | None = None,
        output_type: str = "pil",
        temperature: Temperature = None,
        guide: "SmaltiPipeline | None" = None,
        refine: bool = True,
        on_estimate: OnEstimate | None = None,
    ) -> SmaltiOutput:
        """Generate `batch_size` pictures.

        Args:
            batch_size: number of pictures.
            labels: class indices, one for all or one for each; None is "no label".
            num_inference_steps: steps of the scheduler.
            guidance_scale: w of guidance, out = out_worse + w (out - out_worse); 1 is none. The worse output is that
                for no label (classifier-free guidance, Ho and Salimans 2022), or of `guide`.
            generator: one for the batch, or one for each picture; the latter makes a picture independent of its batch.
            output_type: "pil", "np" (uint8 (B, H, W, C)) or "pt" (uint8 (B, C, H, W)).
            temperature: of the draws from distributions over codewords (Algorithm 2; 0 is the likeliest codeword), or
                "expectation" instead of draws. By default what suits the process.
            guide: a worse model of the same kind, such as one trained for a shorter time, to be guided away from
                (autoguidance, Karras et al. 2024); needs no labels.
            refine: let the refiner, if there is one, finish the pictures.
            on_estimate: called at every step with the time and the clean state (or logits) that the network estimates.

        Raises:
            SmaltiError: labels that the model does not have, guidance without labels or a guide, an unknown output
                type, or a temperature that process or scheduler cannot do with.
        """
        if output_type not in ("pil", "np", "pt"):
            raise SmaltiError(f"'{output_type}' is no output type; take pil, np or pt.")
        if not 1 <= num_inference_steps <= TRAINING_TIMESTEPS:
            raise SmaltiError(f"steps is {num_inference_steps}; it must be from 1 to {TRAINING_TIMESTEPS}.")
        label = self._labels(labels, batch_size, guidance_scale, guide)
        warmth = self._temperature(temperature)
        worse = None if guide is None else self._net_of(guide)
        grid = self.codec.spec.grid(*self.size)
        dtype = next(self.net.parameters()).dtype
        device = next(self.net.parameters()).device
        noise = randn_tensor((batch_size, self.process.state_channels, *grid), generator, device)
        scheduler: Any = self.scheduler
        scheduler.set_timesteps(num_inference_steps, device=device)
        times = scheduler.timesteps
        if not hasattr(scheduler, "sigmas"):  # some numbers of steps end, by rounding, at time -1, which is no time
            times = times[times >= 0]
        state = self.process.begin(noise * scheduler.init_noise_sigma)
        # Some schedulers draw at every step.
        takes = inspect.signature(scheduler.step).parameters
        draws = {"generator": generator} if "generator" in takes else {}
        previous = None
        for t in cast(Any, self.progress_bar)(times):
            scaled = scheduler.scale_model_input(state, t)
            inputs = self.process.inputs(scaled, previous).to(dtype)
            times = self.process.times(scaled, t)
            out = self._guided(inputs, times, label, guidance_scale, worse).float()
            alpha, sigma = self._alpha_sigma(t)
            clean = self.process.estimate(out, scaled, alpha, sigma, warmth, generator)
            if self.process.self_conditioning:
                previous = self.process.mean(out, scaled, alpha, sigma)
            if on_estimate is not None:
                on_estimate(int(t), clean)
            state = scheduler.step(clean, t, state, **draws).prev_sample
        latents = self.process.codes(state)
        return SmaltiOutput(images=_as_asked(self.decode(latents, refine=refine).cpu(), output_type), latents=latents)

    def stream(
        self,
        count: int,
        *,
        seed: int = 0,
        labels: Sequence[int] | None = None,
        batch_size: int = 64,
        num_inference_steps: int = 50,
        guidance_scale: float = 1.0,
        temperature: Temperature = None,
        guide: "SmaltiPipeline | None" = None,
        refine: bool = True,
    ) -> Iterator[UInt8[Tensor, "B C H W"]]:
        """Generate `count` pictures in batches; picture i follows from (seed, i) alone, whatever the batch size.

        Raises:
            SmaltiError: as calling the pipeline does.
        """
        for start in range(0, count, batch_size):
            numbers = range(start, min(start + batch_size, count))
            pictures = self(
                len(numbers),
                None if labels is None else [labels[number] for number in numbers],
                num_inference_steps,
                guidance_scale,
                [torch.Generator().manual_seed(keyed_seed(seed, "sample", number)) for number in numbers],
                "pt",
                temperature,
                guide,
                refine,
            )
            yield cast(Tensor, pictures.images)

    @torch.no_grad()
    def decode(
        self, latents: Int64[Tensor, "B c h w"], size: tuple[int, int] | None = None, *, refine: bool = True
    ) -> UInt8[Tensor, "B C H W"]:
        """The pictures of latents, by the codec and, if there is one and unless told otherwise, the refiner.

        `size` is their height and width, by default those of the pictures that are generated.
        """
        height, width = size or self.size
        pixels = self.codec.decode(latents, (height, width))
        if self.refiner is None or not refine:
            return pixels
        at_a_time = max(1, _PIXELS_AT_A_TIME // (height * width))
        refined = [self.refiner(part.float()).round().clamp(0, 255) for part in pixels.split(at_a_time)]
        return torch.cat(refined).to(torch.uint8)

    def _guided(
        self, x: Tensor, t: Tensor, label: Tensor | None, scale: float, worse: Component | None
    ) -> Float[Tensor, "B out h w"]:
        if scale == 1.0:
            return self.net(x, t, label)
        away = self.net(x, t, None) if worse is None else worse(x, t, label)
        return away + scale * (self.net(x, t, label) - away)

    def _net_of(self, guide: "SmaltiPipeline") -> Component:
        """The network of a guide, if its outputs mean the same."""
        settings = [
            {name: value for name, value in pipe.process.config.items() if not name.startswith("_")}
            for pipe in (self, guide)
        ]
        if settings[0] != settings[1] or guide.size != self.size or guide.classes != self.classes:
            raise SmaltiError(
                "the guide has another codec, process, size or classes; take a model of the same kind, trained for a "
                "shorter time or with a smaller network."
            )
        return guide.net

    def _temperature(self, asked: Temperature) -> float | None:
        """The temperature of draws, None for the expectation; refused where a scheduler's steps cannot take draws."""
        if asked == "expectation":
            return None
        if asked is None:
            return self.process.default_temperature if draws_suit(self.scheduler) else None
        if not draws_suit(self.scheduler):
            raise SmaltiError(
                f"{type(self.scheduler).__name__} goes by the estimates of several steps, which draws do not suit; "
                'take the temperature "expectation", or another scheduler.'
            )
        return asked

    def _alpha_sigma(self, t: Tensor) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Take alpha and sigma of the state that the network was just shown, from the scheduler that made it."""
        if hasattr(self.scheduler, "sigmas"):
            # These schedulers count noise as sigma / alpha, also at steps between two training timesteps.
            if self.scheduler.step_index is None:
                self.scheduler._init_step_index(t)
            ratio = self.scheduler.sigmas[self.scheduler.step_index].to(self.device)
            alpha = (1 + ratio.square()).rsqrt()
            return alpha, ratio * alpha
        if not hasattr(self.scheduler, "alphas_cumprod"):
            return torch.ones((), device=self.device), torch.zeros((), device=self.device)  # states without noise
        cumulative = self.scheduler.alphas_cumprod[int(t)].to(self.device)
        return cumulative.sqrt(), (1 - cumulative).sqrt()

    def _labels(
        self, labels: int | Sequence[int] | None, count: int, scale: float, guide: "SmaltiPipeline | None"
    ) -> Int64[Tensor, " B"] | None:
        if labels is None:
            if scale != 1.0 and guide is None:
                raise SmaltiError("guidance needs labels or a guide: give one of them, or leave the guidance at 1.")
            return None
        given = torch.as_tensor([labels] * count if isinstance(labels, int) else list(labels))
        if len(given) != count:
            raise SmaltiError(f"{len(given)} labels for {count} pictures; give one, or one for each.")
        if ((given < NO_LABEL) | (given >= len(self.classes))).any():
            raise SmaltiError(f"a label is out of range: this model has {len(self.classes)} classes.")
        return given.to(next(self.net.parameters()).device)


def _as_asked(pixels: UInt8[Tensor, "B C H W"], output_type: str) -> Any:
    if output_type == "pt":
        return pixels
    arrays = pixels.permute(0, 2, 3, 1).numpy()
    if output_type == "np":
        return arrays
    return [Image.fromarray(array.squeeze(2) if array.shape[2] == 1 else array) for array in arrays]
