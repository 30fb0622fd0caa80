"""Training the convolutional deblocker of a codec: pairs of a photo's crop and what the codec makes of it."""

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from tqdm import tqdm

from smalti.codec import Codec
from smalti.devices import native_bf16
from smalti.files import SmaltiError, require_at_least
from smalti.nets import Refiner
from smalti.random import keyed_order, keyed_uniform
from smalti.training.loop import Batch, train
from smalti.training.settings import TrainSettings

_MOST_BYTES = 2**30  # of photos held while training
_MOST_SIDE = 768  # pixels: of more photos something is worth more than of few photos all
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
    photos = _hold(images, codec, settings.crop_side, progress)
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


class CropBatches:
    """The batch that starts at crop n: crops of photos at any place, mirrored and turned, keyed by their numbers."""

    def __init__(self, photos: list[UInt8[Tensor, "C H W"]], side: int, settings: TrainSettings):
        self.photos = photos
        self.side = side
        self.settings = settings
        self._order = lru_cache(maxsize=2)(lambda epoch: keyed_order(self.settings.seed, epoch, len(photos)))

    def __call__(self, n: int) -> Batch:
        """Tensor pixels (B, C, crop, crop), uint8."""
        numbers = range(n, n + self.settings.batch_size)
        drawn = keyed_uniform(self.settings.seed, "crop", numbers, (4,))
        return {
            "pixels": torch.stack(
                [self._crop(number, *chance) for number, chance in zip(numbers, drawn.tolist(), strict=True)]
            )
        }

    def _crop(self, number: int, down: float, across: float, mirror: float, turn: float) -> UInt8[Tensor, "C s s"]:
        photo = self.photos[self._order(number // len(self.photos))[number % len(self.photos)]]
        top = int(down * (photo.shape[1] - self.side + 1))
        left = int(across * (photo.shape[2] - self.side + 1))
        crop = photo[:, top : top + self.side, left : left + self.side]
        crop = crop.flip(2) if mirror < 0.5 else crop
        return crop.transpose(1, 2) if turn < 0.5 else crop


def deblocking_loss(codec: Codec) -> Callable[[nn.Module, Batch], dict[str, Float[Tensor, " B"]]]:
    """Mean squared error of net(decode(encode(x))) for each crop, in units of 16 grey levels."""

    def losses(net: nn.Module, batch: Batch) -> dict[str, Float[Tensor, " B"]]:
        pixels = batch["pixels"]
        codec.to(pixels.device)
        with torch.autocast(pixels.device.type, enabled=False):  # codes must be those of the codec as it will be used
            decoded = codec.decode_float(codec.encode(pixels), (pixels.shape[2], pixels.shape[3]))
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=native_bf16(pixels.device)):
            better = net(decoded.contiguous(memory_format=torch.channels_last))
        error = (better.float() - pixels.float()) / _SCALE
        return {"squared_error": error.square().mean((1, 2, 3))}

    return losses


def _hold(images: Iterable[Tensor], codec: Codec, crop: int, progress: bool) -> list[UInt8[Tensor, "C H W"]]:
    """Photos that a crop fits into; of large ones a square from the middle, so that memory holds many."""
    held, size = [], 0
    for image in tqdm(images, desc="reading photos", unit="image", disable=not progress):
        if image.shape[0] != codec.spec.planes:
            raise SmaltiError(f"an image has {image.shape[0]} planes and {codec.spec} is for {codec.spec.planes}.")
        if min(image.shape[1:]) < crop:
            continue
        most = max(_MOST_SIDE, crop)
        top, left = (max(0, side - most) // 2 for side in image.shape[1:])
        held.append(image[:, top : top + most, left : left + most].clone())
        size += held[-1].numel()
        if size > _MOST_BYTES:
            break
    if not held:
        raise SmaltiError(f"no image is as large as a crop of {crop} pixels; give larger ones, or set a smaller crop.")
    return held
