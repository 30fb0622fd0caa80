"""Feed bytes to whatever reads files that others may have written: a result, or one of our errors, and nothing else.

    python tools/fuzz.py [ENTRY [SECONDS [CORPUS]]]

lists the entry points, or runs atheris on one (`make fuzz` runs all); `tests/test_fuzz.py` runs each on some of
hypothesis' examples. The first byte of an input says which file of the entry point the others are the content of. The
rest of what is read lies there as it was written, without the digests that would notice any change.
"""

import contextlib
import gc
import io
import json
import resource
import shutil
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from smalti.codec import Codec, CodecSpec, read_compressed, write_compressed
from smalti.data import AnyLatents, Latents, open_images
from smalti.encoding import encode_images
from smalti.errors import SmaltiError
from smalti.model_folder import Run
from smalti.nets import DiTSettings, Refiner
from smalti.pipeline import SmaltiPipeline
from smalti.training import GeneratorSettings, Learner, TrainSettings, begin_generator

MOST_MEMORY = 4 * 2**30
"""Bytes that an input may take, beside what the program has."""
MOST_SECONDS = 60
"""That it may take."""

_FOLLOWED = ("smalti", "json", "zipfile", "tarfile", "dacite")
_SPEC = "VQ-4@4-4@4-4@4/4"
_TRAINING = TrainSettings(images=8, batch_size=4, warmup=0)
_RUN_AT = 4  # the image of the checkpoint


class EntryPoint:
    """Something that reads a folder, of which a file is replaced, or that file `alone`."""

    def __init__(
        self, folder: Path, read: Callable[[Path], object], names: list[str] | None = None, *, alone: bool = False
    ):
        self.folder = folder
        self.read = read
        self.alone = alone
        self.names = names or sorted(
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
        )
        self._whole = [(folder / name).read_bytes() for name in self.names]

    @property
    def seeds(self) -> list[bytes]:
        """Inputs that are as they were written."""
        return [bytes([number]) + content for number, content in enumerate(self._whole)]

    def __call__(self, data: bytes) -> None:
        """Read with another file, in so much memory.

        Raises:
            Exception: what is no error of ours: something to mend.
        """
        number = data[0] % len(self.names) if data else 0
        path = self.folder / self.names[number]
        path.write_bytes(data[1:])
        try:
            with _limited(MOST_MEMORY), contextlib.redirect_stderr(io.StringIO()):
                self.read(path if self.alone else self.folder)
        except SmaltiError as error:
            if not str(error).isprintable():
                raise AssertionError(f"not to be printed: {error!r}") from error
        finally:
            path.write_bytes(self._whole[number])


