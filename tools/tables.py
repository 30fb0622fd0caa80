"""Write the tables of figures in the documents, from `benchmarks/results` and the records of the bundled codecs.

    python tools/tables.py [--check]

A table stands between the lines `<!-- NAME -->` and `<!-- / -->`, and has a function here that builds it. Which rows
are shown, and what they are called, is said there; every figure is read from a result, or from `benchmarks/paper.json`.
With `--check` nothing is written: documents that are not up to date are named, and the exit status is 1.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from smalti import CodecSpec, SmaltiError
from smalti.files import read_json

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "docs/**/*.md", "benchmarks/README.md")
STANDARD = ("baboon", "peppers", "lenna")
SEPARATOR = " / "
RGB_BITS = 24  # of a pixel that is not coded

_MARKER = re.compile(r"^<!-- (\w+|/) -->\n", re.MULTILINE)


class Sources:
    """Where figures are read from: the files below a copy of the project."""

    def __init__(self, root: Path):
        self.root = root

    def paper(self) -> dict[str, Any]:
        """What the paper found."""
        return read_json(self.root / "benchmarks" / "paper.json")

    def result(self, name: str) -> dict[str, Any]:
        """What a benchmark found."""
        return read_json(self.root / "benchmarks" / "results" / f"{name}.json")

    def rows(self, name: str, *key: str) -> dict[tuple[str, ...], dict[str, Any]]:
        """The rows of a benchmark's table by the cells of some columns."""
        return _Known(name, ((tuple(row[column] for column in key), row) for row in self.result(name)["table"]))

    def points(self, name: str) -> tuple[dict[str, dict[str, Any]], list[int]]:
        """What a comparison of rates found, by the first word of our codecs and the names of others.

        Beside it the positions of Baboon, Peppers and Lenna among its photos.
        """
        found = self.result(name)
        points = (
            (point["name"].split()[0] if point["family"] == "smalti" else point["name"], point)
            for point in found["points"]
        )
        return _Known(name, points), [found["photos"].index(photo) for photo in STANDARD]

    def bundled(self) -> dict[str, dict[str, Any]]:
        """What was recorded of the codecs that come along, fewest bits first."""
        folder = self.root / "src" / "smalti" / "codec" / "bundled"
        records = [(path.parent.name, read_json(path)) for path in folder.glob("*/fit.json")]
        return dict(sorted(records, key=lambda record: record[1]["bits_per_pixel"]))


class _Known(dict):
    """Rows of a result by their keys; asking for one that is not there says so in a sentence."""

    def __init__(self, name: str, rows: Iterable[tuple[Any, Any]]):
        super().__init__(rows)
        self.name = name

    def __missing__(self, key: Any) -> Any:
        raise SmaltiError(f"results/{self.name}.json: has no row {key}; run the benchmark again, or show another row.")


def codec_speed(sources: Sources) -> str:
    """Images a second, and how many times as many as learned autoencoders."""
    peers = ("VQ-f4", "AutoencoderTiny")

    def figure(value: float) -> str:
        return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"

    rows = []
    for row in sources.result("codec_speed")["table"]:
        speeds = [figure(row[f"{way}, images/s"]) for way in ("encode", "decode")]
        times = [[figure(row[f"{way}, times {peer}"]) for way in ("encode", "decode")] for peer in peers]
        rows.append([row["codec"], *speeds, *map(SEPARATOR.join, times)])
    return _table(["", "encode, images/s", "decode, images/s", *(f"times {peer}" for peer in peers)], rows)


def as_printed(name: str) -> Callable[[Sources], str]:
    """A result's table as its script prints it."""

    def table(sources: Sources) -> str:
        rows = sources.result(name)["table"]
        cells = [[f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row.values()] for row in rows]
        return _table(list(rows[0]), cells)

    return table


