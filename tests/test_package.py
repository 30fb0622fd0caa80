"""The package: what is said of it, and that what is built of it works where nothing else of the project is."""

import os
import re
import subprocess
import sys
import tomllib
import venv
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
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

EXTRAS = {
    "app": ("gradio",),
    "docs": ("mkdocs", "material", "mkdocstrings"),
    "features": ("transformers",),
    "fuzz": ("atheris",),
    "heic": ("pillow_heif",),
    "lmdb": ("lmdb",),
    "ray": ("ray",),
    "remote": ("aiohttp", "s3fs"),
    "trackers": ("tensorboard",),
}
"""What each brings, by the names that are imported."""

WITHOUT_EXTRAS = """
import importlib, pkgutil, sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None  # as if it were not installed
import smalti
for module in pkgutil.walk_packages(smalti.__path__, "smalti."):
    if not module.name.endswith("__main__") and not module.name.startswith("smalti.app"):
        importlib.import_module(module.name)
assert all(hasattr(smalti, name) for name in smalti.__all__)
for source in sys.argv[2:]:
    try:
        smalti.open_images(source)
    except smalti.SmaltiError as error:
        print(error)
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


def test_what_extras_bring_is_known_and_can_be_imported_where_it_is_installed() -> None:
    assert set(EXTRAS) == set(PROJECT["optional-dependencies"]) - {"dev"}
    for name in (name for names in EXTRAS.values() for name in names):
        if find_spec(name):
            import_module(name)


def test_without_any_extra_all_is_there_and_what_is_missing_is_said(tmp_path: Path) -> None:
    heic, lmdb = tmp_path / "heic", tmp_path / "lmdb"
    for file, content in ((heic / "1.heic", b"\0\0\0\x18ftypheic" + bytes(64)), (lmdb / "data.mdb", bytes(64))):
        file.parent.mkdir()
        file.write_bytes(content)
    names = ",".join(name for names in EXTRAS.values() for name in names)
    sources = [heic, lmdb, "https://host.invalid/photos.zip", "s3://bucket/photos.zip"]
    command = [sys.executable, "-c", WITHOUT_EXTRAS, names, *map(str, sources)]
    said = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.splitlines()
    packages = ["pillow-heif", "lmdb", "'fsspec[http,s3]'", "'fsspec[http,s3]'"]
    assert [re.findall(r"pip install (.+?)[).]", line) for line in said] == [[package] for package in packages]


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
