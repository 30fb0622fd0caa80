import torch

from smalti.nets.codeword_head import CodewordHead


def _head(features: int = 24) -> tuple[CodewordHead, torch.Tensor]:
    torch.manual_seed(0)
    coordinates = torch.randn(2, 10, 3)
    coordinates[1, 8:] = torch.inf  # the second codebook has 8 codewords
    head = CodewordHead(2, 10, features)
    head.begin(coordinates)
    return head, coordinates


def test_it_can_say_any_gaussian_of_the_coordinates() -> None:
    head, coordinates = _head()
    wanted = torch.stack([-(rows - 0.3).square().sum(1) for rows in coordinates]).double()  # the log of a Gaussian
    for codebook, size in ((0, 10), (1, 8)):
        known = torch.cat([head.phi[codebook, :size, :9].detach().double(), torch.ones(size, 1).double()], 1)
        said = known @ (torch.linalg.pinv(known) @ wanted[codebook, :size])
        torch.testing.assert_close(said, wanted[codebook, :size], atol=1e-3, rtol=1e-3)


def test_a_place_reads_its_own_hidden_channels_and_every_codeword_has_a_logit() -> None:
    head, _ = _head()
    hidden = torch.randn(3, head.in_channels, 4, 5)
    logits = head(hidden)
    assert logits.shape == (3, 2, 10, 4, 5)
    at_one = torch.einsum("d,kd->k", hidden[1].unflatten(0, (2, -1))[1, :, 2, 3], head.phi[1]) + head.bias[1]
    torch.testing.assert_close(logits[1, 1, :, 2, 3], at_one)


def test_rows_that_stand_for_no_codeword_have_no_features() -> None:
    head, _ = _head()
    assert not head.phi[1, 8:].any()
    assert head.phi[1, :8].any(1).all()


def test_few_features_are_the_coordinates_alone() -> None:
    head, coordinates = _head(3)
    assert head.phi.shape == (2, 10, 3)
    centred = coordinates[0] - coordinates[0].mean(0)
    torch.testing.assert_close(head.phi[0], centred / centred.std(0, unbiased=False))
