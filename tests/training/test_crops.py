import torch

from smalti.training import TrainSettings
from smalti.training.crops import CropBatches


def test_a_crop_follows_from_its_number(photos: list[torch.Tensor]) -> None:
    batches = CropBatches(photos, 32, TrainSettings(batch_size=4))
    assert torch.equal(torch.cat([batches(4)["pixels"], batches(8)["pixels"]])[2:6], batches(6)["pixels"])
    assert batches(0)["pixels"].shape == (4, 3, 32, 32)


def test_upright_crops_stay_upright() -> None:
    """Rows of one value each stay rows, unless crops are turned."""
    photo = torch.arange(40, dtype=torch.uint8)[None, :, None].expand(3, 40, 40).contiguous()
    settings = TrainSettings(batch_size=16)
    upright = CropBatches([photo], 40, settings, turned=False)(0)["pixels"]
    assert torch.equal(upright, photo.expand_as(upright))
    assert not torch.equal(CropBatches([photo], 40, settings)(0)["pixels"], upright)