@contextlib.contextmanager
def _limited(memory: int) -> Iterator[None]:
    """Let this process take so many bytes more, and no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + memory, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _photos(place: Path) -> EntryPoint:
    """A folder of pictures, and of what lies beside them."""
    random = np.random.default_rng(0)
    for name in ("a.png", "b.jpg", "c.webp", "d.tif", "e.gif", "f.bmp"):
        Image.fromarray(random.integers(0, 256, (12, 9, 3), dtype=np.uint8)).save(place / name)
    (place / "a.json").write_text('{"label": "one"}')
    (place / "b.cls").write_text("2")
    (place / "metadata.csv").write_text("file_name,label\na.png,one\nb.jpg,two\n")
    (place / "no suffix").write_bytes((place / "a.png").read_bytes())
    return EntryPoint(place, lambda folder: list(open_images(folder, size=8)))


def _archives(place: Path) -> EntryPoint:
    """A zip, tars, a parquet file and arrays, each by itself."""
    content = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(content, "PNG")
    png = content.getvalue()
    with zipfile.ZipFile(place / "a.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("cats/a.png", png)
        packed.writestr("cats/a.json", '{"label": "cat"}')
    for name, mode in (("a.tar", "w"), ("a.tgz", "w:gz")):
        with tarfile.open(place / name, mode) as tar:  # pyright: ignore[reportCallIssue, reportArgumentType]
            member = tarfile.TarInfo("a.png")
            member.size = len(png)
            tar.addfile(member, io.BytesIO(png))
    pq.write_table(pa.table({"image": [png], "label": [1]}), place / "a.parquet")
    np.save(place / "a.npy", np.zeros((2, 8, 8), np.uint8))
    np.savez(place / "a.npz", images=np.zeros((2, 8, 8), np.uint8), labels=np.arange(2))
    return EntryPoint(place, lambda path: list(open_images(path, size=8)), alone=True)


def _spec(place: Path) -> EntryPoint:
    """What a codec is called."""
    (place / "spec").write_text("OPQ-32-8@8-{8}/4")

    def read(path: Path) -> None:
        spec = CodecSpec.parse(path.read_bytes().decode("utf-8", "replace"))
        assert CodecSpec.parse(str(spec)) == spec
        assert len(spec.codewords) == sum(spec.stages)

    return EntryPoint(place, read, alone=True)


def _small_codec() -> Codec:
    torch.manual_seed(0)
    return Codec.fit(list(torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)), _SPEC, progress=False)


def _codec(place: Path) -> EntryPoint:
    """A codec that is loaded alone, and used."""
    _small_codec().save_pretrained(place)

    def read(folder: Path) -> None:
        codec = Codec.from_pretrained(folder)
        z = torch.zeros(1, len(codec.spec.codewords), 2, 2, dtype=torch.int64)
        codec.decode(z)

    return EntryPoint(_without_digests(place), read)


def _compressed(place: Path) -> EntryPoint:
    """A compressed photo."""
    codec = _small_codec()
    write_compressed(place / "a.smalti", torch.randint(0, 256, (3, 9, 17), dtype=torch.uint8), codec)
    return EntryPoint(place, lambda path: read_compressed(path, codec), alone=True)


def _made_latents(place: Path) -> AnyLatents:
    photos = place / "photos.npy"
    np.save(photos, np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8))
    latents = encode_images(open_images(photos), _small_codec(), place / "latents", progress=False)
    photos.unlink()
    return latents


def _latents(place: Path) -> EntryPoint:
    """Latents, all of which are read."""
    _made_latents(place)

    def read(folder: Path) -> None:
        latents = Latents(folder)
        latents[np.arange(min(len(latents), 100))]
        latents.codec()

    return EntryPoint(_without_digests(place / "latents"), read)


def _checkpoint(place: Path) -> EntryPoint:
    """A checkpoint that a run goes on from."""

    def losses(net: Any, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"square": net(batch["x"]).square().mean(1)}

    learner = Learner(torch.nn.Linear(3, 2), losses, _TRAINING, "cpu")
    learner.step(lambda numbers: {"x": torch.ones(len(numbers), 3)}, 0)
    run, begun = Run(place), {**asdict(_TRAINING), "width": 2}
    run.begin()
    learner.save(run, _RUN_AT, begun)
    folder = run.checkpoint(_RUN_AT)
    names = [path.relative_to(place).as_posix() for path in sorted(folder.iterdir())]
    _without_digests(place)
    return EntryPoint(place, lambda place: learner.load(Run(place), begun), names)


def _model(place: Path) -> EntryPoint:
    """A model."""
    latents = _made_latents(place)
    pipe = begin_generator(latents, GeneratorSettings(net=DiTSettings(width=32)))
    pipe.register_modules(refiner=Refiner(3, 4, 8, 1))
    pipe.save_pretrained(place / "model")
    shutil.rmtree(latents.folder)
    return EntryPoint(_without_digests(place / "model"), SmaltiPipeline.from_pretrained)


def _without_digests(folder: Path) -> Path:
    for path in folder.rglob("*.json"):
        if path.name == "digests.json":
            path.unlink()
            continue
        content = json.loads(path.read_text())
        if path.name in ("manifest.json", "state.json"):
            kept = {name: value for name, value in content.items() if name not in ("digest", "digests")}
            path.write_text(json.dumps(kept))
    return folder


ENTRY_POINTS: dict[str, Callable[[Path], EntryPoint]] = {
    "photos": _photos,
    "archives": _archives,
    "spec": _spec,
    "codec": _codec,
    "compressed": _compressed,
    "latents": _latents,
    "checkpoint": _checkpoint,
    "model": _model,
}


def main(name: str, seconds: int, corpus: Path | None) -> None:
    """Run atheris on an entry point for so long; where something is found, its input is kept as `crash-...`."""
    atheris = import_module("atheris")  # which not everybody has, nor pyright
    with tempfile.TemporaryDirectory(prefix="smalti-fuzz-") as scratch:
        place, seeds = Path(scratch) / "place", Path(scratch) / "seeds"
        place.mkdir()
        seeds.mkdir()
        entry = ENTRY_POINTS[name](place)
        for number, content in enumerate(entry.seeds):
            (seeds / f"{number:03d}").write_bytes(content)
        grown = corpus or Path(scratch) / "grown"
        grown.mkdir(parents=True, exist_ok=True)
        limits = [f"-max_total_time={seconds}", f"-timeout={MOST_SECONDS}", "-rss_limit_mb=0", "-max_len=65536"]
        for found in gc.get_objects():  # what is not ours is not followed, which would take minutes to prepare
            if isinstance(found, FunctionType) and str(found.__module__).partition(".")[0] in _FOLLOWED:
                atheris.instrument_func(found)
        atheris.Setup([sys.argv[0], *limits, str(grown), str(seeds)], entry)
        atheris.Fuzz()


if __name__ == "__main__":
    if len(sys.argv) == 1:
        print(*ENTRY_POINTS)
        sys.exit()
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 600, Path(sys.argv[3]) if len(sys.argv) > 3 else None)
