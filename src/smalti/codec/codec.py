"""The codec: pixels to a grid of integers and back (paper section 3.1)."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64, Integer
from torch import Tensor
from torch.nn.functional import embedding_bag

from smalti.codec.bundled import bundled_codecs, bundled_folder
from smalti.codec.closed_loop import choose_again
from smalti.codec.deblocking import Deblock, Deblocker, make_deblocker
from smalti.codec.on_hub import OnHub
from smalti.codec.patches import from_patches, on_grid, pad_to_patches, require_batch, to_patches
from smalti.codec.search import search
from smalti.codec.spec import CodecSpec
from smalti.codec.tiles import coded
from smalti.errors import SmaltiError, require_at_least, require_seed
from smalti.files import fingerprint
from smalti.mixins import register_to_config
from smalti.pixels import GREY_LEVELS, PixelFormat
from smalti.random import keyed_uniform

FORMAT_VERSION = 2


class Codec(OnHub):
    """Additive codebooks for the patches of each colour plane, sorted along their first principal component.

    `codebooks` (c, K, n) holds the codewords of each latent channel at full patch length, n = s * s, in grey levels of
    the planes that are coded, less 128. Where codebooks differ in size they are padded to the largest, and `valid`
    tells which rows are codewords. `usage` (c, K) counts how often each was chosen for the patches of the fit.
    `rotations` (C, n, n) are what OPQ learned; only encoding uses them, decoding is a sum of codewords whatever the
    quantizer. With `deblock` a patch is decoded with an eye on its neighbours: "linear" is fitted in closed form,
    "convolutional" is a small network (`smalti.training.train_deblocker`). `pixel_format` holds the fields of a
    `PixelFormat`; left out, planes of 8 bits: one is grey, three are RGB.
    """

    codebooks: Tensor
    rotations: Tensor
    usage: Tensor
    deblocker: Deblocker

    @register_to_config
    def __init__(
        self,
        spec: str,
        beam: int = 8,
        deblock: str = "none",
        deblock_width: int = 48,
        deblock_blocks: int = 4,
        format_version: int = FORMAT_VERSION,
        pixel_format: dict[str, Any] | None = None,
    ):
        super().__init__()
        if format_version != FORMAT_VERSION:
            raise SmaltiError(
                f"the codec has format {format_version}, this version of smalti reads {FORMAT_VERSION}; "
                f"{'update smalti' if format_version > FORMAT_VERSION else 'fit it again'}."
            )
        self.spec = CodecSpec.parse(spec)
        planes = self.spec.planes
        self.pixel_format = PixelFormat(**pixel_format) if pixel_format else PixelFormat.of_planes(planes)
        if self.pixel_format.planes != planes:
            raise SmaltiError(f"{self.spec} is for {planes} planes, pixels are {self.pixel_format}; make them agree.")
        self.beam = beam
        rotations = torch.zeros(planes, self.spec.dimension, self.spec.dimension)
        rotations.diagonal(dim1=1, dim2=2).fill_(1)  # `torch.eye` would import the compiler, on the meta device
        self.register_buffer("rotations", rotations, persistent=self.spec.quantizer == "OPQ")
        shape = (len(self.spec.codewords), max(self.spec.codewords))
        self.register_buffer("codebooks", torch.zeros(*shape, self.spec.dimension))
        self.register_buffer("usage", torch.zeros(shape))
        self.add_deblocker(deblock, deblock_width, deblock_blocks)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> "Codec":
        """Load what `save_pretrained` wrote, here or as `owner/name` on the Hub, or a codec of the package by its name.

        Raises:
            SmaltiError: there is none, or a file is missing, cut short, of another kind, or of another version.
        """
        path = Path(pretrained_model_name_or_path)
        folder = path if path.is_dir() else bundled_folder(str(path)) or cls.downloaded(path, options)
        if folder is None:
            raise SmaltiError(
                f"{path}: there is no such folder, nor a codec of that name; take one that `smalti fit` wrote, or "
                f"{', '.join(bundled_codecs())}."
            )
        return super().from_pretrained(folder, **options)

    def add_deblocker(self, kind: str, width: int = 48, blocks: int = 4) -> Deblocker:
        """Give the codec another, unfitted deblocker, which changes nothing as yet; or take it away ("none").

        Raises:
            SmaltiError: an unknown kind.
        """
        self.deblocker = make_deblocker(kind, self.spec, width, blocks)
        self.register_to_config(deblock=kind, deblock_width=width, deblock_blocks=blocks)
        return self.deblocker

    @classmethod
    def fit(
        cls,
        images: Iterable[Tensor],
        spec: str,
        *,
        patches: int = 150_000,
        beam: int = 8,
        deblock: Deblock = "none",
        pixel_format: PixelFormat | None = None,
        seed: int = 0,
        progress: bool = True,
    ) -> "Codec":
        """Fit a codec on at most `patches` patches drawn from `images`, tensors (C, H, W) of any sizes.

        They are uint8, one plane grey or three of RGB, unless `pixel_format` says otherwise.

        The same images, spec and seed give the same codebooks with any number of threads, on one build of faiss and
        one kind of processor. `beam` is the width of the search of RQ and LSQ, in fitting and in encoding. With
        `deblock="linear"` the images are gone through twice.

        Raises:
            SmaltiError: the spec does not parse or divide, the images do not match it, there are fewer patches than
                codewords, or a number is out of range.
        """
        from smalti.codec.fitting import fit_tables  # imports faiss, which a codec that is fitted does without

        require_at_least(1, patches=patches, beam=beam)
        require_seed(seed)
        if deblock == "convolutional":
            raise SmaltiError(
                "a convolutional deblocker is trained: fit without one, then train_deblocker(codec, images)."
            )
        if deblock == "linear" and iter(images) is images:
            raise SmaltiError("the linear deblocker goes through the images twice; give a list, not an iterator.")
        form = None if pixel_format is None else asdict(pixel_format)
        codec = cls(spec=str(CodecSpec.parse(spec)), beam=beam, deblock=deblock, pixel_format=form)
        tables = fit_tables(
            images, codec.spec, codec.pixel_format, patches=patches, beam=beam, seed=seed, progress=progress
        )
        codec.rotations.copy_(tables.rotations)
        for channel, (codebook, usage) in enumerate(zip(tables.codebooks, tables.usage, strict=True)):
            codec.codebooks[channel, : len(codebook)] = codebook
            codec.usage[channel, : len(usage)] = usage
        codec.deblocker.fit(codec._grids(images, tables.share, seed))
        return codec.eval()

    def _grids(self, images: Iterable[Tensor], share: float, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Decoded and original grids of patches, of about a share of the images, at least the first."""
        for number, image in enumerate(images):
            if number and keyed_uniform(seed, "deblock", [number])[0] >= share:
                continue
            pixels = pad_to_patches(image[None], self.spec.patch)
            z = self.encode(pixels)
            original = to_patches(self.pixel_format.to_planes(self.pixel_format.levels(pixels)), self.spec.patch)
            grid = (z.shape[2], z.shape[3])
            yield on_grid(self._sums(z), grid), on_grid(original, grid)

    def encode(self, x: Integer[Tensor, "B C H W"], *, rounds: int = 0) -> Int64[Tensor, "B c h w"]:
        """The latent of `x`: for each patch and channel the index of a codeword, 0 is the darkest.

        Sides that are no multiple of the patch are continued by their last pixel; h = ceil(H / s). With a deblocker,
        `rounds` of choosing again by what it makes of the codes bring the decoded picture nearer, at the time of
        decoding it about ten times a round. Pictures of more than a megapixel are coded in tiles.

        Raises:
            SmaltiError: `x` is no batch of images of the codec's pixel format.
        """
        require_batch(x)
        self.pixel_format.check(x, "the image")
        require_at_least(0, rounds=rounds)
        patch, again = self.spec.patch, rounds if self.config["deblock"] != "none" else 0

        def codes(padded: Integer[Tensor, "b C H W"]) -> Int64[Tensor, "b c h w"]:
            levels = self.pixel_format.levels(padded)
            z = self.encode_float(levels)
            return choose_again(self, levels, z, again) if again else z

        margin = again * (2 + -(-self.deblocker.reach // patch))
        return coded(codes, pad_to_patches(x, patch), patch, margin, (patch, 1))

    def encode_float(self, x: Float[Tensor, "B C H W"]) -> Int64[Tensor, "B c h w"]:
        """The latent of grey levels, which need not lie in 0..255; sides are multiples of the patch."""
        rows, columns = self.spec.grid(*x.shape[2:])
        patches = to_patches(self.pixel_format.to_planes(x), self.spec.patch)
        codes = search(self.spec.quantizer, patches, self._by_plane(), self.rotations, self.beam)
        return codes.reshape(len(x), rows, columns, -1).permute(0, 3, 1, 2).contiguous()

    def decode(self, z: Int64[Tensor, "B c h w"], size: tuple[int, int] | None = None) -> Integer[Tensor, "B C H W"]:
        """The image of a latent, clipped and rounded to pixels; `size` = (H, W) crops what `encode` padded.

        Raises:
            SmaltiError: a wrong number of channels, an index that no codeword has, or a size of another grid.
        """
        if z.ndim != 4 or z.is_floating_point():
            raise SmaltiError(f"{z.dtype} of shape {tuple(z.shape)}: latents are integers (B, c, h, w).")
        self._check(z.shape[1], z.shape[2:], size)
        limits = torch.tensor(self.spec.codewords, device=z.device)[:, None, None]
        if ((z < 0) | (z >= limits)).any():
            raise SmaltiError(f"the latent holds an index that {self.spec} has no codeword for.")

        def pixels(part: Int64[Tensor, "b c h w"]) -> Integer[Tensor, "b C H W"]:
            return self.pixel_format.pixels(self.decode_float(part))

        margin = -(-self.deblocker.reach // self.spec.patch)
        made = coded(pixels, z, self.spec.patch, margin, (1, self.spec.patch))
        return made if size is None else made[..., : size[0], : size[1]]

    @torch.no_grad()
    def decode_float(
        self, z: Int64[Tensor, "B c h w"], size: tuple[int, int] | None = None
    ) -> Float[Tensor, "B C H W"]:
        """The image of a latent in grey levels, before it is clipped and rounded; indices are taken on trust."""
        pixels = self._assemble(self._sums(z), (z.shape[2], z.shape[3]))
        return pixels if size is None else pixels[..., : size[0], : size[1]]

    def decode_plain(self, z: Int64[Tensor, "B c h w"]) -> Float[Tensor, "B C H W"]:
        """The image of a latent as its codewords alone make it, without the deblocker, not clipped."""
        planes = from_patches(self._sums(z), (z.shape[2], z.shape[3]), self.spec.patch)
        return self.pixel_format.from_planes(planes)

    def _sums(self, z: Int64[Tensor, "B c h w"]) -> Float[Tensor, "C N n"]:
        """The patches that a latent stands for: sums of codewords."""
        codes = z.permute(0, 2, 3, 1).flatten(0, 2)
        planes, first = [], 0
        for books in self._by_plane():
            m, k, n = books.shape
            rows = codes[:, first : first + m] + k * torch.arange(m, device=codes.device)
            planes.append(embedding_bag(rows, books.reshape(m * k, n), mode="sum"))
            first += m
        return torch.stack(planes)

    def _assemble(self, patches: Float[Tensor, "C N n"], grid: tuple[int, int]) -> Float[Tensor, "B C H W"]:
        """Grey levels of patches, deblocked, not clipped."""
        planes = from_patches(self.deblocker.patches(patches, grid), grid, self.spec.patch)
        return self.deblocker.picture(self.pixel_format.from_planes(planes))

    def decode_soft(
        self, p: Float[Tensor, "B c K h w"], size: tuple[int, int] | None = None
    ) -> Float[Tensor, "B C H W"]:
        """The image of distributions over the codewords: each patch is the sum of its expected codewords.

        Differentiable in `p`. Grey levels lie in 0..255; where a sum leaves that range it is clipped, and the gradient
        passes as if it were not. With one-hot `p` this is `decode` before rounding. Weight on padding counts nothing.

        Raises:
            SmaltiError: a wrong number of channels or codewords, or a size of another grid.
        """
        self._check(p.shape[1], p.shape[3:], size)
        if p.shape[2] != self.codebooks.shape[1]:
            raise SmaltiError(f"distributions over {p.shape[2]} codewords do not fit {self.spec}.")
        planes, first = [], 0
        for books in self._by_plane():
            m, k, _ = books.shape
            patches = torch.einsum("bmkhw,mkn->bhwn", p[:, first : first + m, :k].float(), books)
            planes.append(patches.flatten(0, 2))
            first += m
        levels = self._assemble(torch.stack(planes), (p.shape[3], p.shape[4]))
        levels = levels + (levels.clamp(0, GREY_LEVELS) - levels).detach()
        return levels if size is None else levels[..., : size[0], : size[1]]

    def _by_plane(self) -> list[Float[Tensor, "m K n"]]:
        """The codebooks of each plane, without padding."""
        planes = zip(self.codebooks.split(list(self.spec.stages)), self.spec.index_bits, strict=True)
        return [books[:, : 2**bits] for books, bits in planes]

    def _check(self, channels: int, grid: torch.Size, size: tuple[int, int] | None) -> None:
        if channels != len(self.spec.codewords):
            raise SmaltiError(f"the latent has {channels} channels and {self.spec} has {len(self.spec.codewords)}.")
        if size is not None and self.spec.grid(*size) != tuple(grid):
            raise SmaltiError(f"an image of {size[0]}x{size[1]} pixels has no latent of {grid[0]}x{grid[1]} patches.")

    @property
    def valid(self) -> Bool[Tensor, "c K"]:
        """Which rows of `codebooks` are codewords, and not padding."""
        sizes = torch.tensor(self.spec.codewords, device=self.codebooks.device)
        return torch.arange(self.codebooks.shape[1], device=self.codebooks.device) < sizes[:, None]

    @property
    def bits_per_pixel(self) -> float:
        """Bits of fixed-length code for one pixel, all planes together."""
        return self.spec.bits_per_pixel

    @property
    def compression_ratio(self) -> float:
        """Bits of an image over bits of its code."""
        return self.pixel_format.bits / self.spec.bits_per_pixel

    @property
    def fingerprint(self) -> str:
        """Changes when spec, pixels or any codeword change, not with the deblocker; latents and models carry it."""
        usual = self.pixel_format == PixelFormat.of_planes(self.spec.planes)
        return fingerprint(
            str(self.spec) if usual else f"{self.spec}, {self.pixel_format}", self.codebooks.cpu().numpy()
        )
