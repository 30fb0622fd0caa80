"""Any bytes give a result or one of our errors: some examples of what `make fuzz` looks for, at every entry point."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

ROOT = Path(__file__).parents[1]
_EXAMPLES = 12


def _loaded() -> ModuleType:
    """`tools/fuzz.py`, which is in no package."""
    spec = importlib.util.spec_from_file_location("fuzz", ROOT / "tools" / "fuzz.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FUZZ = _loaded()


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


@st.composite
def _with_another(draw: st.DrawFn, content: Any) -> Any:
    """A JSON value with something else in the place of an entry of it, or without that."""
    if not isinstance(content, dict | list) or not content or draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from([None, True, -1, 0, 10**30, 1e308, "x", "", [], {}, [[]], "../x", "/dev/zero"]))
    entries: Any = dict(content) if isinstance(content, dict) else dict(enumerate(content))
    place = draw(st.sampled_from(list(entries)))
    if draw(st.integers(0, 9)) == 0:
        del entries[place]
    else:
        entries[place] = draw(_with_another(entries[place]))
    return entries if isinstance(content, dict) else list(entries.values())


@st.composite
def _inputs(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """What was written, with bytes changed, or cut, or others put in; or any bytes at all."""
    data = bytearray(draw(st.sampled_from(seeds)))
    content = _json(bytes(data[1:]))
    match draw(st.sampled_from(["other"] * bool(content) + ["change", "cut", "put in", "any"])):
        case "other":
            data[1:] = json.dumps(draw(_with_another(content))).encode()
        case "change":
            for _ in range(draw(st.integers(1, 4))):
                data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 2**8 - 1))
        case "cut":
            del data[draw(st.integers(1, len(data))) :]
        case "put in":
            place = draw(st.integers(1, len(data)))
            data[place:place] = draw(st.binary(max_size=20) | st.sampled_from([b"[" * 9_999, b"-1", b"1e999", b"null"]))
        case _:
            data[1:] = draw(st.binary(max_size=200))
    return bytes(data)


@pytest.mark.parametrize("name", FUZZ.ENTRY_POINTS)
def test_any_bytes_give_a_result_or_one_of_our_errors(name: str, tmp_path: Path) -> None:
    entry = FUZZ.ENTRY_POINTS[name](tmp_path)
    for seed in entry.seeds:
        entry(seed)

    @settings(max_examples=_EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(_inputs(entry.seeds))
    def check(data: bytes) -> None:
        entry(data)

    check()
