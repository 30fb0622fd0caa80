"""Write what `smalti VERB --help` shows, as the command line says it of itself.

    python tools/help_texts.py

It is kept in the package, since saying it takes importing all that the verbs stand on, which takes seconds.
"""

import io
import os
from collections.abc import Callable
from contextlib import redirect_stdout, suppress

from smalti.cli import VERBS, help_file, run_verb

COLUMNS = 100


def said(run: Callable[[], None]) -> str:
    """What a verb prints, without colours, on lines of one length."""
    os.environ |= {"COLUMNS": str(COLUMNS), "NO_COLOR": "1"}
    os.environ.pop("FORCE_COLOR", None)
    with redirect_stdout(io.StringIO()) as shown, suppress(SystemExit):
        run()
    return "\n".join(line.rstrip() for line in shown.getvalue().splitlines()) + "\n"


def texts() -> dict[str, str]:
    """The help of each verb."""
    return {verb: said(lambda verb=verb: run_verb(verb, ["--help"])) for verb in VERBS}


if __name__ == "__main__":
    for verb, text in texts().items():
        help_file(verb).parent.mkdir(exist_ok=True)
        help_file(verb).write_text(text, encoding="utf-8")
