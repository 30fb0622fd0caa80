"""The tables of figures in the documents are what `make tables` writes."""

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from smalti.errors import SmaltiError

ROOT = Path(__file__).parents[1]
MEASUREMENTS, CODECS = "docs/measurements.md", "docs/codecs.md"


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    """`tools/tables.py`, which is in no package."""
    spec = importlib.util.spec_from_file_location("tables", ROOT / "tools" / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the documents, and of all that their tables are made of."""
    for name in ("README.md", "docs", "benchmarks", "src/smalti/codec/bundled"):
        source, target = ROOT / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.safetensors", "pictures", "__pycache__"))
        else:
            shutil.copy(source, target)
    return tmp_path


def _alter(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def _documents(project: Path) -> dict[str, str]:
    paths = [project / "README.md", *sorted(project.glob("docs/**/*.md")), *sorted(project.glob("benchmarks/*.md"))]
    return {str(path.relative_to(project)): path.read_text(encoding="utf-8") for path in paths}


def test_the_documents_are_up_to_date(tables: ModuleType) -> None:
    assert [path.name for path in tables.stale(ROOT)] == []


def test_every_table_is_shown_somewhere(tables: ModuleType) -> None:
    shown = "".join(path.read_text(encoding="utf-8") for pattern in tables.DOCUMENTS for path in ROOT.glob(pattern))
    assert [name for name in tables.TABLES if f"<!-- {name} -->\n" not in shown] == []


@pytest.mark.parametrize(
    ("source", "old", "new", "document"),
    [
        ("benchmarks/results/codec_speed.json", "680.84", "1680.84", MEASUREMENTS),
        ("benchmarks/results/table1.json", '"true PSNR": "20.00"', '"true PSNR": "20.10"', MEASUREMENTS),
        ("benchmarks/results/rate_distortion.json", "20.690887", "20.790887", MEASUREMENTS),
        ("benchmarks/results/ablation.json", "599.9", "600.9", MEASUREMENTS),
        ("benchmarks/results/table2_cats_cpu.json", "233.6", "243.6", MEASUREMENTS),
        ("benchmarks/results/refiner.json", "0.8306", "0.8406", MEASUREMENTS),
        ("benchmarks/paper.json", "14.01", "15.01", MEASUREMENTS),
        ("src/smalti/codec/bundled/photo-low/fit.json", '"bits_per_pixel": 0.21', '"bits_per_pixel": 0.22', CODECS),
    ],
    ids=lambda value: Path(value).stem if value.endswith(".json") else "",
)
def test_a_changed_figure_makes_the_document_stale_until_it_is_written(
    tables: ModuleType,
    project: Path,
    capsys: pytest.CaptureFixture[str],
    source: str,
    old: str,
    new: str,
    document: str,
) -> None:
    before = _documents(project)
    _alter(project / source, old, new)
    assert tables.main(["--check"], project) == 1
    assert f"{document}: its tables are stale" in capsys.readouterr().out
    assert _documents(project) == before

    assert tables.main([], project) == 0
    assert _documents(project)[document] != before[document]
    assert tables.main(["--check"], project) == 0


def test_what_stands_around_a_table_stays(tables: ModuleType) -> None:
    text = "Before.\n<!-- a remark -->\n\n<!-- refiner -->\nold\n<!-- / -->\nAfter, `<!-- refiner -->`."
    made = tables.render(text, ROOT, "README.md")
    assert made == text.replace("old", tables.refiner(tables.Sources(ROOT)))


def test_a_marker_of_no_table_is_an_error(tables: ModuleType) -> None:
    with pytest.raises(SmaltiError, match=r"README.md: 'nothing' is no table; take one of codec_speed"):
        tables.render("<!-- nothing -->\n<!-- / -->\n", ROOT, "README.md")


@pytest.mark.parametrize(
    "text",
    ["<!-- refiner -->\n", "<!-- / -->\n", "<!-- refiner -->\n<!-- table1 -->\n<!-- / -->\n<!-- / -->\n"],
    ids=["open", "closed", "nested"],
)
def test_a_table_that_is_not_closed_is_an_error(tables: ModuleType, text: str) -> None:
    with pytest.raises(SmaltiError, match="not closed"):
        tables.render(text, ROOT, "README.md")


def test_a_row_that_is_shown_and_not_there_is_an_error_of_one_line(
    tables: ModuleType, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "benchmarks" / "results" / "refiner.json"
    result = json.loads(path.read_text(encoding="utf-8"))
    result["table"] = result["table"][1:]
    path.write_text(json.dumps(result), encoding="utf-8")
    assert tables.main([], project) == 2
    assert capsys.readouterr().err.startswith("tables: results/refiner.json: has no row ('codec alone',)")
