"""What timings share: ways in turns, so that what else the machine does meets all of them alike."""

from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter

from tqdm import tqdm


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
