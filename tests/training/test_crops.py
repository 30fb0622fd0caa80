import torch

from smalti.training.crops import CropBatches


def test_a_crop_follows_from_its_number(photos: list[torch.Tensor]) -> None:
    batches = CropBatches(photos, (32, 32), seed=0)
    whole = batches(range(4, 12))["pixels"]
    assert whole.shape == (8, 3, 32, 32)
    assert torch.equal(batches(range(5, 12, 3))["pixels"], whole[1::3])


def test_upright_crops_stay_upright() -> None:
    """Rows of one value each stay rows, unless crops are turned."""
    photo = torch.arange(40, dtype=torch.uint8)[None, :, None].expand(3, 40, 40).contiguous()
    upright = CropBatches([photo], (40, 40), 0, turned=False)(range(16))["pixels"]
    assert torch.equal(upright, photo.expand_as(upright))
    assert not torch.equal(CropBatches([photo], (40, 40), 0)(range(16))["pixels"], upright)


def test_crops_may_be_of_any_shape(photo: torch.Tensor) -> None:
    upright = CropBatches([photo], (20, 40), 0, turned=False)(range(4))["pixels"]
    assert upright.shape == (4, 3, 20, 40)
    found = photo.unfold(1, 20, 1).unfold(2, 40, 1)[0]
    assert (found == upright[0, 0]).all((2, 3)).any() or (found == upright[0, 0].flip(1)).all((2, 3)).any()
