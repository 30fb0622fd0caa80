"""What tests of searching and fitting codebooks share: the patches of a grey photo."""

import pytest
import torch


@pytest.fixture(scope="session")
def patches(photo: torch.Tensor) -> torch.Tensor:
    """All patches of 4x4 pixels of a photo, grey and centred: (8288, 16)."""
    grey = photo.float().mean(0)[:296, :448] - 128
    return grey.reshape(74, 4, 112, 4).permute(0, 2, 1, 3).reshape(-1, 16).contiguous()
