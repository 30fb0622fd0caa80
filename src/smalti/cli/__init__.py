"""The command line: one module a verb, imported when it is asked for."""

import errno
import io
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path

from smalti.errors import SmaltiError, readable
from smalti.signals import Ended, ending

__all__ = ["VERBS", "help_file", "main", "print_help", "run_verb"]

VERBS = {
    "create": "the whole way: from a folder of photos to a generator, with samples and a report",
    "demo": "train a small generator on data that comes with the installed libraries",
    "fit": "fit a codec on photos",
    "encode": "encode photos into latents to train on",
    "train": "train a generator on latents",
    "refine": "train the refiner of a model, which finishes its pictures",
    "sample": "generate pictures with a trained model",
    "edit": "fill in, extend or vary a photo by what a model knows, or lead over from one to another",
    "app": "a page in the browser to play with a model, and with photos and codecs",
    "evaluate": "measure a model against photos: FID, KID, floors, nearest training pictures",
    "compress": "compress photos with a codec, one small file each",
    "decompress": "turn compressed photos back into PNG",
    "publish": "publish a model on the Hugging Face Hub, with a card",
}
_BAD_INPUT = 2
_NEAR = 0.7  # of 1: paint is not train
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_MEMORY = ("can't allocate memory", "CUDA out of memory", "not enough memory")
_SIGNALLED = 128  # plus the number of the signal, as shells have it
_PIPE = 13  # that of SIGPIPE, which Windows does not have


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status: 0, or 2 for input that a user can mend, with one line that says how."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that is no UTF-8 ends nothing
    try:
        status = _run(given)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read this has seen enough. What is left is thrown away, so that Python need not complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _SIGNALLED + _PIPE
    return status


def _run(given: list[str]) -> int:
    if given in ([], ["-h"], ["--help"], ["help"]):
        print(_usage())
        return 0
    if given == ["--version"]:
        print(f"smalti {version('smalti')}")
        return 0
    if given[0].startswith("--tyro-"):
        from smalti.cli.running import print_completion

        print_completion(VERBS, given)
        return 0
    verb = given[0]
    if verb not in VERBS:
        near = get_close_matches(verb, VERBS, 1, _NEAR)
        mean = f"did you mean {near[0]}?" if near else f"take one of {', '.join(VERBS)}, or --help."
        print(f"smalti: '{verb}' is no verb of smalti; {mean}", file=sys.stderr)
        return _BAD_INPUT
    if given[1:] in (["-h"], ["--help"]):
        print(help_file(verb).read_text(encoding="utf-8"), end="")
        return 0
    try:
        with ending():
            run_verb(verb, [_at_home(word) for word in given[1:]])
    except SmaltiError as error:
        print(f"smalti {verb}: {' '.join(str(error).split())}", file=sys.stderr)
        return _BAD_INPUT
    except BrokenPipeError:
        raise
    except (OSError, MemoryError, RuntimeError) as error:
        said = _told(error)
        if said is None:
            raise
        print(f"smalti {verb}: {readable(said)}", file=sys.stderr)
        return _BAD_INPUT
    except Ended as end:
        print(f"\nsmalti {verb}: {end}", file=sys.stderr)
        return _SIGNALLED + end.number
    return 0


def _told(error: OSError | MemoryError | RuntimeError) -> str | None:
    """What the machine lacks, in a sentence; nothing of a fault of ours."""
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        what = error.strerror or " ".join(str(error).split()) or type(error).__name__
        kept = "; what was whole before is kept; make room, and go on (with --resume, where the verb has it)"
        return f"{where}{what}{kept if error.errno in _NO_ROOM else ''}."
    # torch says so in a RuntimeError on a CPU, and in a class of its own, which is one, on a GPU.
    words = str(error)
    if isinstance(error, MemoryError) or any(sign in words for sign in _NO_MEMORY):
        return "there is not enough memory; take fewer or smaller pictures at a time (--batch-size, --size, --width)."
    return None


def _at_home(word: str) -> str:
    """A word with the home folder for a ~ at its beginning, or behind the = of an option, as no shell does it."""
    option, mark, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return f"{option}{mark}{Path(value).expanduser()}" if value == "~" or value.startswith("~/") else word


def help_file(verb: str) -> Path:
    """What is shown for `smalti VERB --help`: kept, since to make it takes importing all that the verb stands on."""
    return Path(__file__).parent / "help" / f"{verb}.txt"


def run_verb(verb: str, arguments: list[str]) -> None:
    """Read the arguments of a verb, and run it."""
    if not sys.stderr.isatty():  # libraries read these once, when they are imported
        os.environ |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    # Seconds to import, which `smalti --help` need not wait for.
    from smalti.progress import while_starting

    with nullcontext() if "--quiet" in arguments else while_starting(f"smalti {verb}"):
        from smalti.cli.running import prepared

        run = prepared(verb, arguments)
    run()


def print_help(verb: str) -> None:
    """Print the help of a verb as it is made, and not as it is kept."""
    from smalti.cli import running

    running.print_help(verb)


def _usage() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:{width}}  {meaning}" for verb, meaning in VERBS.items())
    return (
        "usage: smalti VERB ...\n\n"
        "Image generators of your own pictures, on classical codebooks instead of a pretrained autoencoder.\n\n"
        f"{verbs}\n\n"
        "`smalti VERB --help` explains a verb, `smalti --version` tells the version, and\n"
        "`smalti --tyro-print-completion bash` (or zsh, tcsh) what a shell completes verbs and options by.\n\n"
        "To begin: smalti create PHOTOS --out model"
    )
