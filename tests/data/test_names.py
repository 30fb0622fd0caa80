import pickle
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.data.names import Names, parts_of


@given(st.lists(st.text(st.characters(), max_size=8), max_size=8))
def test_they_are_as_they_were_given(names: list[str]) -> None:
    kept = Names(names)
    assert list(kept) == names
    assert list(pickle.loads(pickle.dumps(kept))) == names
    assert kept[1:] == names[1:]
    assert kept[::-2] == names[::-2]


def test_names_of_files_that_are_no_utf8_are_the_same_files(tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9.png"
    path.write_bytes(b"here")
    assert (tmp_path / Names([path.name])[0]).read_bytes() == b"here"


@pytest.mark.parametrize("place", [2, -3])
def test_what_is_beyond_them_is_an_error(place: int) -> None:
    kept = Names(["a", "b"])
    assert kept[-1] == "b"
    with pytest.raises(IndexError):
        kept[place]


def test_they_take_little_memory() -> None:
    names = [f"shard-0000/{number:09d}.jpg" for number in range(10_000)]
    assert len(pickle.dumps(Names(names))) < sum(map(len, names)) + 9 * len(names)


@given(st.text("a./\\ ", min_size=1).filter(lambda name: not name.startswith("//")))
def test_the_parts_of_a_path_are_those_of_pathlib(name: str) -> None:
    assert parts_of(name) == (PurePosixPath(name).parts or (name,))
