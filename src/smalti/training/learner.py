"""A training step, and all that it changes: a network, its optimizer, and the average of its weights."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import count
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from diffusers.training_utils import EMAModel
from jaxtyping import Float
from torch import Tensor, nn

from smalti.devices import computes_in_bf16, join_processes, keep_memory, put
from smalti.errors import SmaltiError
from smalti.model_folder import Run
from smalti.nets import BatchDropout
from smalti.processes import cores
from smalti.random import keyed_seed
from smalti.training.ahead import Ahead, Batch, Batches
from smalti.training.checkpoints import load_checkpoint, save_checkpoint
from smalti.training.levels import LossByLevel
from smalti.training.optimizer import Optimizer
from smalti.training.settings import TrainSettings

_MOST_AHEAD = 8  # threads that make batches

Losses = Callable[[nn.Module, Batch], dict[str, Float[Tensor, " B"]]]
"""The terms of the loss, summed as they are, one number an image each."""


class Learner:
    """A network while it learns, in all processes of this run, with channels-last weights."""

    def __init__(self, model: nn.Module, losses: Losses, settings: TrainSettings, device: str | None = None):
        """Take a network into training.

        Raises:
            SmaltiError: there is no such device, the batch does not divide among the processes, or the network cannot
                compute activations again.
        """
        here = join_processes(device).device
        if here.type == "cpu":
            keep_memory()
        self.precision = settings.precision
        if self.precision == "auto":
            self.precision = "bf16" if computes_in_bf16(here) else "fp32"
        self._dtype = torch.bfloat16 if self.precision == "bf16" else torch.float32
        sharing = DistributedDataParallelKwargs(gradient_as_bucket_view=True)
        # Mixed precision of accelerate's own would copy each output of a network to float32.
        self.accelerator = Accelerator(cpu=here.type == "cpu", mixed_precision="no", kwargs_handlers=[sharing])
        if settings.batch_size % self.accelerator.num_processes:
            raise SmaltiError(
                f"a batch of {settings.batch_size} images does not divide among "
                f"{self.accelerator.num_processes} processes."
            )
        self.losses = losses
        self.settings = settings
        if settings.recompute:
            if not getattr(model, "_supports_gradient_checkpointing", False):
                raise SmaltiError(
                    f"a {type(model).__name__} cannot compute its activations again; leave --recompute out."
                )
            cast(Any, model).enable_gradient_checkpointing()
        # Convolutions run faster on channels-last weights.
        self.model = cast(Any, model).to(self.accelerator.device, memory_format=torch.channels_last).train()
        self._wrapped = self.accelerator.prepare_model(self.model)  # which may move the weights
        self._dropouts = [module for module in model.modules() if isinstance(module, BatchDropout)]
        self.parameters = list(self.model.parameters())
        self.optimizer = Optimizer(self.model, settings.optimizer, settings.weight_decay, self._dtype)
        decay = 0.5 ** (settings.batch_size / settings.ema_halflife)
        self.ema = EMAModel(self.parameters, decay=decay, foreach=True)
        self._levels = LossByLevel(self.accelerator.device)
        self.halvings = 0
        """How often the learning rate was halved, since the loss was no longer finite."""
        self.earlier: list[int] = []
        """Images that earlier parts of the run ended at, where it was extended."""
        # A processor has nothing to spare for making batches while it computes; an accelerator would wait for them.
        self._ahead = Ahead(0 if here.type == "cpu" else min(_MOST_AHEAD, cores()))

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes."""
        return self.accelerator.is_main_process

    @property
    def is_alone(self) -> bool:
        """Whether there is no other process."""
        return self.accelerator.num_processes == 1

    def largest(self, number: int) -> int:
        """The largest of the numbers of all processes, which all have to ask for it."""
        if self.is_alone:
            return number
        here = torch.tensor([number], device=self.accelerator.device)
        return int(cast(Tensor, self.accelerator.gather(here)).max())

    def load(self, run: Run, begun: dict[str, Any]) -> int:
        """Go on from the newest checkpoint of a run; return the image that it has come to, 0 without one.

        Raises:
            SmaltiError: it is damaged, or was begun otherwise.
        """
        image, self.halvings, self.earlier = load_checkpoint(run, self.model, self.ema, self.optimizer, begun)
        return image

    def save(self, run: Run, image: int, begun: dict[str, Any]) -> None:
        """Write a checkpoint."""
        processes = self.accelerator.num_processes
        state = (self.model, self.ema, self.optimizer, begun, processes, self.halvings, self.earlier)
        save_checkpoint(run, image, *state)

    def is_finite(self) -> bool:
        """Whether all weights, and their averages, are numbers."""
        both = (*self.parameters, *self.ema.shadow_params)
        return bool(torch.stack([tensor.detach().isfinite().all() for tensor in both]).all())

    def learning_rate_at(self, image: int) -> float:
        """That of the settings in the part of the run that this is, halved as often as it had to be."""
        return self.settings.learning_rate_at(image, self.earlier[-1] if self.earlier else 0) * 0.5**self.halvings

    def step(self, batches: Batches, image: int) -> dict[str, Tensor]:
        """Learn from the batch that starts at `image`; return the terms of the loss, the loss, and its gradient's norm.

        Each process asks for images of its own alone; figures are its own too (`mean_of_all`).
        """
        rank = self.accelerator.process_index
        # Seeding each step keeps a resumed run the same run.
        torch.manual_seed(keyed_seed(self.settings.seed, f"step/{rank}", image))
        parts = [self._learn(batches, image, rows) for rows in self._parts()]
        figures = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        norm = cast(Tensor, self.accelerator.clip_grad_norm_(self.parameters, self.settings.clip))
        self.optimizer.step(self.learning_rate_at(image))
        self.ema.step(self.parameters)
        return {**figures, "loss": figures["loss"].mean(), "gradient_norm": norm}

    def _learn(self, batches: Batches, image: int, rows: range) -> dict[str, Float[Tensor, " B"]]:
        """Add the gradient of some rows of the batch that starts at `image`; the terms of their loss, and the loss."""
        size, share = self.settings.batch_size, self.settings.batch_size // self.accelerator.num_processes
        for number, module in enumerate(self._dropouts):
            seed = keyed_seed(self.settings.seed, f"dropout/{number}", image)
            module.draw(seed, slice(rows.start, rows.stop, rows.step), size)
        batch = put(self._ahead(batches, self._following(image, rows)), self.accelerator.device)
        last = rows.stop >= size  # with which processes share their gradients
        with nullcontext() if last else self.accelerator.no_sync(self._wrapped):
            with torch.autocast(self.accelerator.device.type, self._dtype, enabled=self._dtype == torch.bfloat16):
                terms = self.losses(self._wrapped, batch)
            each = torch.stack(list(terms.values())).sum(0)
            self.accelerator.backward(each.sum() / share)
        if "position" in batch:
            self._levels.add(batch["position"], each)
        return {**terms, "loss": each.detach()}

    def _parts(self) -> list[range]:
        """The rows of a batch that this process has, as many at a time as it works on at once."""
        rank, ranks, size = self.accelerator.process_index, self.accelerator.num_processes, self.settings.batch_size
        step = ranks * (self.settings.at_once or size)
        return [range(first, min(first + step, size), ranks) for first in range(rank, size, step)]

    def _following(self, image: int, rows: range) -> Iterator[range]:
        """The numbers of the images of a part of a batch, and of all that come after it in this run."""
        parts = self._parts()
        for first in count(image, self.settings.batch_size):
            if first > image and first >= self.settings.images:
                return
            for part in parts[parts.index(rows) :] if first == image else parts:
                yield range(first + part.start, first + part.stop, part.step)

    def mean_of_all(self, figures: dict[str, Tensor]) -> dict[str, float]:
        """The mean of each figure over all processes, which all have to ask for."""
        together = self.accelerator.reduce(torch.stack(list(figures.values())), "mean")
        return dict(zip(figures, cast(Tensor, together).tolist(), strict=True))

    def take_levels(self) -> LossByLevel:
        """The loss by level of noise since it was last taken, of all processes, which all have to ask for it.

        It is of the images whose batches say at which `position` on the noise schedule they are.
        """
        taken, self._levels = self._levels, LossByLevel(self.accelerator.device)
        taken.totals = cast(Tensor, self.accelerator.reduce(taken.totals, "sum"))
        return taken

    @contextmanager
    def averaged(self) -> Iterator[nn.Module]:
        """The network with its averaged weights, for as long as the block lasts."""
        self.ema.store(self.parameters)
        self.ema.copy_to(self.parameters)
        try:
            yield self.model.eval()
        finally:
            self.ema.restore(self.parameters)
            self.model.train()

    def finish(self) -> nn.Module:
        """The network with its averaged weights, for good and without autocast."""
        self.ema.copy_to(self.parameters)
        if self.settings.recompute:
            cast(Any, self.model).disable_gradient_checkpointing()
        return self.accelerator.unwrap_model(self._wrapped, keep_fp32_wrapper=False).eval()
