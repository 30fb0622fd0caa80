"""What can be told of a latent without a network: from each place alone, knowing how often codewords occur."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from smalti.diffusion.coordinates import Coordinates
from smalti.diffusion.draws import surprise
from smalti.diffusion.level import GaussianLevel, over


def entropy(counts: Int64[Tensor, "c K"]) -> float:
    """The cross-entropy of codewords guessed as often as they occur, in nats: the mean over channels."""
    share = counts / counts.sum(1, keepdim=True)
    return float(torch.special.entr(share).sum(1).mean())


def independent_cross_entropy(
    coordinates: Coordinates, counts: Int64[Tensor, "c K"], level: GaussianLevel, places: int = 4_096, seed: int = 0
) -> Float[Tensor, " B"]:
    """The expected cross-entropy, in nats, of the best guess that looks at one place and channel at a time.

    By Bayes' rule p(k | x_t) is proportional to n_k N(x_t; alpha_t e_k, sigma_t**2), with n_k the counts: a bound for
    networks that learn nothing from the neighbours of a place, nor from its other channels. It is the mean over
    codewords drawn as often as they occur, and over the channels.

    Args:
        coordinates: of the codewords, e_k.
        counts: how often each codeword occurs.
        level: any levels, alpha_t and sigma_t.
        places: draws for each level.
        seed: of the draws.
    """
    random = torch.Generator().manual_seed(seed)
    counts, device = counts.cpu(), coordinates.table.device
    log_share = (counts / counts.sum(1, keepdim=True)).log().to(device)[:, :, None, None]
    found = []
    for alpha, sigma in zip(level.alpha.split(1), level.sigma.split(1), strict=True):
        z = torch.multinomial(counts.double(), places, replacement=True, generator=random).to(device)[None, :, None]
        clean = coordinates.embed(z)
        noise = torch.randn(clean.shape, generator=random).to(device)
        state = over(alpha) * clean + over(sigma) * noise
        logits = coordinates.log_likelihood(state, alpha, sigma) + log_share
        found.append(surprise(logits, z).mean())
    return torch.stack(found)
