"""The engine `local`: this process, or several that share the cores of this machine."""

import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from functools import cache
from itertools import islice
from time import monotonic

import cloudpickle
import loky
from loky.process_executor import BrokenProcessPool

from smalti.encoding.work import Encoded, Part, Work
from smalti.errors import SmaltiError
from smalti.processes import begin_helper, cores

__all__ = ["encode_locally"]

_WORTH_SECONDS = 30.0  # that are left to do, for other processes to be started: each takes seconds to begin
_WAITING = 2  # parts that each worker has been given

_sent: list[tuple[bytes, int]] = []  # to a worker: what it does, and the process that it does it for


def encode_locally(
    work: Work, parts: Sequence[Part], workers: int | None, told: Callable[[int], object]
) -> Generator[Encoded, None, None]:
    """The latents of parts, in any order, by processes of a core each, of which this is one.

    Left out, this process does it alone with all cores, for as long as less than half a minute is left to do; where
    more is, there are as many processes as cores.

    Raises:
        SmaltiError: what `Work` raises; or a worker was ended from outside.
    """
    if workers is None and cores() > 1:
        begun = monotonic()
        for done, part in enumerate(parts, start=1):
            yield work(part, told)
            if (len(parts) - done) * (monotonic() - begun) / done > _WORTH_SECONDS:
                parts = parts[done:]
                break
        else:
            return
    helpers = min(workers or cores(), len(parts)) - 1
    if helpers == 0:
        alone = replace(work, threads=1)
        yield from (alone(part, told) for part in parts)
    else:
        yield from _with_helpers(work, parts, helpers, told)


def _with_helpers(
    work: Work, parts: Sequence[Part], helpers: int, told: Callable[[int], object]
) -> Generator[Encoded, None, None]:
    """Parts, done by helpers; and here, which has the cores of all until one of them has begun, as takes seconds."""
    alone = replace(work, threads=1)
    here = replace(work, threads=1 + helpers)
    begin = {"initializer": _begin, "initargs": (cloudpickle.dumps(alone), os.getpid())}
    pool = loky.ProcessPoolExecutor(helpers, env={"OMP_NUM_THREADS": "1"}, **begin)
    try:
        remaining = iter(parts)
        waiting: set[Future[Encoded]] = set()
        while True:
            waiting |= {pool.submit(_encode, part) for part in islice(remaining, _WAITING * helpers - len(waiting))}
            own = next(remaining, None)
            if own is not None:
                yield here(own, told)
            elif not waiting:
                return
            done, waiting = wait(waiting, timeout=None if own is None else 0, return_when=FIRST_COMPLETED)
            for each in done:
                here = alone
                told(len(each.result().part))
                yield each.result()
    except BrokenProcessPool as error:
        raise SmaltiError(
            "a worker was ended from outside, perhaps for want of memory; go on with --resume, or with fewer workers."
        ) from error
    finally:
        pool.shutdown(kill_workers=True)


def _begin(sent: bytes, parent: int) -> None:
    begin_helper()
    _sent[:] = [(sent, parent)]


@cache
def _work() -> Work:
    return cloudpickle.loads(_sent[0][0])


def _encode(part: Part) -> Encoded:
    return _work()(part, lambda images: _end_without(_sent[0][1]))


def _end_without(parent: int) -> None:
    """A worker whose process was killed has nobody to tell of its latents."""
    if os.getppid() != parent:
        os._exit(1)
