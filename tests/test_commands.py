"""Every command in README and the documents: all are read by the real command line, and what takes seconds is run."""

import functools
import importlib
import inspect
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import smalti
from smalti.cli import VERBS, main
from smalti.codec import Codec
from smalti.data import open_images
from smalti.encoding import encode_images
from smalti.nets import UNetSettings
from smalti.pipeline import SmaltiPipeline
from smalti.training import GeneratorSettings, TrainSettings, train_generator

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
NOT_RUN = ("create", "demo", "refine", "train")  # these take minutes, and other tests run them
ELSEWHERE_RUN = ("app", "publish")  # one ends by Ctrl-C, the other wants the Hub: both have tests of their own
ONCE = ("evaluate", "fit")  # of commands that differ in nothing but names and numbers the first alone is run
STAND_INS = {**dict.fromkeys(NOT_RUN, "run"), "fit": "codec"}  # for what a command that is not run would make
SHORTER = {
    "sample": ["--steps", "2"],
    "edit": ["--steps", "2"],
    "encode": ["--size", "16"],
    "evaluate": ["--steps", "2", "--count", "20"],
}
ELSEWHERE = re.compile(r"\w+://")
SIZE = 16
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in _BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


def _commands(page: Path) -> list[list[str]]:
    lines = [line for block in _blocks(page, "sh") for line in block.splitlines()]
    return [words for words in (shlex.split(line, comments=True) for line in lines) if words]


def _verb(words: list[str]) -> list[str] | None:
    """What `smalti` is given, where that is what the command runs: by itself, or in several processes."""
    if words[0] == "smalti":
        return words[1:]
    launched = words[0] in ("torchrun", "accelerate") and words[words.index("-m") :][:2] == ["-m", "smalti"]
    return words[words.index("smalti") + 1 :] if launched else None


def _takes_seconds(words: list[str]) -> bool:
    return words[0] == "smalti" and not any(map(ELSEWHERE.search, words))


def _kind(words: list[str]) -> tuple[str, ...]:
    return (words[0], *sorted(word for word in words if word.startswith("--") and word not in ("--count", "--out")))


COMMANDS = {page: _commands(page) for page in PAGES}
READ = [verb for words in COMMANDS.values() for verb in map(_verb, words) if verb is not None]
RUN = {page: [words[1:] for words in found if _takes_seconds(words)] for page, found in COMMANDS.items()}
FIRST = {_kind(words): words for found in reversed(RUN.values()) for words in reversed(found)}


@pytest.mark.parametrize("words", READ, ids=" ".join)
def test_a_command_is_understood(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    verb = words[0]
    assert verb in VERBS
    module, called = importlib.import_module(f"smalti.cli.{verb}"), []

    @functools.wraps(getattr(module, verb))
    def instead(*given: object, **options: object) -> None:
        called.append((given, options))

    monkeypatch.setattr(module, verb, instead)
    if "--config" not in words:  # which has to be there
        assert main(words) == 0
        assert called


def test_what_else_is_commanded_is_there() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for page, found in COMMANDS.items():
        for words in found:
            if words[0] == "make":
                assert words[1] in targets, page
            elif words[0] == ".":
                assert words[1:] == [".venv/bin/activate"], page
            else:
                assert _verb(words) is not None, f"{page}: no test knows how to try {words}"


@pytest.fixture(scope="module")
def made(photos: list[torch.Tensor], feature_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the documents speak of: photos, masks, tiles, a codec, latents and models."""
    folder = tmp_path_factory.mktemp("made")
    for number in range(24):
        kind = folder / "PHOTOS" / ("rose" if number % 2 else "tulip")
        kind.mkdir(parents=True, exist_ok=True)
        top = 8 * number
        crop = photos[number % 3][:, top : top + 48, 2 * top : 2 * top + 48].permute(1, 2, 0).numpy()
        Image.fromarray(crop).save(kind / f"{number:02d}.png")
        if number < 2:
            Image.fromarray(crop).save(folder / ("PHOTO", "OTHER")[number], "PNG")
    Image.new("L", (48, 48)).save(folder / "MASK", "PNG")
    with Image.open(folder / "MASK") as mask:
        mask.paste(255, (16, 16, 32, 32))
        mask.save(folder / "MASK", "PNG")
    (folder / "TILES").mkdir()
    for number in range(24):
        tile = photos[number % 3][:, 4 * number :][:, :48, :48].repeat(2, 1, 1)[:5].numpy()
        np.save(folder / "TILES" / f"{number}.npy", tile)
    shutil.copy(feature_network, folder / "inception-2015-12-05.pt")
    codec = Codec.fit(open_images(folder / "PHOTOS"), "OPQ-12@6-5@5-4@4/4", patches=4_000, progress=False)
    codec.save_pretrained(folder / "codec")
    latents = encode_images(open_images(folder / "PHOTOS", size=SIZE), codec, folder / "latents", progress=False)
    training = TrainSettings(images=16, batch_size=8, warmup=8)
    settings = GeneratorSettings(net=UNetSettings(width=32))
    train_generator(latents, folder / "run", settings, training, device="cpu", progress=False)
    for name in ("model", "worse"):  # the documents call them so
        shutil.copytree(folder / "run", folder / name)
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, to work in."""
    shutil.copytree(made, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.mark.parametrize("page", [page for page in PAGES if RUN[page]], ids=lambda page: page.stem)
def test_the_commands_of_a_page_can_be_run_one_after_the_other(page: Path, here: Path, made: Path) -> None:
    for words in RUN[page]:
        out = words[words.index("--out") + 1] if "--out" in words and "--resume" not in words else None
        if out is not None:
            shutil.rmtree(out, ignore_errors=True)
        if words[0] not in (*NOT_RUN, *ELSEWHERE_RUN) and (words[0] not in ONCE or FIRST[_kind(words)] is words):
            assert main([*words, *SHORTER.get(words[0], [])]) == 0, words
        elif out is not None and words[0] in STAND_INS:
            shutil.copytree(made / STAND_INS[words[0]], out)


@pytest.mark.parametrize("page", [page for page in PAGES if _blocks(page, "python")], ids=lambda page: page.stem)
@pytest.mark.usefixtures("here")
def test_the_code_of_a_page_runs(page: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hardly_trained(function: Callable[..., Any], place: str) -> Callable[..., SmaltiPipeline]:
        def instead(*given: Any, **options: Any) -> SmaltiPipeline:
            out = Path(inspect.signature(function).bind(*given, **options).arguments[place])
            if not out.exists():
                shutil.copytree(made / "run", out)
            return SmaltiPipeline.from_pretrained(out)

        return instead

    for name, place in (("create", "out"), ("train_generator", "out"), ("train_refiner", "model")):
        monkeypatch.setattr(smalti, name, hardly_trained(getattr(smalti, name), place))
    names: dict[str, Any] = {}
    for block in _blocks(page, "python"):
        exec(compile(block, page.name, "exec"), names)
