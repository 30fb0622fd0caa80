"""A codec in another trainer: a small transformer learns the integers of photos one after the other, in plain torch.

python examples/codec_in_another_trainer.py PHOTOS --out tokens.png --steps 2000
"""

from pathlib import Path

import torch
import tyro
from torch import Tensor, nn

from smalti import Codec, open_images
from smalti.report import grid


class Prior(nn.Module):
    """Logits (B, n, K) of each of n tokens, given those before it; token 0 of the input is the beginning."""

    def __init__(self, tokens: int, codewords: int, width: int = 128):
        super().__init__()
        self.words, self.places = nn.Embedding(codewords + 1, width), nn.Parameter(torch.zeros(tokens, width))
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True)
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, codewords)

    def forward(self, before: Tensor) -> Tensor:
        """The logits; `before` (B, n) are the tokens one place to the right."""
        n = before.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(n)
        return self.head(self.blocks(self.words(before) + self.places[:n], mask=mask, is_causal=True))


def main(photos: str, /, *, out: Path = Path("tokens.png"), size: int = 64, steps: int = 2_000) -> None:
    """Train the transformer on the codes of photos, and draw what it continues from nothing."""
    codec = Codec.from_pretrained("photo-low")  # or one of your own, by Codec.fit
    z = torch.cat([codec.encode(photo[None]) for photo in open_images(photos, size=size)])  # (N, c, h, w)
    tokens = z.permute(0, 2, 3, 1).flatten(1) + 1  # all channels of a patch, patch after patch; 0 is the beginning
    before = nn.functional.pad(tokens, (1, 0))[:, :-1]
    prior = Prior(tokens.shape[1], max(codec.spec.codewords))
    optimizer = torch.optim.AdamW(prior.parameters(), lr=1e-3)
    for step in range(steps):
        rows = torch.randint(len(tokens), (16,))
        loss = nn.functional.cross_entropy(prior(before[rows]).flatten(0, 1), tokens[rows].flatten() - 1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            print(f"step {step:,}: {loss.item():.3f} nats a token")
    made = torch.zeros(8, 1, dtype=torch.int64)
    limits = torch.tensor(codec.spec.codewords).repeat(tokens.shape[1] // z.shape[1])
    with torch.no_grad():
        for limit in limits:  # channels differ in how many codewords they have
            logits = prior(made)[:, -1, :limit]
            made = torch.cat([made, torch.multinomial(logits.softmax(1), 1) + 1], 1)
    codes = (made[:, 1:] - 1).unflatten(1, (z.shape[2], z.shape[3], z.shape[1])).permute(0, 3, 1, 2)
    grid(codec.decode(codes.contiguous(), (size, size)), columns=4).save(out)


if __name__ == "__main__":
    tyro.cli(main)