def table1(sources: Sources) -> str:
    """Our codecs beside the paper's, on its three photos."""
    found = sources.rows("table1", "codec", "image")
    rows = []
    for codec in dict.fromkeys(codec for codec, _ in found):
        photos = [found[codec, photo] for photo in STANDARD]
        rate = RGB_BITS / float(photos[0]["ratio"].removeprefix("1:"))
        columns = ("paper PSNR", "PSNR, wrapped", "true PSNR", "paper SSIM", "SSIM")
        rows.append([codec, f"{rate:g}"] + [SEPARATOR.join(photo[name] for photo in photos) for name in columns])
    headers = ["codec", "bits a pixel", "PSNR, wrapped: paper", "ours", "true PSNR, ours", "SSIM: paper", "ours"]
    return f"Each cell: Baboon / Peppers / Lenna, PSNR in dB.\n\n{_table(headers, rows)}"


def bundled(sources: Sources) -> str:
    """What the codecs that come along keep of the three photos, at which rate."""
    points, photos = sources.points("rate_distortion")
    rows = []
    for name, record in sources.bundled().items():
        point, spec = points[name], CodecSpec.parse(record["settings"]["codec"])
        if point["name"] != f"{name} ({spec})":
            raise SmaltiError(f"results/rate_distortion.json: is of {point['name']}, now {spec}; run it again.")
        rates = [f"{rate:.3f}" for rate in (record["bits_per_pixel"], point["coded_rate"])]
        rows.append([f"`{name}`", f"{spec.patch}x{spec.patch}", *rates, *_quality(point, photos)])
    return _table(["", "patches", "bits a pixel", "after entropy coding", "PSNR, dB", "SSIM"], rows)


def rate_distortion(sources: Sources) -> str:
    """Our codecs beside learned autoencoders and JPEG, at two rates."""
    points, photos = sources.points("rate_distortion")
    shown = {
        "photo-high": "`photo-high`",
        "VQ-f4 (paper)": "VQ-f4",
        "JPEG at 0.812": "JPEG",
        "photo-low": "`photo-low`",
        "VQ-f8 (paper)": "VQ-f8",
        "JPEG at 0.219": "JPEG",
    }
    rows = [
        [words, f"{points[name]['rate']:.3f}", *_quality(points[name], photos, 2 if "paper" in name else 3)]
        for name, words in shown.items()
    ]
    return _table(["", "bits a pixel", "PSNR, dB", "SSIM"], rows)


def ablation(sources: Sources) -> str:
    """Ways to model the codes: those of seed 0, measured by 2,000 pictures of 50 calls."""
    found = sources.rows("ablation", "process and coordinates", "sampler, temperature, calls", "seed", "pictures")
    names = _distances("ablation", sources)
    best = ("categorical, 4 principal", "ddpm, 0.5")
    shown = {
        ("continuous, rank, unsorted", "ddim"): ["continuous", "rank, unsorted", "DDIM"],
        ("continuous, rank", "ddim"): ["continuous (the paper's)", "rank", "DDIM"],
        ("continuous, 1 principal", "ddim"): ["continuous", "1 principal", "DDIM"],
        ("continuous, 4 principal", "ddim"): ["continuous", "4 principal", "DDIM"],
        ("categorical, rank", "ddpm, 2.2"): ["categorical (the paper's)", "rank", "draws, τ = 2.2"],
        ("categorical, rank", "ddpm, 1.0"): ["", "", "draws, τ = 1"],
        ("categorical, rank", "ddpm, 0.5"): ["", "", "draws, τ = 0.5"],
        ("categorical, rank", "ddpm, 0.0"): ["", "", "likeliest, τ = 0"],
        ("categorical, rank", "ddim, expectation"): ["", "", "expectation, DDIM"],
        ("categorical, 4 principal", "ddpm, 1.0"): ["categorical", "4 principal", "draws, τ = 1"],
        ("categorical, 4 principal", "ddpm, 0.8"): ["", "", "draws, τ = 0.8"],
        best: ["", "", "draws, τ = 0.5"],
        ("categorical, 4 principal", "ddim, expectation"): ["", "", "expectation, DDIM"],
        ("categorical, 4 principal, self-conditioning", "ddpm, 0.5"): ["with self-conditioning", "", "draws, τ = 0.5"],
        ("categorical, 4 principal, image term", "ddpm, 0.5"): ["with the image-space term", "", "draws, τ = 0.5"],
        ("categorical, 4 principal, likelihood", "ddpm, 0.5"): [
            "with the likelihood of the state",
            "",
            "draws, τ = 0.5",
        ],
        ("masked", "unmask-halton, 1.0"): ["masked", "4 principal", "Halton order, τ = 1"],
        ("masked", "unmask-halton, 0.5"): ["", "", "Halton order, τ = 0.5"],
    }
    floors = {"real against real": "other photos", "the same, through the codec": "the same, through the codec"}
    rows = []
    for floor, words in floors.items():
        figures = found[floor, "", "", "2000"]
        rows.append([f"*{words}*", "", "", *(figures[name] for name in names)])
    for (row, sampler), words in shown.items():
        figures = found[f"{row}, unet", f"{sampler}, 50 calls", "0", "2000"]
        cells = [*words, *(figures[name] for name in names)]
        rows.append(_bold(cells) if (row, sampler) == best else cells)
    return _table(["process", "coordinates", "sampling", *names], rows)


