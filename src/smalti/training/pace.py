"""How fast a network trains here, in one process or in several."""

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from itertools import count
from time import perf_counter

import torch
from torch import nn

from smalti.devices import find_device
from smalti.processes import cores, is_joined, together
from smalti.training.learner import Batches, Learner, Losses
from smalti.training.settings import TrainSettings

_SECONDS = 2.0
_STEPS = 3
_WARM = 2  # steps that allocate and choose kernels
_AS_FAST = 0.9  # processes that are about as fast as threads bear other programs beside them far better
_WORTH_SECONDS = 60  # of training: helpers take some to start, and to be tried

Clock = Callable[[], float]
"""Seconds so far: `perf_counter`, or `process_time` where other programs are at work too."""


def speed(
    net: nn.Module,
    batches: Batches,
    losses: Losses,
    settings: TrainSettings,
    device: str | None = None,
    clock: Clock = perf_counter,
    processes: int = 1,
) -> float:
    """Images a second over a few steps of a network, which is not trained by it."""
    return together(processes, partial(_speed, deepcopy(net), batches, losses, settings, device, clock))


def _speed(
    net: nn.Module, batches: Batches, losses: Losses, settings: TrainSettings, device: str | None, clock: Clock
) -> float:
    learner = Learner(net, losses, settings, device)
    began = clock()
    for step in count():
        if step == _WARM:
            began = clock()
        learner.step(batches, step * settings.batch_size)["loss"].sum().item()  # waits for the device
        # All processes end with the same step, since they go by the same time.
        taken = torch.tensor(clock() - began, device=learner.accelerator.device)
        seconds = learner.mean_of_all({"seconds": taken})["seconds"]
        done = step + 1 - _WARM
        if done > _STEPS and seconds > _SECONDS:
            return done * settings.batch_size / seconds
    raise AssertionError("unreachable: the loop above does not end")


def choose_processes(
    measure: Callable[[int], float], batch_size: int, lasting: Callable[[float], float], device: str | None
) -> tuple[int, float]:
    """In how many processes to train here, and the speed of that in images a second.

    One with all cores is tried, and on a CPU twice as many as long as that is about as fast, with fewer threads each:
    threads wait for each other at every operation, and all of them for one that has to share its core.

    Args:
        measure: the speed of so many processes.
        batch_size: images a step, which divide among processes.
        lasting: how many seconds the run takes at a speed; a short one is left to one process.
        device: see `find_device`.
    """
    best, pace = 1, measure(1)
    fastest = pace
    if lasting(pace) < _WORTH_SECONDS or is_joined() or find_device(device).type != "cpu":
        return best, pace
    while 2 * best <= cores() and batch_size % (2 * best) == 0:
        measured = measure(2 * best)
        if measured < _AS_FAST * fastest:
            break
        best, pace, fastest = 2 * best, measured, max(measured, fastest)
    return best, pace
