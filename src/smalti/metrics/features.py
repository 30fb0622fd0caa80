"""What a network sees in pictures, which are brought to its size."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Num, UInt8
from PIL import Image
from torch import Tensor

from smalti.errors import SmaltiError
from smalti.iterables import batched
from smalti.metrics.networks import INPUT_SIZE, open_network
from smalti.pixels import GREY_LEVELS
from smalti.progress import Progress
from smalti.threads import on_cores

# Figures are called FID and KID only with the network that these names stand for.
_INCEPTION = "inception-2015-12-05"
_SHORT_NAMES = {"mobilenet_v2_imagenet": "MNv2"}
_BATCH = 32


def resize(pixels: Num[Tensor, "C H W"], size: int = INPUT_SIZE) -> Float[Tensor, "C size size"]:
    """Resize as clean-fid does (Parmar et al. 2022): Pillow's bicubic filter with antialiasing, each channel as floats.

    The result lies in 0..255 and is not rounded.
    """
    channels = [
        np.asarray(Image.fromarray(channel).resize((size, size), Image.Resampling.BICUBIC))
        for channel in pixels.float().numpy()
    ]
    return torch.from_numpy(np.stack(channels)).clamp(0, GREY_LEVELS)


class FeatureNetwork:
    """A TorchScript file that is called as `net(uint8 (B, 3, H, W), return_features=True)` and returns (B, d).

    It is a program, and can do whatever this one can: take it from where you would take a program. A folder of
    `transformers` with `model.safetensors`, such as those of DINOv2 and CLIP, is none.

    With `inception-2015-12-05.pt` the figures are FID and KID; with any other network they are named after it.
    """

    def __init__(self, path: str | Path, device: torch.device | str = "cpu"):
        """Load a feature network.

        Raises:
            SmaltiError: there is no such file or folder, or it is neither.
        """
        path = Path(path)
        self._net = open_network(path, device)
        self._origin = path.absolute(), device
        self._device = device
        self.file = path.name
        own = path.resolve().name if path.is_dir() else path.stem
        short = _SHORT_NAMES.get(own, own)
        standard = own.startswith(_INCEPTION) and not path.is_dir()
        self.frechet_name, self.kernel_name = ("FID", "KID") if standard else (f"FD-{short}", f"KID-{short}")

    def __reduce__(self) -> tuple[type["FeatureNetwork"], tuple[Path, torch.device | str]]:
        """Another process loads the file itself."""
        return FeatureNetwork, self._origin

    @torch.inference_mode()
    def __call__(
        self, images: Iterable[Tensor], *, total: int | None = None, desc: str = "looking at pictures"
    ) -> Float[Tensor, "N d"]:
        """The features of all images, as float32; grey ones are shown as three equal channels.

        Raises:
            SmaltiError: there are no images, or the network cannot be called as described.
        """
        found = []
        with Progress(total=total, desc=desc, unit="image") as bar:
            for batch in batched(images, _BATCH):
                try:
                    features = self._looked_at(batch)
                except torch.OutOfMemoryError:
                    raise
                except (RuntimeError, ValueError) as error:
                    reason = str(error).strip().splitlines()[-1][:120]
                    raise SmaltiError(
                        f"{self.file}: cannot be called as {self._net.called} ({reason}); name another feature network."
                    ) from error
                if not features.isfinite().all():
                    raise SmaltiError(
                        f"{self.file}: gives features that are no finite numbers; name another feature network."
                    )
                found.append(features.float().cpu())
                bar.update(len(batch))
        if not found:
            raise SmaltiError("there are no pictures to measure; give some.")
        return torch.cat(found)

    def _looked_at(self, batch: Sequence[UInt8[Tensor, "_ _ _"]]) -> Float[Tensor, "B d"]:
        """The features of some images; a CPU's cores have a part of them each."""
        if torch.device(self._device).type != "cpu":
            return self._features(torch.stack(on_cores(self._prepared, batch)))
        parts = list(batched(batch, -(-len(batch) // torch.get_num_threads())))
        return torch.cat(on_cores(lambda part: self._features(torch.stack(list(map(self._prepared, part)))), parts))

    def _prepared(self, pixels: UInt8[Tensor, "C H W"]) -> UInt8[Tensor, "3 S S"]:
        """A picture at the size of the network's input."""
        return resize(pixels.expand(3, -1, -1), self._net.size).round().to(torch.uint8)

    def _features(self, pixels: UInt8[Tensor, "B 3 S S"]) -> Float[Tensor, "B d"]:
        features = self._net(pixels.to(self._device))
        if not isinstance(features, Tensor) or features.ndim != 2:
            raise RuntimeError("it returned no features (B, d)")
        return features

    def differentiable(self, pixels: Float[Tensor, "B C H W"]) -> Float[Tensor, "B d"]:
        """The features of pictures as they are, not resized, with gradients towards their pixels.

        Raises:
            SmaltiError: the network does not take such pictures.
        """
        try:
            return self._net(pixels.expand(-1, 3, -1, -1)).float()
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[-1][:120]
            raise SmaltiError(
                f"{self.file}: cannot be called on floats (B, 3, H, W) of {pixels.shape[2]}x{pixels.shape[3]} pixels "
                f"({reason}); name another feature network."
            ) from error
