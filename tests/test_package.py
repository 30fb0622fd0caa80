"""The package: what is said of it, and that what is built of it works where nothing else of the project is."""

import os
import re
import subprocess
import sys
import tomllib
import venv
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

ROUND_TRIP = """
import smalti, sys, torch
assert smalti.__file__.startswith(sys.prefix), smalti.__file__
codec = smalti.Codec.from_pretrained("photo-low")
pixels = torch.arange(3 * 40 * 24, dtype=torch.int64).reshape(1, 3, 40, 24).remainder(200).to(torch.uint8)
assert codec.decode(codec.encode(pixels), (40, 24)).shape == pixels.shape
"""


def test_extras_that_are_named_to_users_are_there_and_those_that_are_there_are_named() -> None:
    texts = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("src/**/*.py")]
    named = {
        extra
        for path in texts
        for extra in re.findall(r"pip install '(?:smalti|\.)\[(\w+)\]'", path.read_text(encoding="utf-8"))
    }
    assert named == set(PROJECT["optional-dependencies"]) - {"dev"}


def test_a_citation_is_of_this_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == [version("smalti")] == [PROJECT["version"]]


@pytest.mark.soak
def test_a_wheel_works_in_an_environment_of_its_own(tmp_path: Path) -> None:
    built = ["-m", "hatchling", "build", "--directory", str(tmp_path / "dist")]
    subprocess.run([sys.executable, *built], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert len(list((tmp_path / "dist").glob("*.tar.gz"))) == 1
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(install, check=True)
    # The libraries are those of this environment: their folder alone, without what an editable install links there.
    (packages,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text(str(Path(np.__file__).parents[1]))
    environment = {name: os.environ[name] for name in os.environ.keys() - {"PYTHONPATH"}}

    def said(*words: str | Path) -> str:
        return subprocess.run(words, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout

    smalti = python.with_name("smalti")
    assert said(smalti, "--version") == f"smalti {version('smalti')}\n"
    assert "--minutes" in said(smalti, "create", "--help")
    said(python, "-c", ROUND_TRIP)
    assert (packages / "smalti" / "py.typed").is_file()
