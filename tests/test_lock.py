"""The lock file: exact, complete, and free of what breaks diffusers against a CPU build of torch."""

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINES = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if line and not line.startswith("#")]
LOCKED = dict(line.split("==") for line in LINES)
UNWANTED = {"torchvision", "torchaudio"}


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def test_every_line_is_an_exact_version() -> None:
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in LINES)


def test_torch_is_the_version_that_is_built_for_cpu_only_machines() -> None:
    assert LOCKED["torch"] == "2.13.0"


def test_every_direct_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    direct = project["dependencies"] + project["optional-dependencies"]["dev"]
    assert {_name(requirement) for requirement in direct} <= {_name(name) for name in LOCKED}


@pytest.mark.parametrize("package", LOCKED)
def test_no_locked_package_is_or_needs_torchvision(package: str) -> None:
    needed = {_name(line) for line in distribution(package).requires or [] if "extra ==" not in line}
    assert not UNWANTED & (needed | {_name(package)})


@pytest.mark.parametrize("package", LOCKED)
def test_the_installed_version_is_the_locked_one(package: str) -> None:
    assert distribution(package).version.split("+")[0] == LOCKED[package]
