import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from smalti.codec import Codec
from smalti.data import CropSettings, Images, Latents, open_images
from smalti.data.pictures import decode_picture
from smalti.encoding import encode_images, shards
from smalti.encoding.work import Encoded, Part, Work
from smalti.errors import SmaltiError
from smalti.locks import unfinished
from smalti.signals import Ended

Same = Callable[[Path, Path], bool]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "_LEAST_IMAGES", 4)  # 6 of the 24 photos


@pytest.fixture
def images(photo_folder: Path) -> Images:
    return open_images(photo_folder, size=16)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The parts that are encoded."""
    done: list[int] = []
    encode = Work.__call__

    def counted(self: Work, part: Part, *told: Any) -> Encoded:
        done.append(part.number)
        return encode(self, part, *told)

    monkeypatch.setattr(Work, "__call__", counted)
    return done


def _fails(monkeypatch: pytest.MonkeyPatch, after: int, error: BaseException, images: Images, **options: Any) -> None:
    """Encode until some shards are whole."""
    write, whole = shards.Shards.write, []

    def fail(self: shards.Shards, encoded: Encoded) -> None:
        if len(whole) == after:
            raise error
        whole.append(write(self, encoded))

    with monkeypatch.context() as patched:
        patched.setattr(shards.Shards, "write", fail)
        with pytest.raises(type(error)):
            encode_images(images, progress=False, **options)


@pytest.mark.parametrize("error", [Ended(15), OSError(28, "No space left on device")])
def test_what_is_whole_is_kept_and_gone_on_with(
    images: Images,
    codec: Codec,
    tmp_path: Path,
    same: Same,
    parts: list[int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
) -> None:
    out, options = tmp_path / "latents", {"codec": codec, "workers": 1}
    expected = encode_images(images, codec, tmp_path / "expected", progress=False)
    assert [len(np.load(expected.folder / name)) for name in expected.manifest.shards] == [8] * 6  # flips as well
    _fails(monkeypatch, 2, error, images, out=out, **options)
    assert not out.exists()
    parts.clear()
    resumed = encode_images(images, codec, out, workers=1, resume=True, progress=False)
    assert parts == [2, 3, 4, 5]
    assert same(out, expected.folder)
    assert resumed.manifest == expected.manifest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["expected", "latents"]
    assert isinstance(error, Ended) or "2 of 6 shards are kept, --resume" in capsys.readouterr().out
    parts.clear()  # whole, it is left as it is
    assert encode_images(images, codec, out, resume=True, progress=False).manifest == expected.manifest
    assert parts == []
    with pytest.raises(SmaltiError, match="begun otherwise"):
        encode_images(images, codec, out, flips=False, resume=True, progress=False)


def test_without_resume_it_begins_again(
    images: Images, codec: Codec, tmp_path: Path, parts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _fails(monkeypatch, 3, Ended(2), images, codec=codec, out=tmp_path / "latents")
    left = unfinished(tmp_path / "latents")
    assert left is not None
    parts.clear()
    encode_images(images, codec, tmp_path / "latents", progress=False)
    assert (len(parts), left.exists()) == (6, False)


def test_nothing_is_kept_of_nothing(
    images: Images, codec: Codec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fails(monkeypatch, 0, OSError(28, "No space left on device"), images, codec=codec, out=tmp_path / "deep" / "out")
    assert not list(tmp_path.iterdir())


def test_it_is_gone_on_with_as_it_was_begun_and_in_no_other_way(
    images: Images, photo_folder: Path, codec: Codec, photo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "latents"
    _fails(monkeypatch, 1, Ended(2), images, codec=codec, out=out)
    other = Codec.fit([photo], "VQ-4@4-4@4-4@4/4", patches=500, progress=False)
    for changed, says in (
        ({"flips": False}, "flips True, now False"),
        ({"views": 2}, "views 1, now 2"),
        ({"codec": other}, "codec fingerprint"),
        ({"images": images.sample(5)}, "source fingerprint"),
        ({"images": open_images(photo_folder, size=20)}, "size 16, now 20"),
    ):
        with pytest.raises(SmaltiError, match=f"latents: was begun otherwise .*{says}"):
            encode_images(**{"images": images, "codec": codec, **changed}, out=out, resume=True, progress=False)
    moved = open_images(shutil.copytree(photo_folder, tmp_path / "moved"), size=16)
    monkeypatch.setattr(shards, "_LEAST_IMAGES", 8)  # a later version may cut otherwise
    latents = encode_images(moved, codec, out, resume=True, progress=False)
    assert len(latents.manifest.shards) == 6


@pytest.mark.parametrize("name", ["codes-00001.npy", "codes-00001.json"])
@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-9])])
def test_a_damaged_shard_is_made_again(
    images: Images,
    codec: Codec,
    tmp_path: Path,
    same: Same,
    parts: list[int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    damage: Callable[[Path], None],
) -> None:
    expected = encode_images(images, codec, tmp_path / "expected", progress=False)
    _fails(monkeypatch, 4, Ended(2), images, codec=codec, out=tmp_path / "latents")
    left = unfinished(tmp_path / "latents")
    assert left is not None
    damage(left / name)
    gone = not (left / name).exists()
    parts.clear()
    encode_images(images, codec, tmp_path / "latents", resume=True, progress=False)
    assert parts == [1, 4, 5]
    assert same(tmp_path / "latents", expected.folder)
    assert (f"{name} of the unfinished latents" in capsys.readouterr().out) == (not gone or name.endswith("npy"))


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("after", [0, 3, 7, 10])
def test_it_may_be_killed_while_it_appears(
    images: Images,
    codec: Codec,
    tmp_path: Path,
    same: Same,
    parts: list[int],
    monkeypatch: pytest.MonkeyPatch,
    there: bool,
    after: int,
) -> None:
    """In a folder that was there, file by file."""
    out, moved = tmp_path / "latents", []
    if there:
        out.mkdir()
    rename, unlink = Path.rename, Path.unlink

    def limited(do: Callable[..., Any]) -> Callable[..., Any]:
        def limit(path: Path, *more: Any, **options: Any) -> Any:
            if "latents." in str(path) and path.suffix in (".npy", ".json", ".partial", ""):
                if len(moved) == after:
                    raise Ended(9)
                moved.append(path)
            return do(path, *more, **options)

        return limit

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", limited(rename))
        patched.setattr(Path, "unlink", limited(unlink))
        try:
            encode_images(images, codec, out, progress=False)
        except Ended:
            assert not there or not (out / "manifest.json").exists() or not (out / "encode.json").exists()
    parts.clear()
    encode_images(images, codec, out, workers=2, resume=True, progress=False)
    assert parts == []
    assert same(out, encode_images(images, codec, tmp_path / "expected", progress=False).folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["expected", "latents"]


def test_shards_without_a_readable_image_are_left_out(tmp_path: Path, photo_folder: Path, codec: Codec) -> None:
    folder = shutil.copytree(photo_folder, tmp_path / "photos")
    for path in sorted((folder / "cats").iterdir())[:5]:
        path.write_text("no picture")
    images = open_images(folder, size=16, crop="random")
    latents = encode_images(images, codec, tmp_path / "latents", views=2, flips=False, progress=False)
    assert (latents.images, len(latents)) == (19, 38)
    assert len(latents.manifest.shards) == 10
    assert [name for name, _ in latents.manifest.skipped] == [f"cats/{3 * number:02d}.png" for number in range(5)]
    for row, picture in enumerate([*images.pictures(0), *images.pictures(1)]):
        assert (latents[np.array([row])] == codec.encode(picture.pixels[None])).all()
        assert latents.labels[row].tolist() == list(picture.labels)
    for path in folder.rglob("*.png"):
        path.write_text("no picture")
    with pytest.raises(SmaltiError, match="not one of 24 images can be read"):
        encode_images(open_images(folder, size=16), codec, tmp_path / "none", progress=False)


def test_sizes_are_compared_between_shards(tmp_path: Path, codec: Codec) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(12):
        side = 20 if number == 9 else 16
        Image.new("RGB", (side, side)).save(tmp_path / "photos" / f"{number:02d}.png")
    with pytest.raises(SmaltiError, match=r"(0[89]\.png|10\.png|11\.png) is (20x20|16x16) pixels and images before"):
        encode_images(open_images(tmp_path / "photos"), codec, tmp_path / "latents", progress=False)


def test_an_image_has_a_latent_in_each_view_or_in_none(
    photo_folder: Path, codec: Codec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flaky(content: bytes, settings: CropSettings, number: int, view: int, *more: Any) -> Any:
        if (number, view) == (5, 1):
            raise ValueError("the disk does not answer")
        return decode_picture(content, settings, number, view, *more)

    monkeypatch.setattr("smalti.data.images.decode_picture", flaky)
    images = open_images(photo_folder, size=16, crop="random")
    with pytest.raises(SmaltiError, match="images 4 to 8 could not all be read in each view"):
        encode_images(images, codec, tmp_path / "latents", views=2, progress=False)


def test_what_cannot_be_is_refused_before_anything_is_done(images: Images, codec: Codec, tmp_path: Path) -> None:
    for wrong in ({"views": 0}, {"workers": 0}):
        with pytest.raises(SmaltiError, match="is 0"):
            encode_images(images, codec, tmp_path / "latents", **wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("count", "views", "a_shard"), [(24, 8, 256), (12_500, 1, 256), (10**6, 1, 4096)])
def test_shards_follow_from_the_images_and_are_not_too_many(
    images: Images, codec: Codec, monkeypatch: pytest.MonkeyPatch, count: int, views: int, a_shard: int
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(Images, "__len__", lambda self: count)
    begun = shards.Begun.of(images, codec, views, True)
    assert begun.images_a_shard == a_shard
    assert len(begun.parts) <= shards._SHARDS + views
    assert sum(map(len, begun.parts)) == count * views


def test_older_leftovers_are_cleared_on_resume(images: Images, codec: Codec, tmp_path: Path) -> None:
    left = tmp_path / ".latents.12345678.partial"
    left.mkdir()
    (left / "codes-00000.npy").write_bytes(b"half")
    latents = encode_images(images, codec, tmp_path / "latents", resume=True, progress=False)
    assert isinstance(latents, Latents)
    assert not left.exists()
