"""What a training run can be told. Amounts are in images, counted with repetition."""

from dataclasses import dataclass
from typing import Literal

from smalti.errors import SmaltiError, require_seed
from smalti.training.optimizer import OptimizerName

OnNonFinite = Literal["stop", "halve"]
"""What becomes of a run whose loss is no longer finite."""
Precision = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainSettings:
    """How to train; the defaults suit a small network for minutes to hours on a CPU or one GPU."""

    images: int = 100_000
    """Images to train on, counted with repetition."""
    batch_size: int = 64
    """Images a step, over all processes together."""
    at_once: int | None = None
    """Images that a process works on at once, where its memory is short: it goes through its share of a batch in parts,
    and the step is the same but for the order of sums. Without it, all of its share."""
    recompute: bool = False
    """Compute activations again on the way back instead of keeping them: less memory, for about a third more time."""
    precision: Precision = "auto"
    """What a network computes in: fp32, bf16, or (auto) bf16 where the device has instructions of its own for it."""
    optimizer: OptimizerName = "muon"
    """muon, for all weights that are matrices, or adamw."""
    learning_rate: float = 4e-3
    """Peak learning rate; this suits Muon and the narrowest network. Wider ones want it inversely to their width, AdamW
    about half of it."""
    warmup: int = 3_200
    """Images over which the learning rate rises from 0."""
    decay: float = 0.3
    """Last share of the run over which the learning rate falls linearly to 0."""
    weight_decay: float = 0.01
    """Decoupled weight decay."""
    clip: float = 1.0
    """Largest norm of the gradient; longer ones are shortened to it."""
    ema_halflife: int = 5_000
    """Images after which a weight's share in the averaged weights has halved."""
    label_dropout: float = 0.1
    """Share of images shown without their label, so that guidance works at sampling."""
    checkpoint_every: int = 50_000
    """Images between checkpoints; the model and a sample grid are written then as well."""
    log_every: int = 640
    """Images between lines of metrics.jsonl."""
    on_non_finite: OnNonFinite = "stop"
    """What to do when the loss is no longer finite: "stop", or "halve": go back to the last checkpoint, and on from
    there at half the learning rate; a run that was stopped can be resumed so."""
    seed: int = 0
    """Everything drawn in training follows from this and the images' numbers."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with.

        Raises:
            SmaltiError: a setting that is out of range.
        """
        require_seed(self.seed)
        for name in ("images", "batch_size", "learning_rate", "clip", "ema_halflife", "checkpoint_every", "log_every"):
            if not getattr(self, name) > 0:
                raise SmaltiError(f"{name.replace('_', ' ')} is {getattr(self, name)}; it must be more than 0.")
        if self.at_once is not None and not 0 < self.at_once < self.batch_size:
            raise SmaltiError(
                f"at once is {self.at_once}; it must be at least 1 and less than the batch size of {self.batch_size}."
            )
        for name in ("decay", "label_dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise SmaltiError(f"{name.replace('_', ' ')} is {getattr(self, name)}; it is a share, from 0 to 1.")

    def learning_rate_at(self, image: int, began: int = 0) -> float:
        """The learning rate of the step that begins at `image`: up, level, and down to 0 at the end.

        A run that was extended after its rate had begun to fall is in another part, which `began` at an image: there
        the rate rises again over the warm-up, and falls over the last share of that part.
        """
        rise = min(1.0, (image - began + self.batch_size) / max(self.warmup, 1))
        fall = min(1.0, (self.images - image) / max(self.decay * (self.images - began), 1))
        return self.learning_rate * rise * fall
