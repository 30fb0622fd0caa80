from pathlib import Path

import pytest
import torch

from smalti.codec import Codec
from smalti.codec.tiles import read_tiles, write_tiles
from smalti.files import SmaltiError


def test_a_compressed_photo_comes_back_as_the_codec_decodes_it(
    codec: Codec, photos: list[torch.Tensor], tmp_path: Path
) -> None:
    for photo in photos:
        size = (photo.shape[1], photo.shape[2])
        written = write_tiles(tmp_path / "photo.smalti", photo, codec)
        assert torch.equal(
            read_tiles(tmp_path / "photo.smalti", codec), codec.decode(codec.encode(photo[None]), size)[0]
        )
        rows, columns = codec.spec.grid(*size)
        assert written == (tmp_path / "photo.smalti").stat().st_size
        # The indices take what the spec says, and the line before them is short.
        assert 0 < written - rows * columns * sum(codec.spec.bits) / 8 < 200


@pytest.mark.parametrize("keep", [0, 3, 20, 500])
def test_a_file_cut_short_is_named(codec: Codec, photo: torch.Tensor, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "photo.smalti"
    write_tiles(path, photo, codec)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(SmaltiError, match=r"photo\.smalti.*cut short"):
        read_tiles(path, codec)


def test_another_codec_a_foreign_file_and_a_missing_one_are_named(
    codec: Codec, photo: torch.Tensor, tmp_path: Path
) -> None:
    path = tmp_path / "photo.smalti"
    write_tiles(path, photo, codec)
    other = Codec.fit([photo], "VQ-4@4-4@4-4@4/4", patches=500, progress=False)
    with pytest.raises(SmaltiError, match="another codec"):
        read_tiles(path, other)
    path.write_text("text")
    with pytest.raises(SmaltiError, match="not a file"):
        read_tiles(path, codec)
    with pytest.raises(SmaltiError, match="cannot be read"):
        read_tiles(tmp_path / "absent", codec)