def trainings(name: str, sources: Sources) -> str:
    """All rows of an ablation: what was trained, how it was sampled, and what that measures."""
    names = _distances(name, sources)
    rows = [
        [
            _floor(row["process and coordinates"]).removesuffix(", unet"),
            row["sampler, temperature, calls"],
            row["seed"],
            *(row[name] for name in names),
        ]
        for row in sources.result(name)["table"]
    ]
    return _table(["training", "sampling", "seed", *names], rows)


def equal_minutes(result: str, sources: Sources) -> str:
    """What the same minutes of a core bring, by each way."""
    columns = ["minutes", "images", "network, sampler", *_distances(result, sources)]
    rows = [[_floor(row["way"]), *(row[name] for name in columns)] for row in sources.result(result)["table"]]
    return _table(["way", *columns], rows)


def _floor(name: str) -> str:
    """The name of a row, in italics where it is what real photos score."""
    return f"*{name}*" if name in ("real against real", "the same, through the codec") else name


def table2(sources: Sources) -> str:
    """The paper's Table 2 at the scale of a laptop, beside its FID on larger photos."""
    found = sources.rows("table2_cats_cpu", "model")
    names = _distances("table2_cats_cpu", sources)
    published = sources.paper()["FID of table 2"]
    cats, churches = published["lsun-cat-256"], published["lsun-church-256"]
    shown = {
        "Continuous": "Continuous",
        "Continuous + Refiner": "Continuous + Refiner",
        "Continuous + Refiner of guesses": "Continuous + Refiner of guesses",
        "Categorical (τ = 1.0)": "Categorical (τ = 1.0)",
        "Categorical (τ = 2.2)": "Categorical (τ = 2.2)",
        "Ours": "Ours (4 principal, τ = 0.5)",
        "Ours + Refiner": "Ours + Refiner",
        "Ours + Refiner of guesses": "Ours + Refiner of guesses",
    }
    rows = []
    for model, words in shown.items():
        fid = SEPARATOR.join(f"{each[model]:.2f}" if model in each else "-" for each in (cats, churches))
        cells = [words, *(found[model,][name] for name in names), fid if model in cats else ""]
        rows.append(_bold(cells) if model == "Ours + Refiner" else cells)
    return _table(["model", *names, "paper's FID, cats / churches"], rows)


def refiner(sources: Sources) -> str:
    """What a refiner makes of decoded photos."""
    found = sources.rows("refiner", "model")
    deblocker = "+ the codec's own deblocker"
    shown = {
        "codec alone": "codec alone",
        "+ refiner": "+ refiner",
        deblocker: f"{deblocker} (the same network, to least squared error)",
        "+ refiner of guesses (latest = 300)": "+ refiner of guesses",
    }
    rows = []
    for model, words in shown.items():
        row = found[model,]
        cells = [
            f"{row[f'{photos}, PSNR, dB']} dB / {_short(row[f'{photos}, SSIM'])}" for photos in ("kodak", "standard")
        ]
        rows.append([words, *(_bold(cells) if model == "+ refiner" else cells)])
    return _table(["", "24 Kodak photos, PSNR / SSIM", "Baboon, Peppers, Lenna"], rows)


