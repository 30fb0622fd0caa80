"""What may import what: a lower room may import a higher one, never the other way round (docs/architecture.md)."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "smalti"
MOST_LINES = 300

# From the ground up; a room may import those before it, as far as named here.
GROUND = {"errors", "machine", "signals", "locks", "files", "digests", "records", "pixels", "random", "iterables"}
GROUND |= {"threads", "sizes", "progress", "mixins"}
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "machine": set(),
    "signals": set(),
    "locks": {"errors"},
    "files": {"errors", "machine", "signals", "locks"},
    "digests": {"errors", "files"},
    "records": {"errors"},
    "pixels": {"errors"},
    "random": set(),
    "sizes": {"errors"},
    "iterables": set(),
    "threads": set(),
    "progress": set(),
    "mixins": set(),
    "devices": {"errors"},
    "processes": {"errors", "threads", "devices"},
    "hub": {"errors"},
    "component": {"errors", "files", "digests", "mixins"},
    "model_folder": {"errors", "files", "digests", "hub"},
    "metrics": GROUND,
    "report": GROUND,
    "nets": GROUND | {"component"},
    "codec": GROUND | {"hub", "component", "nets"},
    "diffusion": GROUND | {"component", "codec"},
    "schedulers": GROUND | {"devices", "diffusion"},
    "pipeline": GROUND | {"devices", "hub", "component", "model_folder", "nets", "codec", "diffusion", "schedulers"},
    "data": GROUND | {"processes", "model_folder", "codec"},
    "encoding": GROUND | {"signals", "processes", "codec", "data"},
    "training": GROUND
    | {
        "devices",
        "processes",
        "model_folder",
        "nets",
        "codec",
        "diffusion",
        "schedulers",
        "pipeline",
        "data",
    },
    "evaluation": GROUND | {"model_folder", "metrics", "report", "codec", "pipeline", "data"},
    "recipes": GROUND
    | {"devices", "model_folder", "metrics", "report", "nets", "codec", "diffusion", "schedulers", "pipeline", "data"}
    | {"hub", "encoding", "training", "evaluation"},
    "app": GROUND
    | {"devices", "model_folder", "metrics", "report", "nets", "codec", "schedulers", "pipeline", "data"}
    | {"training", "recipes"},
    "cli": GROUND
    | {"devices", "model_folder", "nets", "codec", "diffusion", "pipeline", "encoding", "training"}
    | {"evaluation", "recipes", "app"},
}


def _imports(path: Path) -> set[str]:
    """The rooms that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "smalti" else [f"smalti.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("smalti.")}
    return found


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if _room(path) not in ("__init__", "__main__")]
EACH_MODULE = pytest.mark.parametrize("module", MODULES, ids=[str(path.relative_to(PACKAGE)) for path in MODULES])


@EACH_MODULE
def test_a_module_imports_only_what_its_room_may(module: Path) -> None:
    room = _room(module)
    assert _imports(module) <= ROOMS[room] | {room}


def test_the_rooms_stand_on_each_other_without_a_circle() -> None:
    order = list(ROOMS)
    for room, below in ROOMS.items():
        assert all(order.index(other) < order.index(room) for other in below)


def test_every_arrow_that_is_allowed_is_there() -> None:
    """Outside the ground, which all stand on: what nobody uses any more is not kept open."""
    for room, below in ROOMS.items():
        used = set().union(*(_imports(module) for module in MODULES if _room(module) == room))
        assert below - GROUND <= used, room


@EACH_MODULE
def test_a_module_reads_in_one_sitting(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@EACH_MODULE
def test_what_a_pixel_is_is_said_in_one_place(module: Path) -> None:
    """The highest value of 8 bits, and the colours that are coded, are known to `pixels.py` alone."""
    if _room(module) == "pixels":
        return
    tree = ast.parse(module.read_text(encoding="utf-8"))
    numbers = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert not {255, 127.5} & {value for value in numbers if isinstance(value, int | float)}


@EACH_MODULE
def test_what_a_model_folder_holds_is_known_to_its_owner_alone(module: Path) -> None:
    if _room(module) in ("model_folder", "cli"):  # the command line tells people of them
        return
    tree = ast.parse(module.read_text(encoding="utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    said = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation
    }
    own = {"model_index.json", "create.json", "checkpoints", "refining", "refine.json", "progress", "levels.json"}
    assert not own & said


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys; from smalti.cli import main; main(['--help']); print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.endswith("False\n")


def test_the_document_names_every_room() -> None:
    document = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = {name.removesuffix(".py").strip("/") for name in re.findall(r"`([\w/]+(?:\.py)?/?)`", document)}
    assert set(ROOMS) <= named
