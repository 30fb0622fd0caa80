import pytest
import torch
from torch.nn.functional import pad, unfold

from smalti.codec import Codec
from smalti.codec.deblocking import LinearDeblocker
from smalti.errors import SmaltiError
from smalti.metrics import psnr

SPEC = "PQ-12@6-5@5-4@4/4"


@pytest.fixture(scope="module")
def linear(photos: list[torch.Tensor]) -> Codec:
    return Codec.fit(photos, SPEC, patches=30_000, deblock="linear", progress=False)


def _decoded(codec: Codec, photo: torch.Tensor) -> torch.Tensor:
    return codec.decode(codec.encode(photo[None]), (photo.shape[1], photo.shape[2]))[0]


def test_the_closed_form_is_the_solution_of_the_normal_equations() -> None:
    torch.manual_seed(0)
    decoded, original = torch.randn(2, 8, 20, 30), torch.randn(2, 8, 20, 30)
    deblocker = LinearDeblocker(planes=2, dimension=4)
    deblocker.fit([(decoded, original)])
    for plane in range(2):
        seen, wanted = decoded[:, 4 * plane : 4 * plane + 4], original[:, 4 * plane : 4 * plane + 4]
        windows = unfold(pad(seen, (1, 1, 1, 1), mode="replicate"), 3).transpose(1, 2).reshape(-1, 36).double()
        target = (wanted - seen).permute(0, 2, 3, 1).reshape(-1, 4).double()
        expected = torch.linalg.lstsq(windows, target).solution
        got = deblocker.weight[4 * plane : 4 * plane + 4].reshape(4, 36).T.double()
        torch.testing.assert_close(got, expected, atol=2e-3, rtol=0)


def test_looking_at_the_neighbours_brings_the_photo_nearer(linear: Codec, photos: list[torch.Tensor]) -> None:
    plain = Codec.fit(photos, SPEC, patches=30_000, progress=False)
    assert plain.fingerprint == linear.fingerprint
    for photo in photos:
        assert psnr(photo, _decoded(linear, photo)) > psnr(photo, _decoded(plain, photo)) + 0.1


def test_a_deblocked_codec_decodes_softly_as_it_decodes(linear: Codec, photo: torch.Tensor) -> None:
    z = linear.encode(photo[None, :, :40, :48])
    p = torch.nn.functional.one_hot(z, linear.codebooks.shape[1]).permute(0, 1, 4, 2, 3).float().requires_grad_()
    soft = linear.decode_soft(p)
    assert (soft - linear.decode(z)).abs().max() <= 0.5 + 1e-3
    soft.sum().backward()
    assert p.grad is not None
    assert p.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", ["linear", "convolutional"])
def test_a_deblocked_codec_comes_back_equal(kind: str, linear: Codec, photo: torch.Tensor, tmp_path) -> None:
    codec = Codec.from_config(dict(linear.config))
    codec.load_state_dict(linear.state_dict())
    codec.add_deblocker(kind, width=8, blocks=1)
    assert codec.deblocker is not None
    for tensor in codec.deblocker.state_dict().values():
        tensor.copy_(0.01 * torch.randn_like(tensor))
    codec.save_pretrained(tmp_path / "codec")
    loaded = Codec.from_pretrained(tmp_path / "codec")
    assert loaded.config["deblock"] == kind
    assert torch.equal(_decoded(loaded, photo), _decoded(codec, photo))
    assert not torch.equal(_decoded(loaded, photo), _decoded(linear, photo))


@pytest.mark.parametrize("kind", ["linear", "convolutional"])
def test_an_unfitted_deblocker_changes_nothing(kind: str, photos: list[torch.Tensor], photo: torch.Tensor) -> None:
    codec = Codec.fit(photos, SPEC, patches=4_000, progress=False)
    before = _decoded(codec, photo)
    codec.add_deblocker(kind)
    assert torch.equal(_decoded(codec, photo), before)


def test_grey_photos_leave_the_colours_of_a_colour_codec_as_they_are(photo: torch.Tensor) -> None:
    grey = photo[:1].expand(3, -1, -1).contiguous()
    codec = Codec.fit([grey], SPEC, patches=4_000, deblock="linear", progress=False)
    decoded = _decoded(codec, grey).float()
    assert (decoded.amax(0) - decoded.amin(0)).max() < 8


def test_what_cannot_deblock_is_refused(photos: list[torch.Tensor], codec: Codec) -> None:
    with pytest.raises(SmaltiError, match="'median' is no way"):
        codec.add_deblocker("median")
    with pytest.raises(SmaltiError, match="train_deblocker"):
        Codec.fit(photos, SPEC, deblock="convolutional")
    with pytest.raises(SmaltiError, match="twice"):
        Codec.fit(iter(photos), SPEC, deblock="linear")
