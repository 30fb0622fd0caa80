"""Generation: noise in, pictures out. What a user loads."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from diffusers import DiffusionPipeline, SchedulerMixin
from diffusers.utils.torch_utils import randn_tensor
from jaxtyping import Int64, Integer
from torch import Tensor

from smalti.codec import Codec
from smalti.component import Component
from smalti.devices import fast
from smalti.diffusion import Process
from smalti.diffusion.draws import Generators
from smalti.digests import require_sealed, seal, unseal
from smalti.errors import SmaltiError, require_at_least
from smalti.iterables import batched
from smalti.model_folder import INDEX, ModelFolder
from smalti.nets import Refiner
from smalti.pipeline.guidance import guided, label_rows_of, loaded_guide, require_alike
from smalti.pipeline.mixed import Sizes, read_sizes, stream_of_sizes
from smalti.pipeline.output import SmaltiOutput, as_asked, require_known_output
from smalti.pipeline.parts import PARTS, require_agreement, require_known_parts
from smalti.pipeline.sampling import Estimates, Known, OnEstimate, Start, require_shape, sample_state
from smalti.pipeline.settings import SampleSettings
from smalti.random import keyed_seed
from smalti.schedulers import make_scheduler, steps_of
from smalti.threads import in_parts

_PIXELS_AT_A_TIME = 2**22  # that the refiner holds activations of


class SmaltiPipeline(DiffusionPipeline):
    """A codec, a process, a network, a scheduler, and maybe a refiner: noise to states to integers to pixels.

    `size` is the height and width of the pictures in pixels (that of the network's grid, if not given), `classes` are
    the names of the labels it was trained with. Of photos that kept their shapes `sizes` says how many were of each.
    """

    codec: Codec
    process: Process
    net: Component
    scheduler: Any
    refiner: Refiner | None
    size: tuple[int, int]
    classes: list[str]
    sizes: Sizes

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
        sizes: list[list[int]] | None = None,
    ):
        super().__init__()
        require_agreement(codec, process, net, refiner)
        self.register_modules(codec=codec, process=process, net=net, scheduler=scheduler, refiner=refiner)
        # diffusers takes an argument without a default for a component, so these two have one.
        height, width = size or [side * codec.spec.patch for side in net.config["grid"]]
        self.size = (height, width)
        self.classes = classes or []
        self.sizes = read_sizes(sizes or [])
        several = {"sizes": sizes} if sizes else {}  # which earlier versions do not know
        self.register_to_config(size=[height, width], classes=self.classes, **several)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        # Ours are saved under their public names, so that models outlive a move of the code.
        if name in PARTS and type(value).__module__.startswith("smalti."):
            self.register_to_config(**{name: ("smalti", type(value).__name__)})

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> "SmaltiPipeline":
        """Load a model from a folder, or from the Hugging Face Hub by `owner/name`; options are those of diffusers.

        Training state is not downloaded.

        Raises:
            SmaltiError: there is no such model, it is damaged, or made of what is no part of smalti.
        """
        download = {key: options.pop(key) for key in ("revision", "token", "cache_dir") if key in options}
        folder = ModelFolder.find(pretrained_model_name_or_path, **download)
        require_known_parts(folder.path)
        require_sealed(folder.path)
        try:
            return super().from_pretrained(str(folder), **{"local_files_only": True, **options})
        except (SmaltiError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # settings of schedulers that are no numbers fail in any way
            reason = "".join(str(error).splitlines()[:1]) or type(error).__name__
            raise SmaltiError(f"{folder}: not a whole model ({reason}); make it again or copy it whole.") from error

    def save_pretrained(self, save_directory: str | Path, *args: Any, **options: Any) -> None:
        """Write the parts and the index of them, and digests beside each; options are those of diffusers."""
        folder = Path(save_directory)
        unseal(folder)
        super().save_pretrained(save_directory, *args, **options)
        settings = sorted(path.relative_to(folder).as_posix() for path in folder.glob("scheduler/*.json"))
        seal(folder, [INDEX, *settings])

    @torch.no_grad()
    def __call__(
        self,
        batch_size: int = 1,
        labels: int | Sequence[int] | None = None,
        num_inference_steps: int = 50,
        guidance_scale: float = 1.0,
        generator: Generators = None,
        output_type: str = "pil",
        temperature: float | None = None,
        draws: bool | None = None,
        cooling: float | None = None,
        spacing: float | None = None,
        guide: "SmaltiPipeline | None" = None,
        refine: bool = True,
        on_estimate: OnEstimate | None = None,
        height: int | None = None,
        width: int | None = None,
    ) -> SmaltiOutput:
        """Generate `batch_size` pictures.

        Args:
            batch_size: number of pictures.
            labels: class indices, one for all or one for each; None is "no label".
            num_inference_steps: steps of the scheduler.
            guidance_scale: w of guidance, out = out_worse + w (out - out_worse); 1 is none. The worse output is that
                for no label (classifier-free guidance, Ho and Salimans 2022), or of `guide`.
            generator: one for the batch, or one for each picture; the latter makes a picture independent of its
                batch, but for rounding.
            output_type: "pil", "np" (B, H, W, C) or "pt" (B, C, H, W); uint8, unless the pixel format is another.
            temperature: of the distributions over codewords; 0 is the likeliest codeword. By default what suits the
                process.
            draws: whether codewords are drawn from them (Algorithm 2), or their mean is taken. By default what suits.
            cooling: how much that temperature falls with the noise, as in `SampleSettings`.
            spacing: how much the steps crowd towards little noise, as there.
            guide: a worse model of the same kind, such as one trained for a shorter time, to be guided away from
                (autoguidance, Karras et al. 2024); needs no labels.
            refine: let the refiner, if there is one, finish the pictures.
            on_estimate: called at every step with the time and the clean state (or logits) that the network estimates.
            height: of the pictures in pixels; that of those it was trained on when left out, as the width.
            width: likewise.

        Raises:
            SmaltiError: labels that the model does not have, guidance without labels or a guide, an unknown output
                type, or a temperature that process or scheduler cannot do with.
        """
        require_known_output(output_type)
        if isinstance(generator, list) and len(generator) != batch_size:
            raise SmaltiError(f"{len(generator)} generators for {batch_size} pictures; give one, or one for each.")
        if guide is not None:
            require_alike(self, guide)
        size = self.sized(height, width)
        label = label_rows_of(self, labels, batch_size, guidance_scale, guide)
        how: Any = {"temperature": temperature, "draws": draws, "cooling": cooling, "spacing": spacing}
        settings = SampleSettings(steps=num_inference_steps, guidance=guidance_scale, **how)
        latents = self._generate(batch_size, size, label, generator, settings, self.scheduler, guide, on_estimate)
        pixels = self.decode(latents, size, refine=refine).cpu()
        return SmaltiOutput(images=as_asked(pixels, output_type), latents=latents)

    def sized(self, height: int | None = None, width: int | None = None) -> tuple[int, int]:
        """Height and width of pictures, where given, and else those that the model was trained on.

        Raises:
            SmaltiError: one that no picture of this model has.
        """
        size = (self.size[0] if height is None else height, self.size[1] if width is None else width)
        require_at_least(1, height=size[0], width=size[1])
        self.net.require_grid(self.codec.spec.grid(*size))
        return size

    def _generate(
        self,
        count: int,
        size: tuple[int, int],
        label: Int64[Tensor, " B"] | None,
        generator: Generators,
        settings: SampleSettings,
        scheduler: Any,
        guide: "SmaltiPipeline | None",
        on_estimate: OnEstimate | None = None,
        start: Start | None = None,
        known: Known | None = None,
    ) -> Int64[Tensor, "B c h w"]:
        """The latents of `count` pictures; scheduler and guide stand for those that the settings may name."""
        worse = None if guide is None else guide.net
        parameter = next(self.net.parameters())
        channels = self.process.state_channels if start is None else self.process.noise_channels
        shape = (count, channels, *self.codec.spec.grid(*size))
        at_a_time = -(-count // torch.get_num_threads()) if parameter.device.type == "cpu" else count

        def network(x: Tensor, t: Tensor, label: Tensor | None) -> Tensor:
            # As it was trained, unless it was brought to another precision.
            with fast(parameter.device) if parameter.dtype == torch.float32 else nullcontext():
                return guided(self.net, worse, settings.guidance, x, t, label).float()

        state = sample_state(
            self.process,
            steps_of(scheduler, settings.steps, parameter.device, settings.spacing),
            lambda x, t: in_parts(network, at_a_time, x.to(parameter.dtype), t, label),
            randn_tensor(shape, generator, parameter.device),
            estimates=Estimates.of(settings, self.process, scheduler),
            start=start,
            known=known,
            generator=generator,
            on_estimate=on_estimate,
            progress=cast(Any, self.progress_bar),
        )
        latents = self.process.codes(state)
        return latents if known is None else torch.where(known.free, latents, known.latents)

    def stream(
        self,
        count: int,
        settings: SampleSettings = SampleSettings(),
        *,
        size: tuple[int, int] | None = None,
        **how: Any,
    ) -> Iterator[Integer[Tensor, "B C H W"]]:
        """Generate `count` pictures in batches: what `latents` gives, which takes the same, decoded.

        Of a model of several sizes, and where none is given, each picture has one of these by seed and number, as often
        as it occurred in training; they come one at a time.
        """
        if self.sizes and size is None and how.get("start") is None and how.get("known") is None:
            return stream_of_sizes(self, count, settings, labels=how.get("labels"), numbers=how.get("numbers"))
        made = self.latents(count, settings, size=size, **how)
        return (self.decode(latents, size=size, refine=settings.refine).cpu() for latents in made)

    def latents(
        self,
        count: int,
        settings: SampleSettings = SampleSettings(),
        *,
        labels: Sequence[int] | None = None,
        start: Start | None = None,
        known: Known | None = None,
        size: tuple[int, int] | None = None,
        numbers: Sequence[int] | None = None,
    ) -> Iterator[Int64[Tensor, "B c h w"]]:
        """Generate latents of `count` pictures in batches; picture i follows from (seed, i) alone, but for rounding.

        `labels` holds a class index for each, `start` a latent to begin with, `known` one that is kept in part. Where a
        `size` (height, width) is given pictures are of that, and not of the model's. Where `numbers` are given only
        these pictures are made.
        A scheduler or a guide in the settings serves this once; both are looked for before any picture is asked for.

        Raises:
            SmaltiError: as calling the pipeline does; or the guide cannot be had, or the latents are none of `count`
                pictures of this model.
        """
        size = self.sized(*(size or ()))
        shape = (count, self.process.coordinates.channels, *self.codec.spec.grid(*size))
        require_shape(shape, start, known)
        if known is not None and known.free.all():  # nothing is known
            known = None
        guide = None if settings.guide is None else loaded_guide(self, settings.guide)
        scheduler = make_scheduler(settings.scheduler, self.process) if settings.scheduler else self.scheduler
        Estimates.of(settings, self.process, scheduler)
        steps_of(scheduler, settings.steps, self.device, settings.spacing)
        label = label_rows_of(self, labels, count, settings.guidance, guide)

        def batches() -> Iterator[Int64[Tensor, "B c h w"]]:
            for some in batched(range(count) if numbers is None else numbers, settings.batch_size):
                own = None if label is None else label[some]
                generators = [torch.Generator().manual_seed(keyed_seed(settings.seed, "sample", n)) for n in some]
                begun, held = (None if given is None else given.of(some, self.device) for given in (start, known))
                more: Any = {"start": begun, "known": held}
                yield self._generate(len(some), size, own, generators, settings, scheduler, guide, **more)

        return batches()

    @torch.no_grad()
    def decode(
        self, latents: Int64[Tensor, "B c h w"], size: tuple[int, int] | None = None, *, refine: bool = True
    ) -> Integer[Tensor, "B C H W"]:
        """The pictures of latents, by the codec and, if there is one and unless told otherwise, the refiner.

        `size` is their height and width, by default those of the pictures that are generated.
        """
        height, width = size or self.size
        pixels = self.codec.decode(latents, (height, width))
        if self.refiner is None or not refine:
            return pixels
        refiner, form = self.refiner, self.codec.pixel_format
        at_a_time = max(1, _PIXELS_AT_A_TIME // (height * width))
        return in_parts(lambda part: form.pixels(refiner(form.levels(part))), at_a_time, pixels)
