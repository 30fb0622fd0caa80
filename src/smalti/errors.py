"""The one error that a user is meant to read."""

__all__ = ["SmaltiError", "readable", "require_at_least", "require_seed"]


class SmaltiError(Exception):
    """Something a user can mend: one sentence that names the thing, what is wrong with it and what to do.

    The command line prints it as a single line and exits with status 2. It can be printed whatever names are in it.
    """

    def __init__(self, text: str):
        super().__init__(readable(text.replace("\n", " ")))


def readable(text: str) -> str:
    """A name that can be printed and kept: what is no UTF-8, and what steers a terminal, is written in backslashes."""
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(letter: str) -> str:
    if letter.isprintable():
        return letter
    undecoded = "\udc80" <= letter <= "\udcff"  # a byte of a file's name, as Python has it
    return f"\\x{ord(letter) - 0xDC00:02x}" if undecoded else repr(letter)[1:-1]


def require_seed(seed: int) -> None:
    """Raise `SmaltiError` for a seed that not every library of ours takes."""
    if not 0 <= seed < 2**63:
        raise SmaltiError(f"seed is {seed}; it must be from 0 to 2**63 - 1.")


def require_at_least(least: int, **amounts: int) -> None:
    """Raise `SmaltiError` for the first amount that is under `least`, by its name."""
    for name, amount in amounts.items():
        if amount < least:
            raise SmaltiError(f"{name.replace('_', ' ')} is {amount}; it must be at least {least}.")
