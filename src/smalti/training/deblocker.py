"""Training the convolutional deblocker of a codec: pairs of a photo's crop and what the codec makes of it."""

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from smalti.codec import Codec
from smalti.devices import fast
from smalti.files import SmaltiError, require_at_least
from smalti.nets import Refiner
from smalti.training.crops import CropBatches, hold_photos
from smalti.training.loop import Batch, train
from smalti.training.settings import TrainSettings

_SCALE = 16.0  # grey levels: errors are of about this size


@dataclass(frozen=True, kw_only=True, slots=True)
class DeblockerSettings:
    """The network, and how it is trained; the defaults take about five minutes on two cores."""

    network_width: int = 48
    """Channels of the network."""
    network_blocks: int = 4
    """Residual blocks of the network, two convolutions each."""
    crops: int = 32_000
    """Crops of photos to train on."""
    crop_side: int = 96
    """Side of a crop in pixels."""
    crops_a_step: int = 16
    """Crops a training step."""
    learning_rate: float = 1e-3
    """Peak learning rate of AdamW."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained.

        Raises:
            SmaltiError: a setting that is out of range.
        """
        for name in ("network_width", "network_blocks", "crops", "crop_side", "crops_a_step"):
            require_at_least(1, **{name: getattr(self, name)})
        if not self.learning_rate > 0:
            raise SmaltiError(f"learning rate is {self.learning_rate}; it must be more than 0.")

    def training(self, seed: int) -> TrainSettings:
        """The settings of the loop."""
        return TrainSettings(
            images=self.crops,
            batch_size=self.crops_a_step,
            learning_rate=self.learning_rate,
            warmup=min(3_200, self.crops // 10),
            decay=0.4,
            weight_decay=0.0,
            clip=0.5,
            ema_halflife=max(self.crops_a_step, min(2_000, self.crops // 20)),
            checkpoint_every=self.crops,
            log_every=10 * self.crops_a_step,
            seed=seed,
        )


def train_deblocker(
    codec: Codec,
    images: Iterable[Tensor],
    settings: DeblockerSettings = DeblockerSettings(),
    *,
    seed: int = 0,
    out: Path | None = None,
    device: str | None = None,
    progress: bool = True,
) -> Codec:
    """Give `codec` a convolutional deblocker, trained on `images` to least squared error; return the codec.

    Codebooks and latents stay as they are: only decoding changes. `out`, if given, gets `metrics.jsonl`.

    Raises:
        SmaltiError: the images do not match the codec, or all are smaller than a crop.
    """
    photos = hold_photos(images, codec.spec, settings.crop_side, progress)
    training = settings.training(seed)
    codec.add_deblocker("none")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Refiner(codec.spec.planes, codec.spec.patch, settings.network_width, settings.network_blocks)
    with tempfile.TemporaryDirectory(prefix="smalti-") as scratch:
        run = Path(scratch)
        train(
            net,
            CropBatches(photos, settings.crop_side, training),
            deblocking_loss(codec),
            training,
            run,
            device=device,
            progress=progress,
        )
        if out is not None:
            (out / "metrics.jsonl").write_bytes((run / "metrics.jsonl").read_bytes())
    deblocker = codec.to("cpu").add_deblocker("convolutional", settings.network_width, settings.network_blocks)
    assert deblocker is not None
    deblocker.load_state_dict(net.state_dict())
    return codec.eval()


def deblocking_loss(codec: Codec) -> Callable[[nn.Module, Batch], dict[str, Float[Tensor, " B"]]]:
    """Mean squared error of net(decode(encode(x))) for each crop, in units of 16 grey levels."""

    def losses(net: nn.Module, batch: Batch) -> dict[str, Float[Tensor, " B"]]:
        pixels = batch["pixels"]
        codec.to(pixels.device)
        with torch.autocast(pixels.device.type, enabled=False):  # codes must be those of the codec as it will be used
            decoded = codec.decode_float(codec.encode(pixels), (pixels.shape[2], pixels.shape[3]))
        with fast(pixels.device):
            better = net(decoded.contiguous(memory_format=torch.channels_last))
        error = (better.float() - pixels.float()) / _SCALE
        return {"squared_error": error.square().mean((1, 2, 3))}

    return losses
