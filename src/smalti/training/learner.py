"""A training step, and all that it changes: a network, its optimizer, and the average of its weights."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
from smalti.random import keyed_seed
from smalti.training.checkpoints import load_checkpoint, save_checkpoint
from smalti.training.levels import LossByLevel
from smalti.training.optimizer import Optimizer
from smalti.training.settings import TrainSettings

Batch = dict[str, Tensor]

Batches = Callable[[Sequence[int]], Batch]
"""The images of some running numbers as tensors (B, ...), the same whatever happened before and whoever asks: all that
is drawn at random is in them."""

Losses = Callable[[nn.Module, Batch], dict[str, Float[Tensor, " B"]]]
"""The terms of the loss, summed as they are, one number an image each."""


class Learner:
    """A network while it learns, in all processes of this run: bf16 where it is native, channels-last weights."""

    def __init__(self, model: nn.Module, losses: Losses, settings: TrainSettings, device: str | None = None):
        """Take a network into training.

        Raises:
            SmaltiError: there is no such device, or the batch does not divide among the processes.
        """
        here = join_processes(device).device
        if here.type == "cpu":
            keep_memory()
        precision = "bf16" if computes_in_bf16(here) else "no"
        sharing = DistributedDataParallelKwargs(gradient_as_bucket_view=True)
        self.accelerator = Accelerator(cpu=here.type == "cpu", mixed_precision=precision, kwargs_handlers=[sharing])
        if settings.batch_size % self.accelerator.num_processes:
            raise SmaltiError(
                f"a batch of {settings.batch_size} images does not divide among "
                f"{self.accelerator.num_processes} processes."
            )
        self.losses = losses
        self.settings = settings
        # Convolutions run faster on channels-last weights.
        self.model = cast(Any, model).to(self.accelerator.device, memory_format=torch.channels_last).train()
        self._wrapped = self.accelerator.prepare_model(self.model)  # which may move the weights
        self._dropouts = [module for module in model.modules() if isinstance(module, BatchDropout)]
        self.parameters = list(self.model.parameters())
        self.optimizer = Optimizer(self.model, settings.optimizer, settings.weight_decay)
        decay = 0.5 ** (settings.batch_size / settings.ema_halflife)
        self.ema = EMAModel(self.parameters, decay=decay, foreach=True)
        self._levels = LossByLevel(self.accelerator.device)
        self.halvings = 0
        """How often the learning rate was halved, since the loss was no longer finite."""

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
        image, self.halvings = load_checkpoint(run, self.model, self.ema, self.optimizer, begun)
        return image

    def save(self, run: Run, image: int, begun: dict[str, Any]) -> None:
        """Write a checkpoint."""
        processes = self.accelerator.num_processes
        save_checkpoint(run, image, self.model, self.ema, self.optimizer, begun, processes, self.halvings)

    def is_finite(self) -> bool:
        """Whether all weights, and their averages, are numbers."""
        both = (*self.parameters, *self.ema.shadow_params)
        return bool(torch.stack([tensor.detach().isfinite().all() for tensor in both]).all())

    def learning_rate_at(self, image: int) -> float:
        """That of the settings, halved as often as it had to be."""
        return self.settings.learning_rate_at(image) * 0.5**self.halvings

    def step(self, batches: Batches, image: int) -> dict[str, Tensor]:
        """Learn from the batch that starts at `image`; return the terms of the loss, the loss, and its gradient's norm.

        Each process asks for images of its own alone; figures are its own too (`mean_of_all`).
        """
        rank, ranks = self.accelerator.process_index, self.accelerator.num_processes
        # Seeding each step keeps a resumed run the same run.
        torch.manual_seed(keyed_seed(self.settings.seed, f"step/{rank}", image))
        for number, module in enumerate(self._dropouts):
            module.draw(keyed_seed(self.settings.seed, f"dropout/{number}", image), rank, ranks)
        batch = put(batches(range(image + rank, image + self.settings.batch_size, ranks)), self.accelerator.device)
        with self.accelerator.autocast():
            terms = self.losses(self._wrapped, batch)
        each = torch.stack(list(terms.values())).sum(0)
        if "position" in batch:
            self._levels.add(batch["position"], each)
        loss = each.mean()
        self.accelerator.backward(loss)
        norm = cast(Tensor, self.accelerator.clip_grad_norm_(self.parameters, self.settings.clip))
        self.optimizer.step(self.learning_rate_at(image))
        self.ema.step(self.parameters)
        return {**terms, "loss": loss, "gradient_norm": norm}

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
        return self.accelerator.unwrap_model(self._wrapped, keep_fp32_wrapper=False).eval()
