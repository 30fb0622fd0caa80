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
from smalti.files import require_at_least
from smalti.training.crops import CropBatches, hold_photos
from smalti.training.loop import Batch, train
from smalti.training.mending import ERROR_SCALE, MendingSettings
from smalti.training.settings import TrainSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class DeblockerSettings(MendingSettings):
    """The network, and how it is trained; the defaults take about five minutes on two cores."""

    crops: int = 32_000
    """Crops of photos to train on."""
    crop_side: int = 96
    """Side of a crop in pixels."""
    crops_a_step: int = 16
    """Crops a training step."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained.

        Raises:
            SmaltiError: a setting that is out of range.
        """
        MendingSettings.__post_init__(self)
        require_at_least(1, crops=self.crops, crop_side=self.crop_side, crops_a_step=self.crops_a_step)

    def training(self, seed: int) -> TrainSettings:
        """The settings of the loop."""
        return self.loop(self.crops, self.crops_a_step, seed, clip=0.5, checkpoint_every=self.crops)


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
        net = settings.network(codec.spec)
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
        error = (better.float() - pixels.float()) / ERROR_SCALE
        return {"squared_error": error.square().mean((1, 2, 3))}

    return losses
