"""Feature networks as they lie on disk: TorchScript, which is a program, or weights of `transformers`."""

from abc import ABC, abstractmethod
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn

from smalti.errors import SmaltiError, readable
from smalti.files import read_json
from smalti.pixels import GREY_LEVELS

INPUT_SIZE = 299
"""Side of the pictures that Inception is shown."""
_MOST_SIZE = 2048
_PROCESSOR = "preprocessor_config.json"


class Network(ABC):
    """What sees pictures."""

    size: int
    """Side of the pictures that it is shown, in pixels."""
    called: str
    """How it is called, in words."""

    @abstractmethod
    def __call__(self, pixels: Num[Tensor, "B 3 H W"]) -> Any:
        """The features (B, d) of pictures in 0..255, if it is what it should be."""


def open_network(path: Path, device: torch.device | str) -> Network:
    """Load a file of TorchScript, or a folder of `transformers` with weights as safetensors.

    Raises:
        SmaltiError: there is no such thing, or it is neither.
    """
    if path.is_dir():
        return Pretrained(path, device)
    if path.is_file():
        return Scripted(path, device)
    raise SmaltiError(
        f"{path}: there is no such file or folder; name a TorchScript feature network, such as that of FID, or a "
        "folder of transformers, such as that of DINOv2."
    )


class Scripted(Network):
    """TorchScript that is called as `net(pixels, return_features=True)`. It can do whatever this program can."""

    size = INPUT_SIZE
    called = "net(uint8 (B, 3, H, W), return_features=True)"

    def __init__(self, path: Path, device: torch.device | str):
        try:
            self._net = torch.jit.load(str(path), map_location=device).eval()
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0][:120]
            raise SmaltiError(f"{path}: cannot be loaded as TorchScript ({reason}); name another file.") from error
        for parameter in self._net.parameters():  # gradients, if any, are of pixels
            parameter.requires_grad_(False)

    def __call__(self, pixels: Num[Tensor, "B 3 H W"]) -> Any:
        """What it returns, which should be features (B, d)."""
        return self._net(pixels, return_features=True)


class Pretrained(Network):
    """An encoder of pictures of `transformers`: what it says of a picture as a whole, its pooled output.

    Pictures are brought to the size and the mean that its `preprocessor_config.json` names, whole: nothing is cut off.
    """

    called = "an encoder of pictures with a pooled output"

    def __init__(self, folder: Path, device: torch.device | str):
        self.size, mean, deviation = _seen(folder)
        self._mean, self._deviation = (torch.tensor(each, device=device)[:, None, None] for each in (mean, deviation))
        self._net = _loaded(folder).eval().to(device)
        self._net.requires_grad_(False)

    def __call__(self, pixels: Num[Tensor, "B 3 H W"]) -> Float[Tensor, "B d"]:
        """Its features: of networks of pictures and words those that both share."""
        values = (pixels.float() / GREY_LEVELS - self._mean) / self._deviation
        see: Any = getattr(self._net, "get_image_features", self._net)
        found = see(pixel_values=values)
        found = found if isinstance(found, Tensor) else found.pooler_output
        return found.flatten(1)


def _loaded(folder: Path) -> nn.Module:
    try:
        transformers: Any = import_module("transformers")
    except ImportError as error:
        raise SmaltiError(f"{folder}: takes the package transformers; pip install transformers.") from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        net, told = transformers.AutoModel.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, output_loading_info=True
        )
    except MemoryError:
        raise
    except Exception as error:  # of files of any content
        reason = readable(" ".join(str(error).split())[:150]) or type(error).__name__
        raise SmaltiError(f"{folder}: cannot be loaded by transformers ({reason}); name another folder.") from error
    missing = sorted({*told["missing_keys"], *(str(key) for key in told["mismatched_keys"])})
    if missing:  # which would have been drawn by chance
        raise SmaltiError(f"{folder}: lacks weights ({', '.join(missing[:3])}); name another network.")
    return net


def _seen(folder: Path) -> tuple[int, list[float], list[float]]:
    """Side, mean and deviation of the pictures that a network was trained on.

    Raises:
        SmaltiError: the folder does not say so.
    """
    said = read_json(folder / _PROCESSOR)
    sides = said.get("crop_size") if said.get("do_center_crop") else said.get("size")
    side = sides.get("height", sides.get("shortest_edge")) if isinstance(sides, dict) else sides
    mean, deviation = _of_colours(said.get("image_mean")), _of_colours(said.get("image_std"))
    if isinstance(side, int) and 0 < side <= _MOST_SIZE and mean and deviation and min(deviation) > 0:
        return side, mean, deviation
    raise SmaltiError(f"{folder / _PROCESSOR}: names no size, mean and deviation of pictures; name another network.")


def _of_colours(values: Any) -> list[float] | None:
    """A number for each of three colours, if that is what it is."""
    whole = isinstance(values, list) and len(values) == 3 and all(isinstance(each, int | float) for each in values)
    return [float(each) for each in values] if whole else None
