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
    usage, _, rest = shown.getvalue().partition("\n\n")
    named = re.sub(r"\s*\[--[^]]*\]", "", usage)  # each option, where they are so few that tyro lists them
    shown_usage = usage if named == usage else named.replace("[-h]", "[-h] [OPTIONS]")
    text = f"{shown_usage}\n\n{rest}"
    text = re.sub(r"^( +)--no-([\w-]+)( *)(.*)$", both_forms, text, flags=re.MULTILINE)
    return "\n".join(line for paragraph in paragraphs(text) for line in wrapped(*paragraph)) + "\n"


def paragraphs(text: str) -> list[tuple[str, int]]:
    """Lines, what an option means on one of its own, with the columns before that.

    tyro keeps the line breaks of docstrings, wherever they fall.
    """
    found: list[tuple[str, int]] = []
    for line in map(str.rstrip, text.splitlines()):
        begun = re.match(r"(  \S.*?  +| {10,})(?=\S)", line)  # an option beside its meaning, or the meaning alone
        column = len(begun[1]) if begun else 0
        if found and column and column == found[-1][1] and not line[:column].strip():
            found[-1] = f"{found[-1][0]} {line.strip()}", column
        else:
            found.append((line, column))
    return found


def wrapped(paragraph: str, indent: int) -> list[str]:
    """A line, in lines of one length."""
    return textwrap.wrap(paragraph, COLUMNS, subsequent_indent=" " * indent, break_on_hyphens=False) or [""]


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
