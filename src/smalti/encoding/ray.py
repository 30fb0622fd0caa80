"""The engine `ray`: workers of a Ray cluster, or of one that is started on this machine."""

import os
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any

import cloudpickle

from smalti.encoding.work import Encoded, Part, Work
from smalti.errors import SmaltiError
from smalti.processes import cores

__all__ = ["encode_on_ray"]

_TRIES_AGAIN = 3  # of a part whose worker is lost, with its machine or for want of memory


def encode_on_ray(
    work: Work, parts: Sequence[Part], workers: int | None, told: Callable[[int], object]
) -> Generator[Encoded, None, None]:
    """The latents of parts, in any order, by workers of a core each; left out, as many as Ray has.

    The cluster is the one that RAY_ADDRESS names or this machine is part of; where there is none, one is started here
    for as long as it takes. Images and codec are sent to each machine once. Latents come back here and are written
    here; the images have to be within reach of every machine, under the same name.

    Raises:
        SmaltiError: what `Work` raises; there is no Ray, or not so many cores; or workers are lost again and again.
    """
    try:
        import ray
        from ray.exceptions import RayError, RayTaskError
        from ray.util import ActorPool
    except ImportError as error:
        raise SmaltiError("--engine ray takes the package ray; pip install ray.") from error
    ours = not ray.is_initialized()
    try:
        if ours:
            _join(ray, workers)
        there = int(ray.cluster_resources().get("CPU", 0))
        if (workers or 1) > there:
            raise SmaltiError(f"{workers or 1} workers are more than the cores of the cluster, {there}; take fewer.")
        sent = [ray.put(cloudpickle.dumps(replace(work, threads=1)))]  # in a list Ray sends its name alone
        worker = ray.remote(num_cpus=1, max_restarts=_TRIES_AGAIN, max_task_retries=_TRIES_AGAIN)(_Worker)
        pool: Any = ActorPool([worker.remote(sent) for _ in range(min(workers or there, len(parts)))])
        for encoded in pool.map_unordered(lambda actor, part: actor.encode.remote(part), parts):
            told(len(encoded.part))
            yield encoded
    except RayTaskError as error:
        raise (error.cause if isinstance(error.cause, Exception) else error) from None
    except (RayError, ConnectionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SmaltiError(f"Ray cannot go on ({reason}); mend the cluster, and go on with --resume.") from error
    finally:
        if ours:
            ray.shutdown()


def _join(ray: Any, workers: int | None) -> None:
    quiet = {"log_to_driver": False, "logging_level": "error"}
    try:
        ray.init(address="auto", **quiet)
    except ConnectionError:
        if "RAY_ADDRESS" in os.environ:
            raise
        ray.init(address="local", num_cpus=workers or cores(), include_dashboard=False, **quiet)


class _Worker:
    """What Ray keeps on a core."""

    def __init__(self, sent: list[Any]):
        import ray

        self._work: Work = cloudpickle.loads(ray.get(sent[0]))

    def encode(self, part: Part) -> Encoded:
        """The latents of a part."""
        return self._work(part)
