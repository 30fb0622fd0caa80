"""What the trainings of a refiner and of a deblocker share: a network that mends what coding leaves of photos."""

from dataclasses import dataclass
from typing import Any

from smalti.errors import SmaltiError, require_at_least
from smalti.training.settings import TrainSettings

ERROR_SCALE = 16.0
"""Grey levels: what coding does to a pixel is of about this size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MendingSettings:
    """The network, and how fast it learns."""

    network_width: int = 48
    """Channels of the network."""
    network_blocks: int = 4
    """Residual blocks of the network, two convolutions each."""
    learning_rate: float = 3e-3
    """Peak learning rate of Muon."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained.

        Raises:
            SmaltiError: a setting that is out of range.
        """
        require_at_least(1, network_width=self.network_width, network_blocks=self.network_blocks)
        if not self.learning_rate > 0:
            raise SmaltiError(f"learning rate is {self.learning_rate}; it must be more than 0.")

    def loop(self, pictures: int, pictures_a_step: int, seed: int, **more: Any) -> TrainSettings:
        """The settings of a training loop over so many pictures."""
        return TrainSettings(
            images=pictures,
            batch_size=pictures_a_step,
            learning_rate=self.learning_rate,
            warmup=min(3_200, pictures // 10),
            decay=0.4,
            weight_decay=0.0,
            ema_halflife=max(pictures_a_step, min(2_000, pictures // 20)),
            log_every=10 * pictures_a_step,
            seed=seed,
            **more,
        )
