"""What may import what: a lower room may import a higher one, never the other way round (docs/architecture.md)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "smalti"

# From the ground up; a room may import those before it, as far as named here.
ROOMS: dict[str, set[str]] = {
    "files": set(),
    "random": set(),
    "devices": {"files"},
    "component": {"files"},
    "metrics": {"files"},
    "nets": {"component"},
    "codec": {"files", "random", "component", "nets"},
    "diffusion": {"files", "component", "codec"},
    "schedulers": {"files", "diffusion"},
    "pipeline": {"files", "random", "component", "codec", "diffusion", "nets", "schedulers"},
    "data": {"files", "random", "codec"},
    "training": {"files", "random", "devices", "codec", "nets", "diffusion", "schedulers", "pipeline", "data"},
    "report": {"files", "metrics"},
    "evaluation": {"files", "devices", "metrics", "codec", "diffusion", "schedulers", "pipeline", "data", "report"},
    "recipes": {"files", "metrics", "codec", "data", "schedulers", "pipeline", "training", "report", "evaluation"},
    "cli": {"files", "devices", "metrics", "codec", "data", "schedulers", "pipeline", "training", "report"}
    | {"evaluation", "recipes"},
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


@pytest.mark.parametrize("module", MODULES, ids=[str(path.relative_to(PACKAGE)) for path in MODULES])
def test_a_module_imports_only_what_its_room_may(module: Path) -> None:
    room = _room(module)
    assert _imports(module) <= ROOMS[room] | {room}


def test_the_rooms_stand_on_each_other_without_a_circle() -> None:
    order = list(ROOMS)
    for room, below in ROOMS.items():
        assert all(order.index(other) < order.index(room) for other in below)


@pytest.mark.parametrize("module", MODULES, ids=[str(path.relative_to(PACKAGE)) for path in MODULES])
def test_a_module_reads_in_one_sitting(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= 320


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys; from smalti.cli import main; main(['--help']); print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.endswith("False\n")
