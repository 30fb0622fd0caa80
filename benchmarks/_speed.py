"""What timings share: ways in turns, so that what else the machine does meets all alike; counted and measured work."""

from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from smalti.devices import computes_in_bf16, fast
from smalti.training import Batch, Losses

_SIDES = {"cpu": 1024, "cuda": 8192}  # of a matrix
_SECONDS = 1.0


def in_turns(ways: Mapping[str, Callable[[], object]], repeats: int, *, warm: bool = True) -> dict[str, list[float]]:
    """Seconds of each way, `repeats` times in turn, after one run of each that does not count."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in tqdm(range(-warm, repeats), desc="turns"):
        for way, work in ways.items():
            began = perf_counter()
            work()
            if turn >= 0:
                times[way].append(perf_counter() - began)
    return times


def spread(times: list[float]) -> tuple[float, float]:
    """The median, and the range as a share of it."""
    return median(times), (max(times) - min(times)) / median(times)


def matrix_rate(device: torch.device) -> float:
    """Floating-point operations a second of a product of matrices, as training computes it there."""
    side = _SIDES.get(device.type, 1024)
    kind = torch.bfloat16 if computes_in_bf16(device) else torch.float32
    one, other = torch.randn(2, side, side, dtype=kind, device=device)

    def product() -> None:
        torch.mm(one, other)[0, 0].item()  # waits for the device

    product()
    began, products = perf_counter(), 0
    while perf_counter() - began < _SECONDS:
        product()
        products += 1
    return 2 * side**3 * products / (perf_counter() - began)


def operations(net: nn.Module, losses: Losses, batch: Batch, device: torch.device) -> float:
    """Floating-point operations of a picture's forward and backward pass."""
    with FlopCounterMode(display=False) as counted, fast(device):
        torch.stack(list(losses(net, batch).values())).sum().backward()
    return counted.get_total_flops() / next(iter(batch.values())).shape[0]
