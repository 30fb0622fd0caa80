"""The one error that a user is meant to read."""

__all__ = ["SmaltiError", "require_at_least", "require_seed"]


class SmaltiError(Exception):
    """Something a user can mend: one sentence that names the thing, what is wrong with it and what to do.

    The command line prints it as a single line and exits with status 2.
    """


def require_seed(seed: int) -> None:
    """Raise `SmaltiError` for a seed that not every library of ours takes."""
    if not 0 <= seed < 2**63:
        raise SmaltiError(f"seed is {seed}; it must be from 0 to 2**63 - 1.")


def require_at_least(least: int, **amounts: int) -> None:
    """Raise `SmaltiError` for the first amount that is under `least`, by its name."""
    for name, amount in amounts.items():
        if amount < least:
            raise SmaltiError(f"{name.replace('_', ' ')} is {amount}; it must be at least {least}.")
