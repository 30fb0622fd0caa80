"""Training the convolutional deblocker of a codec: pairs of a photo's crop and what the codec makes of it."""

import copy
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from smalti.codec import Codec
from smalti.codec.deblocking import make_deblocker
from smalti.devices import fast, join_processes
from smalti.errors import require_at_least
from smalti.model_folder import Run
from smalti.training.crops import CropBatches, hold_photos
from smalti.training.learner import Batch, Losses
from smalti.training.loop import train
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

    Codebooks and latents stay as they are, and the codec where it is: only decoding changes. `out`, if given, gets
    `metrics.jsonl`.

    Raises:
        SmaltiError: the images do not match the codec, or all are smaller than a crop.
    """
    crop = settings.crop_side, settings.crop_side
    photos = hold_photos(images, codec, crop, progress)
    training = settings.training(seed)
    kind, width, blocks = "convolutional", settings.network_width, settings.network_blocks
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = make_deblocker(kind, codec.spec, width, blocks)
    plain = copy.deepcopy(codec)
    plain.add_deblocker("none")
    with tempfile.TemporaryDirectory(prefix="smalti-") as scratch:
        run = Path(scratch)
        batches = CropBatches(photos, crop, seed)
        losses = deblocking_loss(plain.to(join_processes(device).device))
        train(net, batches, losses, training, run, device=device, progress=progress, desc="training the deblocker")
        if out is not None:
            Run(out).metrics.write_bytes(Run(run).metrics.read_bytes())
    codec.add_deblocker(kind, width, blocks).load_state_dict(net.state_dict())
    codec.deblocker.to(codec.codebooks.device)
    return codec.eval()


def deblocking_loss(codec: Codec) -> Losses:
    """Mean squared error of net(decode(encode(x))) for each crop, in units of 16 grey levels."""

    def losses(net: nn.Module, batch: Batch) -> dict[str, Float[Tensor, " B"]]:
        pixels = batch["pixels"]
        with torch.autocast(pixels.device.type, enabled=False):  # codes must be those of the codec as it will be used
            decoded = codec.decode_float(codec.encode(pixels), (pixels.shape[2], pixels.shape[3]))
        with fast(pixels.device):
            better = net(decoded.contiguous(memory_format=torch.channels_last))
        error = (better.float() - codec.pixel_format.levels(pixels)) / ERROR_SCALE
        return {"squared_error": error.square().mean((1, 2, 3))}

    return losses
