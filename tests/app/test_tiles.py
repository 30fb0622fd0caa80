from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from smalti.app import tiles
from smalti.app.tiles import Mosaic, Sheet, moved, tiled_size
from smalti.codec import Codec
from smalti.report import GAP


@pytest.fixture(scope="module")
def mosaic(codec: Codec, photo: torch.Tensor) -> Mosaic:
    return Mosaic.of("a codec", codec, photo[:, :48, :64].contiguous())


def _pixels(mosaic: Mosaic, codec: Codec) -> torch.Tensor:
    return codec.decode(mosaic.z[None])[0]


def test_a_moved_index_changes_its_tile_alone_and_comes_back(codec: Codec, mosaic: Mosaic) -> None:
    after = moved(mosaic, codec, mosaic.index + 1)
    (row, column), changed = mosaic.place, _pixels(after, codec) != _pixels(mosaic, codec)
    assert after.index == mosaic.index + 1
    assert changed[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4].any()
    changed[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = False
    assert not changed.any()
    assert torch.equal(moved(after, codec, mosaic.index).z, mosaic.z)


def test_one_step_in_every_tile_changes_less_than_many_since_codebooks_are_sorted(codec: Codec, mosaic: Mosaic) -> None:
    before = _pixels(mosaic, codec).float()
    off = [
        float((_pixels(moved(mosaic, codec, mosaic.index + step, everywhere=True), codec) - before).abs().mean())
        for step in (1, 16)
    ]
    assert 0 < off[0] < off[1]


def test_an_index_stays_in_its_codebook(codec: Codec, mosaic: Mosaic) -> None:
    for channel, size in enumerate(codec.spec.codewords):
        looked_at = replace(mosaic, channel=channel)
        assert moved(looked_at, codec, -5).index == 0
        every = moved(looked_at, codec, looked_at.index + 10**4, everywhere=True).z[channel]
        assert (every <= size - 1).all()
        assert every.max() == size - 1


def test_neighbours_are_of_the_codebook_and_the_middle_one_is_the_tile_as_it_is(codec: Codec, mosaic: Mosaic) -> None:
    for index in (0, 7, codec.spec.codewords[0] - 1):
        looked_at = moved(mosaic, codec, index)
        indices = tiles.neighbours(looked_at, codec)
        assert len(indices) == 9
        assert index in indices
        assert 0 <= indices[0] < indices[-1] < codec.spec.codewords[0]
        within = tiles._within(looked_at, codec, indices)[index - indices[0]]
        tile = torch.tensor(looked_at.codes)[None, :, None, None]
        assert torch.equal(within, codec.pixel_format.pixels(codec.decode_plain(tile))[0])


def test_a_tile_is_the_sum_of_its_codewords(codec: Codec, mosaic: Mosaic) -> None:
    form, total = codec.pixel_format, torch.zeros(3, 4, 4)
    for channel, index in enumerate(mosaic.codes):
        total += form.to_planes(form.levels(tiles.alone(codec, channel, range(index, index + 1))))[0]
    tile = torch.tensor(mosaic.codes)[None, :, None, None]
    # Each is rounded, and clipped where it alone leaves the range.
    assert (form.from_planes(total[None]) - codec.decode_plain(tile)).abs().mean() < 3


@given(st.integers(1, 700), st.integers(1, 20), st.integers(1, 60), st.integers(1, 16), st.data())
def test_the_picture_at_a_pixel_is_the_one_that_is_drawn_there(
    width: int, columns: int, count: int, patch: int, data: st.DataObject
) -> None:
    sheet = Sheet.fitting(width, columns, count, patch)
    number = data.draw(st.integers(0, count - 1))
    row, column = divmod(number, columns)
    inside = data.draw(st.integers(0, sheet.side - 1))
    pitch = sheet.side + GAP
    assert sheet.at(GAP + column * pitch + inside, GAP + row * pitch + inside) == number
    assert 0 <= sheet.at(10**6, 10**6) < count


def test_pictures_are_drawn_with_a_frame_around_the_chosen_one(codec: Codec, mosaic: Mosaic) -> None:
    view = np.asarray(tiles.view(mosaic, codec))
    other = np.asarray(tiles.view(replace(mosaic, place=(0, 0)), codec))
    rows, columns = mosaic.z.shape[1:]
    assert (view.shape[0] - GAP) % rows == (view.shape[1] - GAP) % columns == 0
    assert not np.array_equal(view, other)
    assert tiles.strip(mosaic, codec).width > 500
    assert tiles.codebook(mosaic, codec).width == 8 * (tiles.codebook_sheet(codec, 0).side + GAP) + GAP


@given(st.integers(1, 9000), st.integers(1, 9000), st.sampled_from([4, 8, 16]))
def test_photos_become_whole_tiles_and_not_too_many(height: int, width: int, patch: int) -> None:
    size = tiled_size(height, width, patch)
    assert all(side % patch == 0 and 0 < side <= tiles.MOST_TILES * patch for side in size)


def test_codes_are_told_with_their_planes(codec: Codec, mosaic: Mosaic) -> None:
    told = tiles.codes_told(mosaic, codec)
    assert [words.split(":")[0] for words in told] == ["Y 1", "Y 2", "Cb", "Cr"]
    assert [int(words.split(": ")[1]) for words in told] == mosaic.codes
