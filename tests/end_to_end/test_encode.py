"""`encode` in real processes, killed at random moments and gone on with."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from smalti.codec import Codec
from smalti.encoding import shards
from smalti.locks import unfinished
from smalti.recipes import PhotoSettings, encode

# Starts `smalti encode` as often as there are moments, and kills it when so many shards are whole and a while has gone.
KILLER = """
import json, os, pathlib, random, signal, sys, time
import smalti.recipes
from smalti.cli import main
from smalti.encoding import shards
shards._LEAST_IMAGES = 2
outs, moments, arguments = json.loads(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:]
for out, (whole, wait) in zip(outs, moments):
    child = os.fork()
    if not child:
        os._exit(main([*arguments, "--out", out]))
    place = pathlib.Path(out).parent
    while len(list(place.glob(".*.partial/codes-*.json"))) < whole:
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "it has ended"
        time.sleep(0.0005)
    time.sleep(wait)
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL, "it has ended"
"""
PARTS = 48  # of 24 photos, by twos, in 4 views


CROP = PhotoSettings(size=32, crop="random")


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.npy")}


def _kill_and_resume(photos: Path, codec: Path, folder: Path, moments: list[tuple[int, float]], workers: int) -> None:
    whole = encode(str(photos), str(codec), folder / "whole", crop=CROP, views=4)
    outs = [folder / str(number) / "latents" for number in range(len(moments))]
    for out in outs:
        out.parent.mkdir()
    arguments = ["encode", str(photos), "--codec", str(codec), "--size", "32", "--crop", "random", "--views", "4"]
    killing = [sys.executable, "-c", KILLER, json.dumps([str(out) for out in outs]), json.dumps(moments), *arguments]
    subprocess.run([*killing, "--workers", str(workers)], check=True, capture_output=True)
    for out, (least, _) in zip(outs, moments, strict=True):
        left = unfinished(out)
        assert left is not None
        assert not out.exists()
        made = {record.stem: record.with_suffix(".npy").stat().st_mtime_ns for record in left.glob("codes-*.json")}
        assert least <= len(made) < PARTS
        encode(str(photos), str(codec), out, crop=CROP, views=4, workers=workers, resume=True)
        assert _content(out) == _content(whole.folder)
        assert [path.name for path in out.parent.iterdir()] == ["latents"]
        for name, then in made.items():  # what was whole is not made again
            assert (out / f"{name}.npy").stat().st_mtime_ns == then


def _moments(count: int, seed: int) -> list[tuple[int, float]]:
    chosen = random.Random(seed)
    return [(chosen.randrange(1, PARTS - 8), chosen.uniform(0, 0.02)) for _ in range(count)]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "_LEAST_IMAGES", 2)


@pytest.fixture
def saved(codec: Codec, tmp_path: Path) -> Path:
    codec.save_pretrained(tmp_path / "codec")
    return tmp_path / "codec"


def test_a_killed_encode_is_gone_on_with_to_the_same_latents_to_the_bit(
    photo_folder: Path, saved: Path, tmp_path: Path
) -> None:
    _kill_and_resume(photo_folder, saved, tmp_path, _moments(2, 0), 1)


@pytest.mark.soak
def test_whenever_it_is_killed(photo_folder: Path, saved: Path, tmp_path: Path) -> None:
    _kill_and_resume(photo_folder, saved, tmp_path, _moments(20, 1), 1)


@pytest.mark.soak
def test_the_same_with_workers(photo_folder: Path, saved: Path, tmp_path: Path) -> None:
    _kill_and_resume(photo_folder, saved, tmp_path, _moments(3, 2), 2)
