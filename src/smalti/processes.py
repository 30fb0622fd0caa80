"""Helper processes, which compute together with this one: the cores of a CPU, shared without waiting at every step."""

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import sleep
from typing import Any, TypeVar

import cloudpickle
import loky
import torch
import torch.distributed
from accelerate import PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import patch_environment
from loky.process_executor import TerminatedWorkerError

from smalti.devices import keep_memory
from smalti.errors import SmaltiError
from smalti.threads import limited_threads

__all__ = ["all_threads", "begin_helper", "cores", "is_joined", "together"]

T = TypeVar("T")

_IDLE_SECONDS = 60  # that helpers wait for more to do before they end
_LONGEST = timedelta(days=7)  # that one process waits for the others: pictures of a large model are made in between
_POLL_SECONDS = 0.02
_SECONDS_TO_END = 10  # that it may take to see how a helper ended


def cores() -> int:
    """Cores to use: OMP_NUM_THREADS where that is set, or all that affinity and container leave of the machine's."""
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(said) if said.isdigit() and int(said) else loky.cpu_count()


def is_joined() -> bool:
    """Whether this process is one of several already, by `accelerate launch` or as a helper."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def all_threads() -> Iterator[None]:
    """A process of a group has all cores for as long as the block lasts: the others wait for it."""
    sharing = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
    with limited_threads(sharing * torch.get_num_threads()):
        yield


def together(processes: int, work: Callable[[], T], *, helping: Callable[[], object] | None = None) -> T:
    """What `work()` returns here, while helpers do the same work as the other processes of one group on this CPU.

    Within it `join_processes` gives the group, of which this process is the main one, and the cores are divided.
    Helpers do `helping`, if that is given, and get a copy of all that it refers to; they are kept for a while, so that
    the next work begins at once. With one process `work` is called, and nothing else happens.

    Raises:
        SmaltiError: `work` raised it, in any process; a helper cannot be started, or was ended from outside.
    """
    if processes == 1:
        return work()
    if is_joined():
        raise SmaltiError(f"{processes} processes were asked for within those of `accelerate launch`; take one.")
    try:
        sent = cloudpickle.dumps(helping or work)
    except Exception as error:  # pickling raises whatever the objects raise
        raise SmaltiError(f"helper processes cannot be given this work ({error}); take one process.") from error
    with tempfile.TemporaryDirectory(prefix="smalti-") as meeting:
        file = Path(meeting) / "store"
        store = torch.distributed.FileStore(str(file), processes)
        pool = loky.get_reusable_executor(max_workers=processes - 1, timeout=_IDLE_SECONDS, initializer=begin_helper)
        helpers = [pool.submit(_help, sent, str(file), rank, processes) for rank in range(1, processes)]
        try:
            _await(helpers, store)
            with _group(store, 0, processes):
                found = work()
            wait(helpers)
        except BaseException as error:
            try:
                if isinstance(error, RuntimeError):  # as PyTorch raises where another process of the group is gone
                    _raise_cause(helpers, error)
                raise
            finally:
                pool.shutdown(kill_workers=True)  # some may wait for this process
        return found


def begin_helper() -> None:
    """A helper keeps the memory that it frees; it is ended by the process that it helps, which alone is told to end."""
    keep_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _help(sent: bytes, file: str, rank: int, processes: int) -> None:
    """Do the work in a helper."""
    work = cloudpickle.loads(sent)
    store = torch.distributed.FileStore(file, processes)
    store.set(_ready(rank), "")
    with _group(store, rank, processes):
        work()


def _ready(rank: int) -> str:
    return f"ready/{rank}"


def _await(helpers: list[Future[None]], store: Any) -> None:
    """Wait until all helpers have understood what to do; a group that one never joins would wait for it."""
    waiting = [_ready(1 + number) for number in range(len(helpers))]
    while not store.check(waiting):
        done = next((helper for helper in helpers if helper.done()), None)
        if done is not None:
            _raise_cause(helpers, None)
            done.result()
        sleep(_POLL_SECONDS)


def _raise_cause(helpers: list[Future[None]], lost: Exception | None) -> None:
    """Raise what a helper raised for users to read, or that it is gone; that it has lost the others is no cause."""
    done, _ = wait(helpers, timeout=_SECONDS_TO_END, return_when=FIRST_EXCEPTION)
    failures = [helper.exception() for helper in done]
    for failure in failures:
        if isinstance(failure, SmaltiError):
            raise failure from lost
    if any(isinstance(failure, TerminatedWorkerError) for failure in failures):
        raise SmaltiError(
            "a helper process was ended from outside, perhaps for want of memory; go on with --resume, or in one."
        ) from lost


@contextmanager
def _group(store: Any, rank: int, processes: int) -> Iterator[None]:
    """Be one process of a group, with its share of the cores, for as long as the block lasts."""
    place = {"rank": rank, "local_rank": rank, "world_size": processes, "local_world_size": processes}
    network = {} if "GLOO_SOCKET_IFNAME" in os.environ else {"gloo_socket_ifname": _loopback()}
    hook = sys.excepthook
    threads = max(1, cores() // processes)
    with (
        limited_threads(threads),
        patch_environment(**place, **network, omp_num_threads=threads, master_addr="127.0.0.1", master_port="0"),
    ):
        torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=processes, timeout=_LONGEST)
        AcceleratorState._reset_state(reset_partial_state=True)
        PartialState(cpu=True)
        try:
            yield
        finally:
            torch.distributed.destroy_process_group()
            sys.excepthook = hook  # which was given another for as long as there are several
            AcceleratorState._reset_state(reset_partial_state=True)
    PartialState(cpu=True)  # whoever holds the state of this process has it as it was


def _loopback() -> str:
    """The network interface of a machine to itself."""
    return "lo0" if sys.platform == "darwin" else "lo"
