"""The loop of generation: from noise, step by step, to the state that a latent is read off."""

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from smalti.diffusion import Process
from smalti.diffusion.draws import Generators
from smalti.schedulers import Steps

Network = Callable[[Float[Tensor, "B in h w"], Float[Tensor, " B"]], Float[Tensor, "B out h w"]]
"""Inputs and times to outputs: a network with its labels, and maybe guided."""

OnEstimate = Callable[[int, Tensor], None]
"""Called at every step with the scheduler's time and the clean state (or logits) that the network estimates."""


@torch.no_grad()
def sample_state(
    process: Process,
    steps: Steps,
    network: Network,
    noise: Float[Tensor, "B ck h w"],
    *,
    temperature: float | None = None,
    generator: Generators = None,
    on_estimate: OnEstimate | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Tensor:
    """The last state of a process: at each step the network is shown the state, and the scheduler makes the next.

    Args:
        process: what inputs and outputs mean.
        steps: of a scheduler.
        network: what estimates.
        noise: standard normal numbers to begin with.
        temperature: of draws, or None for the expectation.
        generator: of what is drawn on the way.
        on_estimate: told of every estimate.
        progress: wraps the numbers of the steps, to show how far it is.
    """
    state = process.begin(noise, steps.scale)
    previous = None
    for step in progress(range(len(steps))):
        shown = steps.shown(step, state)
        level = steps.level(step, shown)
        out = network(process.inputs(shown, previous), process.time(level)).float()
        clean = process.estimate(out, shown, level, temperature, generator)
        if process.self_conditioning:
            previous = process.estimate(out, shown, level)
        if on_estimate is not None:
            on_estimate(int(steps.times[step]), clean)
        state = steps.take(step, state, clean, generator)
    return state
