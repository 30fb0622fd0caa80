"""Write what `smalti VERB --help` shows, as the command line says it of itself.

    python tools/help_texts.py

It is kept in the package, since saying it takes importing all that the verbs stand on, which takes seconds.
"""

import io
import os
import re
import textwrap
from collections.abc import Callable
from contextlib import redirect_stdout, suppress

from smalti.cli import VERBS, help_file, print_help

COLUMNS = 100


def said(run: Callable[[], None]) -> str:
    """What a verb prints, without colours, on lines of one length."""
    os.environ |= {"COLUMNS": str(COLUMNS), "NO_COLOR": "1"}
    os.environ.pop("FORCE_COLOR", None)
    with redirect_stdout(io.StringIO()) as shown, suppress(SystemExit):
        run()
    text = re.sub(r"^( +)--no-([\w-]+)( *)(.*)$", both_forms, shown.getvalue(), flags=re.MULTILINE)
    lines = (part for line in text.splitlines() for part in textwrap.wrap(line, COLUMNS, drop_whitespace=False) or [""])
    return "\n".join(line.rstrip() for line in lines) + "\n"


def both_forms(line: re.Match[str]) -> str:
    """An option that is on by default, which is shown by what switches it off, in the way of git: `--[no-]refine`."""
    indent, name, gap, meaning = line.groups()
    room = gap[2:] or f"\n{' ' * len(f'{indent}--no-{name}{gap}')}"
    return f"{indent}--[no-]{name}{room}{meaning}"


def texts() -> dict[str, str]:
    """The help of each verb."""
    return {verb: said(lambda verb=verb: print_help(verb)) for verb in VERBS}


if __name__ == "__main__":
    for verb, text in texts().items():
        help_file(verb).parent.mkdir(exist_ok=True)
        help_file(verb).write_text(text, encoding="utf-8")
