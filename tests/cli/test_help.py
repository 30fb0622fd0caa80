"""What the verbs show for --help is what the command line says of itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from smalti.cli import VERBS, help_file

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """As `tools/help_texts.py` would write them: in a process of its own, where types are not checked."""
    code = "import json, sys; sys.path.insert(0, sys.argv[1]); import help_texts; print(json.dumps(help_texts.texts()))"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    shown = subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "tools")], capture_output=True, text=True, check=True, env=environment
    )
    return json.loads(shown.stdout)


@pytest.mark.parametrize("verb", VERBS)
def test_kept_help_is_up_to_date(verb: str, texts: dict[str, str]) -> None:
    assert help_file(verb).read_text(encoding="utf-8") == texts[verb], "run `make tables`"


@pytest.mark.parametrize("verb", VERBS)
def test_help_waits_for_nothing(verb: str) -> None:
    code = f"import sys; from smalti.cli import main; main(['{verb}', '--help']); print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.endswith("False\n")
