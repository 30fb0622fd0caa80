import os
import sys
import threading

import cloudpickle
import pytest
import torch
from accelerate import PartialState

from smalti.errors import SmaltiError
from smalti.processes import all_threads, cores, together

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # helpers cannot import tests


def _place() -> tuple[int, int, float]:
    """Rank and number of processes, and the sum of a number that each brings."""
    state = PartialState()
    mine = torch.tensor(float(state.process_index + 1))
    if state.num_processes > 1:
        torch.distributed.all_reduce(mine)
    return state.process_index, state.num_processes, mine.item()


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_work_is_shared_and_this_process_is_left_as_it_was(processes: int) -> None:
    threads, hook, environment = torch.get_num_threads(), sys.excepthook, dict(os.environ)
    assert together(processes, _place) == (0, processes, processes * (processes + 1) / 2)
    assert PartialState().num_processes == 1
    assert (torch.get_num_threads(), sys.excepthook, dict(os.environ)) == (threads, hook, environment)


def test_helpers_may_do_their_own_part_and_get_copies_of_what_it_refers_to() -> None:
    told = []

    def main() -> float:
        told.append("main")
        return _place()[2]

    def helping() -> None:
        told.append("helper")
        _place()

    assert together(2, main, helping=helping) == 3
    assert told == ["main"]


def test_cores_are_divided_and_all_are_there_while_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def threads() -> int:
        with all_threads():
            return torch.get_num_threads()

    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert cores() == 4
    assert together(2, torch.get_num_threads) == 2
    assert together(2, threads) == 4


def _fails_in_a_helper() -> None:
    if PartialState().process_index:
        raise SmaltiError("the photos are gone; look for them.")
    _place()


def _ends() -> None:
    if PartialState().process_index:
        os._exit(9)
    _place()


def _fails_in_main() -> None:
    if not PartialState().process_index:
        raise OSError(28, "No space left on device", "model")
    _place()


@pytest.mark.parametrize(
    ("work", "kind", "said"),
    [
        (_fails_in_a_helper, SmaltiError, "the photos are gone"),
        (_ends, SmaltiError, "ended from outside"),
        (_fails_in_main, OSError, "No space"),
    ],
)
def test_what_goes_wrong_in_one_ends_all_and_the_cause_is_told(work: object, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        together(2, work)  # pyright: ignore[reportArgumentType]
    assert together(2, _place) == (0, 2, 3)


def test_what_cannot_be_sent_is_refused() -> None:
    lock = threading.Lock()
    with pytest.raises(SmaltiError, match="take one process"):
        together(2, lambda: lock.locked())


def test_processes_do_not_start_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SmaltiError, match="accelerate launch"):
        together(2, _place)
