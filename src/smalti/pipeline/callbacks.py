"""What is called after every step of sampling, as diffusers calls it."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from smalti.errors import SmaltiError
from smalti.pipeline.sampling import OnStep

TENSORS = ("latents", "pred_original_sample")
"""What a callback may ask for: the state after a step, and the clean state (or logits) that the network estimated."""

OnStepEnd = Callable[[Any, int, int, dict[str, Any]], dict[str, Any] | None]
"""Called with the pipeline, the number of the step, the scheduler's time and the tensors asked for, by their names."""


def calling(pipe: Any, callback: OnStepEnd, names: Sequence[str]) -> OnStep:
    """A callback of diffusers' kind, called with tensors of these names, or of those that it names itself.

    Raises:
        SmaltiError: there is no tensor of a name.
    """
    names = getattr(callback, "tensor_inputs", names)
    unknown = sorted(set(names) - set(TENSORS))
    if unknown:
        raise SmaltiError(f"a callback cannot have {', '.join(unknown)}; there are {' and '.join(TENSORS)}.")

    def called(step: int, time: int, state: Tensor, clean: Tensor) -> Tensor:
        there: dict[str, Tensor] = dict(zip(TENSORS, (state, clean), strict=True))
        after = (callback(pipe, step, time, {name: there[name] for name in names}) or {}).get("latents", state)
        if (after.shape, after.dtype) != (state.shape, state.dtype):
            raise SmaltiError(
                f"a callback made the latents {after.dtype} of shape {tuple(after.shape)}; they have to stay "
                f"{state.dtype} of shape {tuple(state.shape)}."
            )
        return after

    return called