def batches(sources: Sources) -> str:
    """What a batch of latents takes to make, beside the step that it is for."""
    rows = sources.result("scaling")["batches"]
    told = [[f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row.values()] for row in rows]
    return _table(list(rows[0]), told)


_PRINTED = ("sampling_speed", "folder_speed", "scaling", "encoding", "few_photos", "fine_tuning", "inpainting")

TABLES: dict[str, Callable[[Sources], str]] = (
    {made.__name__: made for made in (codec_speed, table1, bundled, rate_distortion, ablation, table2, refiner)}
    | {"batches": batches}
    | {name: partial(trainings, name) for name in ("levers", "levers_alone")}
    | {name: partial(equal_minutes, name) for name in ("equal_minutes_32", "equal_minutes_64")}
    | {name: as_printed(name) for name in _PRINTED}
)


def render(text: str, root: Path, where: str) -> str:
    """A document with its tables as they are to be.

    Raises:
        SmaltiError: a marker of a table that is not known, or one that is not closed; or a result is missing.
    """
    parts = _MARKER.split(text)  # text, name, text, name ...
    names = parts[1::2]
    if len(names) % 2 or any((name == "/") != (place % 2 == 1) for place, name in enumerate(names)):
        raise SmaltiError(f"{where}: a table is not closed, or closed twice; end each with <!-- / -->.")
    for place in range(1, len(parts), 4):
        name = parts[place]
        if name not in TABLES:
            raise SmaltiError(f"{where}: '{name}' is no table; take one of {', '.join(TABLES)}.")
        parts[place + 1] = f"{TABLES[name](Sources(root))}\n"
    return "".join(f"<!-- {part} -->\n" if number % 2 else part for number, part in enumerate(parts))


def stale(root: Path) -> dict[Path, str]:
    """The documents that are not up to date, with what they should say."""
    found = {}
    for path in (path for pattern in DOCUMENTS for path in sorted(root.glob(pattern))):
        text = path.read_text(encoding="utf-8")
        made = render(text, root, str(path.relative_to(root)))
        if made != text:
            found[path] = made
    return found


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Write the tables, or say which documents are stale; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if something is stale")
    check = parser.parse_args(arguments).check
    try:
        found = stale(root)
    except SmaltiError as error:
        print(f"tables: {error}", file=sys.stderr)
        return 2
    for path, text in found.items():
        if not check:
            path.write_text(text, encoding="utf-8")
        print(f"{path.relative_to(root)}: {'its tables are stale; run `make tables`' if check else 'written'}")
    return 1 if check and found else 0


def _table(headers: list[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    told = ["|" + "|".join(f" {cell} " if cell else " " for cell in line) + "|" for line in lines]
    told[1] = told[1].replace(" ", "")
    return "\n".join(told)


def _bold(cells: Sequence[str]) -> list[str]:
    return [f"**{cell}**" if cell else "" for cell in cells]


def _short(similarity: str | float, digits: int = 3) -> str:
    """An SSIM below 1 without its 0."""
    return f"{float(similarity):.{digits}f}".removeprefix("0")


def _quality(point: dict[str, Any], photos: list[int], digits: int = 3) -> list[str]:
    """PSNR and SSIM of photos by their positions."""
    return [
        SEPARATOR.join(f"{point['psnr'][photo]:.2f}" for photo in photos),
        SEPARATOR.join(_short(point["ssim"][photo], digits) for photo in photos),
    ]


def _distances(result: str, sources: Sources) -> list[str]:
    """What the two distances of a comparison are called, after the network that they are taken with."""
    return [name for name in sources.result(result)["table"][0] if name.startswith(("FID", "KID", "FD-"))]


if __name__ == "__main__":
    sys.exit(main())
