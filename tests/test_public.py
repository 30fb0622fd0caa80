"""What is public, and that what stands outside the package uses nothing else."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import smalti

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted([*ROOT.glob("benchmarks/*.py"), *ROOT.glob("examples/*.py"), *ROOT.glob("tools/*.py")])
DOCUMENTS = sorted(
    {*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("src/**/*.md")}
)
ROOMS = sorted(
    path.stem
    for path in (ROOT / "src" / "smalti").iterdir()
    if (path.suffix == ".py" or (path / "__init__.py").is_file()) and not path.name.startswith("_")
)


def _not_public(tree: ast.AST) -> Iterator[str]:
    """Imports from smalti that are of no name that smalti, or a room of it, offers."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.startswith("smalti."))
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "smalti":
            module = node.module or ""
            offered = set(importlib.import_module(module).__all__) if module.count(".") <= 1 else set()
            yield from (f"{module}.{each.name}" for each in node.names if each.name not in offered)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_import_only_what_is_public(script: Path) -> None:
    assert list(_not_public(ast.parse(script.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_code_in_documents_imports_only_what_is_public(document: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert [found for block in blocks for found in _not_public(ast.parse(block))] == []


@pytest.mark.parametrize(
    "code",
    [
        "import smalti.codec",
        "from smalti.codec.codec import Codec",
        "from smalti import _FOR_DIFFUSERS",
        "from smalti import cli",
    ],
)
def test_what_is_not_public_is_found(code: str) -> None:
    assert list(_not_public(ast.parse(code)))


@pytest.mark.parametrize(
    "room", [room for room in ROOMS if hasattr(importlib.import_module(f"smalti.{room}"), "__all__")]
)
def test_a_room_has_what_it_offers(room: str) -> None:
    module = importlib.import_module(f"smalti.{room}")
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert len(set(module.__all__)) == len(module.__all__)


def test_every_public_name_is_offered_by_the_room_that_it_comes_from() -> None:
    tree = ast.parse((ROOT / "src" / "smalti" / "__init__.pyi").read_text(encoding="utf-8"))
    told = [
        (node.module, each.name, each.asname)
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for each in node.names
    ]
    for room, name, public in told:
        assert name == public
        assert name in importlib.import_module(f"smalti.{room}").__all__
    assert sorted(name for _, name, _ in told) == sorted(smalti.__all__)


def test_all_public_names_are_to_be_had() -> None:
    for name in smalti.__all__:
        assert getattr(smalti, name).__name__ == name
