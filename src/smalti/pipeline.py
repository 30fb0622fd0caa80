"""Generation: noise in, pictures out. What a user loads."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

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
from smalti.diffusion import Process
from smalti.diffusion.process import TRAINING_TIMESTEPS
from smalti.files import SmaltiError
from smalti.nets import NO_LABEL
from smalti.random import keyed_seed

# Those of diffusers that take the clean sample as the prediction, with what each needs beside `_SHARED`.
SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddpm": ("DDPMScheduler", {"clip_sample": False}),
    "ddim": ("DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": True}),
    "dpmsolver++": ("DPMSolverMultistepScheduler", {}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
}
# "trailing": the first step starts at the noisiest timestep, where the state is the noise it is started from.
_SHARED = {"num_train_timesteps": TRAINING_TIMESTEPS, "prediction_type": "sample", "timestep_spacing": "trailing"}


def make_scheduler(name: str, process: Process) -> Any:
    """The scheduler called `name`, on the noise schedule that the process was trained with.

    Raises:
        SmaltiError: an unknown name.
    """
    if name not in SCHEDULERS:
        raise SmaltiError(f"'{name}' is no scheduler; take one of {', '.join(SCHEDULERS)}.")
    kind, settings = SCHEDULERS[name]
    return getattr(diffusers, kind)(**_SHARED, **settings, beta_schedule=process.config["beta_schedule"])


def model_folder(model: str | Path, **download: Any) -> Path:
    """The folder of a model, downloaded without its training state if `model` is an `owner/name` on the Hub.

    Raises:
        SmaltiError: there is no such model.
    """
    folder = Path(model)
    if not folder.is_dir() and re.fullmatch(r"[\w.-]+/[\w.-]+", str(model)):
        try:
            folder = Path(snapshot_download(str(model), ignore_patterns=["checkpoints/*", "latents/*"], **download))
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
    """A codec, a process, a network and a scheduler: noise to states to integers to pixels.

    `size` is the height and width of the pictures in pixels (that of the network's grid, if not given), `classes` are
    the names of the labels it was trained with.
    """

    codec: Codec
    process: Process
    net: Component
    scheduler: Any
    size: tuple[int, int]
    classes: list[str]

    def __init__(
        self,
        codec: Codec,
        process: Process,
        net: Component,
        scheduler: SchedulerMixin,
        size: list[int] | None = None,
        classes: list[str] | None = None,
    ):
        super().__init__()
        if process.config["codec_fingerprint"] != codec.fingerprint:
            raise SmaltiError("the process was made for another codec; load both from one model folder.")
        self.register_modules(codec=codec, process=process, net=net, scheduler=scheduler)
        # diffusers takes an argument without a default for a component, so these two have one.
        height, width = size or [side * codec.spec.patch for side in net.config["grid"]]
        self.size = (height, width)
        self.classes = classes or []
        self.register_to_config(size=[height, width], classes=self.classes)

    def register_modules(self, **modules: Any) -> None:
        """Register components, ours under their public names, so that saved models outlive a move of the code."""
        super().register_modules(**modules)
        ours = {
            name: ("smalti", type(module).__name__) for name, module in modules.items() if isinstance(module, Component)
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
    ) -> SmaltiOutput:
        """Generate `batch_size` pictures.

        Args:
            batch_size: number of pictures.
            labels: class indices, one for all or one for each; None is "no label".
            num_inference_steps: steps of the scheduler.
            guidance_scale: w of classifier-free guidance, out = out_none + w (out_label - out_none); 1 is none.
            generator: one for the batch, or one for each picture; the latter makes a picture independent of its batch.
            output_type: "pil", "np" (uint8 (B, H, W, C)) or "pt" (uint8 (B, C, H, W)).

        Raises:
            SmaltiError: labels that the model does not have, guidance without labels, an unknown output type.
        """
        if output_type not in ("pil", "np", "pt"):
            raise SmaltiError(f"'{output_type}' is no output type; take pil, np or pt.")
        label = self._labels(labels, batch_size, guidance_scale)
        grid = self.codec.spec.grid(*self.size)
        dtype = next(self.net.parameters()).dtype
        device = next(self.net.parameters()).device
        noise = randn_tensor((batch_size, self.process.state_channels, *grid), generator, device)
        scheduler: Any = self.scheduler
        scheduler.set_timesteps(num_inference_steps, device=device)
        state = noise * scheduler.init_noise_sigma
        # DDPM, and DDIM with eta > 0, draw noise at every step.
        draws = {"generator": generator} if isinstance(self.scheduler, diffusers.DDPMScheduler) else {}
        for t in cast(Any, self.progress_bar)(scheduler.timesteps):
            scaled = scheduler.scale_model_input(state, t)
            times = torch.full((batch_size,), float(t), device=device)
            out = self._guided(self.process.inputs(scaled).to(dtype), times, label, guidance_scale).float()
            clean = self.process.estimate(out, scaled, *self._alpha_sigma(t))
            state = scheduler.step(clean, t, state, **draws).prev_sample
        latents = self.process.codes(state)
        return SmaltiOutput(images=self._pictures(latents, output_type), latents=latents)

    def stream(
        self,
        count: int,
        *,
        seed: int = 0,
        labels: Sequence[int] | None = None,
        batch_size: int = 64,
        num_inference_steps: int = 50,
        guidance_scale: float = 1.0,
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
            )
            yield cast(Tensor, pictures.images)

    def _guided(self, x: Tensor, t: Tensor, label: Tensor | None, scale: float) -> Float[Tensor, "B out h w"]:
        if scale == 1.0:
            return self.net(x, t, label)
        none = self.net(x, t, None)
        return none + scale * (self.net(x, t, label) - none)

    def _alpha_sigma(self, t: Tensor) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Take alpha and sigma of the state that the network was just shown, from the scheduler that made it."""
        if hasattr(self.scheduler, "sigmas"):
            # These schedulers count noise as sigma / alpha, also at steps between two training timesteps.
            if self.scheduler.step_index is None:
                self.scheduler._init_step_index(t)
            ratio = self.scheduler.sigmas[self.scheduler.step_index].to(self.device)
            alpha = (1 + ratio.square()).rsqrt()
            return alpha, ratio * alpha
        cumulative = self.scheduler.alphas_cumprod[int(t)].to(self.device)
        return cumulative.sqrt(), (1 - cumulative).sqrt()

    def _labels(self, labels: int | Sequence[int] | None, count: int, scale: float) -> Int64[Tensor, " B"] | None:
        if labels is None:
            if scale != 1.0:
                raise SmaltiError("guidance needs labels: name a class, or leave the guidance at 1.")
            return None
        given = torch.as_tensor([labels] * count if isinstance(labels, int) else list(labels))
        if len(given) != count:
            raise SmaltiError(f"{len(given)} labels for {count} pictures; give one, or one for each.")
        if ((given < NO_LABEL) | (given >= len(self.classes))).any():
            raise SmaltiError(f"a label is out of range: this model has {len(self.classes)} classes.")
        return given.to(next(self.net.parameters()).device)

    def _pictures(self, latents: Int64[Tensor, "B c h w"], output_type: str) -> Any:
        pixels = self.codec.decode(latents, self.size).cpu()
        if output_type == "pt":
            return pixels
        arrays = pixels.permute(0, 2, 3, 1).numpy()
        if output_type == "np":
            return arrays
        return [Image.fromarray(array.squeeze(2) if array.shape[2] == 1 else array) for array in arrays]
