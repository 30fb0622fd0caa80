"""Generation: noise in, pictures out. What a user loads."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar, cast

import torch
from diffusers.utils.torch_utils import randn_tensor
from jaxtyping import Float, Int64, Integer
from torch import Tensor

from smalti.devices import fast
from smalti.diffusion import Masked
from smalti.diffusion.draws import Generators
from smalti.errors import SmaltiError, require_at_least
from smalti.iterables import batched
from smalti.pipeline.callbacks import TENSORS, OnStepEnd, calling
from smalti.pipeline.guidance import Labels, guided, label_rows, loaded_guide, require_alike, require_steered
from smalti.pipeline.mixed import stream_of_sizes
from smalti.pipeline.output import SmaltiOutput, as_asked, require_known_output
from smalti.pipeline.published import Published
from smalti.pipeline.sampling import Estimates, Known, OnStep, Start, require_shape, sample_state
from smalti.pipeline.settings import SampleSettings
from smalti.random import keyed_seed
from smalti.schedulers import make_scheduler, steps_of
from smalti.threads import in_parts

_PIXELS_AT_A_TIME = 2**22  # that the refiner holds activations of


class SmaltiPipeline(Published):
    """A codec, a process, a network, a scheduler, and maybe a refiner: noise to states to integers to pixels.

    `size` is the height and width of the pictures in pixels (that of the network's grid, if not given), `classes` are
    the names of the labels it was trained with. Of photos that kept their shapes `sizes` says how many were of each.
    """

    _callback_tensor_inputs: ClassVar[list[str]] = list(TENSORS)

    @torch.no_grad()
    def __call__(
        self,
        batch_size: int = 1,
        class_labels: Labels | None = None,
        num_inference_steps: int = 50,
        guidance_scale: float = 1.0,
        generator: Generators = None,
        output_type: str = "pil",
        temperature: float | None = None,
        draws: bool | None = None,
        cooling: float | None = None,
        extrapolation: float | None = None,
        spacing: float | None = None,
        eta: float | None = None,
        guide: "SmaltiPipeline | None" = None,
        refine: bool = True,
        height: int | None = None,
        width: int | None = None,
        latents: Float[Tensor, "B n h w"] | None = None,
        return_dict: bool = True,
        callback_on_step_end: OnStepEnd | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> SmaltiOutput | tuple[Any, ...]:
        """Generate `batch_size` pictures.

        Args:
            batch_size: number of pictures.
            class_labels: indices or names of classes, one for all or one for each; None is "no label".
            num_inference_steps: steps of the scheduler.
            guidance_scale: w of guidance, out = out_worse + w (out - out_worse); 1 is none. The worse output is that
                for no label (classifier-free guidance, Ho and Salimans 2022), or of `guide`.
            generator: one for the batch, or one for each picture; the latter makes a picture independent of its
                batch, but for rounding.
            output_type: "pil"; "np" (B, H, W, C) or "pt" (B, C, H, W), floats from 0 to 1; or "latent" (B, c, h, w),
                the indices that pictures are decoded from, of which `decode` makes pixels.
            temperature: of the distributions over codewords; 0 is the likeliest codeword. By default what suits the
                process.
            draws: whether codewords are drawn from them (Algorithm 2), or their mean is taken. By default what suits.
            cooling: how much that temperature falls with the noise, as in `SampleSettings`.
            extrapolation: how far logits are carried on from step to step, as in `SampleSettings`.
            spacing: how much the steps crowd towards little noise, as there.
            eta: how much of its noise each step of DDIM draws anew, as there.
            guide: a worse model of the same kind, such as one trained for a shorter time, to be guided away from
                (autoguidance, Karras et al. 2024); needs no labels.
            refine: let the refiner, if there is one, finish the pictures.
            height: of the pictures in pixels; that of those it was trained on when left out, as the width.
            width: likewise.
            latents: the normal noise to begin with, as many channels as states of the process have, instead of what the
                generator draws; to begin with codes under noise see `Start`.
            return_dict: False is for a plain tuple of images and latents.
            callback_on_step_end: called after every step as callback(pipe, step, time, tensors); the entry "latents" of
                what it returns takes the place of the state.
            callback_on_step_end_tensor_inputs: names of these tensors: "latents", the state after the step, and
                "pred_original_sample", the clean state (or logits) that the network estimated.

        Raises:
            SmaltiError: labels that the model does not have, guidance without labels or a guide, an unknown output
                type, latents of another shape, or a setting that process or scheduler cannot do with.
        """
        require_known_output(output_type)
        require_at_least(1, batch_size=batch_size)
        if isinstance(generator, list) and len(generator) != batch_size:
            raise SmaltiError(f"{len(generator)} generators for {batch_size} pictures; give one, or one for each.")
        if guide is not None:
            require_alike(self, guide)
        size = self.sized(height, width)
        label = label_rows(self.classes, class_labels, batch_size)
        require_steered(label, guidance_scale, guide)
        settings = SampleSettings(
            steps=num_inference_steps,
            temperature=temperature,
            draws=draws,
            cooling=cooling,
            extrapolation=extrapolation,
            spacing=spacing,
            eta=eta,
            guidance=guidance_scale,
        )
        on_step = callback_on_step_end and calling(self, callback_on_step_end, callback_on_step_end_tensor_inputs)
        how: dict[str, Any] = {"noise": latents, "on_step": on_step}
        codes = self._generate(batch_size, size, label, generator, settings, self.scheduler, guide, **how)
        images: Any = codes
        if output_type != "latent":
            pixels = self.decode(codes, size, refine=refine).cpu()
            images = as_asked(pixels, self.codec.pixel_format, output_type)
        self.maybe_free_model_hooks()
        output = SmaltiOutput(images=images, latents=codes)
        return output if return_dict else output.to_tuple()

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
        noise: Float[Tensor, "B n h w"] | None = None,
        on_step: OnStep | None = None,
        start: Start | None = None,
        known: Known | None = None,
    ) -> Int64[Tensor, "B c h w"]:
        """The latents of `count` pictures; scheduler and guide stand for those that the settings may name."""
        worse = None if guide is None else guide.net
        device, dtype = self._execution_device, next(self.net.parameters()).dtype
        channels = self.process.state_channels if start is None else self.process.noise_channels
        shape = (count, channels, *self.codec.spec.grid(*size))
        at_a_time = -(-count // torch.get_num_threads()) if device.type == "cpu" else count
        if noise is not None and (noise.shape != shape or not noise.is_floating_point()):
            told = f"{noise.dtype} of shape {tuple(noise.shape)}"
            raise SmaltiError(f"latents are {told}; they are noise to begin with, floats of shape {shape}.")
        if noise is not None and isinstance(self.process, Masked):
            raise SmaltiError("a masked model begins with masks, whatever the latents; leave them out.")
        label = None if label is None else label.to(device)

        def network(x: Tensor, t: Tensor, label: Tensor | None) -> Tensor:
            # As it was trained, unless it was brought to another precision.
            with fast(device) if dtype == torch.float32 else nullcontext():
                return guided(self.net, worse, settings.guidance, x, t, label)

        state = sample_state(
            self.process,
            steps_of(scheduler, settings.steps, device, settings.spacing, settings.eta),
            lambda x, t: in_parts(network, at_a_time, x.to(dtype), t, label),
            randn_tensor(shape, generator, device) if noise is None else noise.to(device, torch.float32),
            estimates=Estimates.of(settings, self.process, scheduler),
            start=start,
            known=known,
            generator=generator,
            on_step=on_step,
            progress=cast(Any, self.progress_bar),
        )
        latents = self.process.codes(state)
        return latents if known is None else torch.where(known.free, latents, known.latents)

    def stream(
        self,
        count: int,
        settings: SampleSettings = SampleSettings(),
        *,
        labels: Labels | None = None,
        start: Start | None = None,
        known: Known | None = None,
        size: tuple[int, int] | None = None,
        numbers: Sequence[int] | None = None,
        guide: "SmaltiPipeline | None" = None,
    ) -> Iterator[Integer[Tensor, "B C H W"]]:
        """Generate `count` pictures in batches: what `latents` gives, which takes the same, decoded.

        Of a model of several sizes, and where none is given, each picture has one of these by seed and number, as often
        as it occurred in training; they come one at a time.
        """
        if self.sizes and size is None and start is None and known is None:
            return stream_of_sizes(self, count, settings, labels=labels, numbers=numbers, guide=guide)
        how: dict[str, Any] = {"labels": labels, "start": start, "known": known, "numbers": numbers, "guide": guide}
        made = self.latents(count, settings, size=size, **how)
        return (self.decode(latents, size=size, refine=settings.refine).cpu() for latents in made)

    def latents(
        self,
        count: int,
        settings: SampleSettings = SampleSettings(),
        *,
        labels: Labels | None = None,
        start: Start | None = None,
        known: Known | None = None,
        size: tuple[int, int] | None = None,
        numbers: Sequence[int] | None = None,
        guide: "SmaltiPipeline | None" = None,
    ) -> Iterator[Int64[Tensor, "B c h w"]]:
        """Generate latents of `count` pictures in batches; picture i follows from (seed, i) alone, but for rounding.

        `labels` are classes, one for all or one for each, `start` a latent of each to begin with, `known` one that is
        kept in part. Where a `size` (height, width) is given pictures are of that, and not of the model's. Where
        `numbers` are given only these pictures are made. A scheduler or a guide in the settings serves this once; both
        are looked for before any picture is asked for. A `guide` is one that is loaded already, in place of that.

        Raises:
            SmaltiError: as calling the pipeline does; or the guide cannot be had, or the latents are none of `count`
                pictures of this model.
        """
        size = self.sized(*(size or ()))
        shape = (count, self.process.coordinates.channels, *self.codec.spec.grid(*size))
        require_shape(shape, start, known)
        if known is not None and known.free.all():  # nothing is known
            known = None
        if guide is not None:
            require_alike(self, guide)
        elif settings.guide is not None:
            guide = loaded_guide(self, settings.guide)
        scheduler = make_scheduler(settings.scheduler, self.process) if settings.scheduler else self.scheduler
        Estimates.of(settings, self.process, scheduler)
        steps_of(scheduler, settings.steps, self.device, settings.spacing, settings.eta)
        label = label_rows(self.classes, labels, count)
        require_steered(label, settings.guidance, guide)

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
