"""What machines can do, and are told."""

import platform
import subprocess
import sys

import pytest

_FREED = """
import torch
from pathlib import Path
from smalti.devices import keep_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

if {kept}:
    keep_memory()
block = torch.ones(2**26)
full = resident()
del block
print(full - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told so")
def test_memory_that_is_freed_is_kept_where_that_is_asked_for() -> None:
    back = {}
    for kept in (False, True):
        run = subprocess.run(
            [sys.executable, "-c", _FREED.format(kept=kept)], capture_output=True, text=True, check=True
        )
        back[kept] = int(run.stdout)
    assert back[False] > 2**27  # the block is of 2**28 bytes
    assert back[True] < 2**27
