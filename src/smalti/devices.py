"""Which device to work on, and in how many processes."""

import ctypes
import platform

import torch
from accelerate import PartialState
from torch import Tensor

from smalti.errors import SmaltiError

__all__ = ["computes_in_bf16", "exact", "fast", "find_device", "join_processes", "keep_memory", "put"]

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # parameters of mallopt(3)


def find_device(name: str | None = None) -> torch.device:
    """The device called `name` ("cpu", "cuda", "cuda:1", "mps"); without a name the accelerator, if there is one.

    Raises:
        SmaltiError: there is no such device here.
    """
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if name is None:
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise SmaltiError(f"'{name}' is no device; take cpu, or cuda where there is one.") from None
    if device.type == "cpu":
        return device
    if (
        accelerator is None
        or device.type != accelerator.type
        or (device.index or 0) >= torch.accelerator.device_count()
    ):
        raise SmaltiError(f"this machine has no device {name}; leave --device out to use what there is.")
    return device


def computes_in_bf16(device: torch.device) -> bool:
    """Whether a device has instructions of its own for bfloat16, and so is faster in it than in float32."""
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def fast(device: torch.device) -> torch.autocast:
    """Autocast to bfloat16 where a device computes faster in it than in float32, and no autocast elsewhere."""
    return torch.autocast(device.type, torch.bfloat16, enabled=computes_in_bf16(device))


def keep_memory() -> None:
    """Let this process keep the memory that it frees, for its next step, where the C library is glibc.

    Large blocks are otherwise given back to the system, which has to clear each page of the next one: a training step
    on a processor takes a quarter longer.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        library.mallopt(_MMAP_MAX, 0)


def join_processes(name: str | None = None) -> PartialState:
    """The processes of this run, one or those of `accelerate launch`, each on its device of the kind called `name`.

    Raises:
        SmaltiError: there is no such device here.
    """
    device = find_device(name)
    if device.index is not None:
        torch.accelerator.set_device_index(device.index)
    return PartialState(cpu=device.type == "cpu")


def exact(device: torch.device) -> torch.dtype:
    """The floats of a device that are exact to the most digits."""
    return torch.float32 if device.type == "mps" else torch.float64


def put(tensors: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Tensors on a device; those of float64 as exact as it can hold them."""
    return {
        name: tensor.to(device, exact(device) if tensor.dtype == torch.float64 else tensor.dtype)
        for name, tensor in tensors.items()
    }
