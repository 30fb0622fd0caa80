"""Training killed at random moments, again and again, and resumed: the same run to the bit."""

import subprocess
import sys
from pathlib import Path

import pytest

# One program: it trains a small network to the end; then again and again in children that are killed, at moments drawn
# over the time that the first took, until one comes to the end. That starts one interpreter, and not one a kill.
_PROGRAM = """
import os, random, signal, sys, time
from pathlib import Path
import torch
from safetensors.torch import load_file
from torch import nn
from smalti.model_folder import Run
from smalti.training.loop import train
from smalti.training.settings import TrainSettings

folder, kills = Path(sys.argv[1]), int(sys.argv[2])
settings = TrainSettings(images=1_200, batch_size=4, warmup=0, ema_halflife=8, checkpoint_every=100, log_every=20)

def batches(numbers):
    x = torch.stack([torch.randn(3, generator=torch.Generator().manual_seed(n)) for n in numbers])
    return {"x": x, "y": x.sum(1)}

def losses(model, batch):
    return {"square": (model(batch["x"])[:, 0] - batch["y"]).square()}

def run(name):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    (folder / name).mkdir(exist_ok=True)
    train(model, batches, losses, settings, folder / name, resume=True, device="cpu", progress=False)

def child(name, seconds=None):
    begun, number = time.monotonic(), os.fork()
    if not number:
        run(name)
        os._exit(0)
    while seconds is not None and time.monotonic() - begun < seconds and os.waitpid(number, os.WNOHANG) == (0, 0):
        time.sleep(0.001)
    if seconds is not None:
        try:
            os.kill(number, signal.SIGKILL)
            os.waitpid(number, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
    else:
        assert os.waitpid(number, 0)[1] == 0
    return time.monotonic() - begun

whole = child("whole")
draw = random.Random(0)
for _ in range(kills):
    child("parts", draw.uniform(0, whole / 2))
child("parts")
for name in ("model", "ema", "optimizer"):
    one, two = (load_file(Run(folder / each).checkpoints[-1] / f"{name}.safetensors") for each in ("whole", "parts"))
    assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one), name
lines = [Run(folder / each).metrics.read_text().splitlines() for each in ("whole", "parts")]
assert [line.split(",")[0] for line in lines[0]] == [line.split(",")[0] for line in lines[1]]
left = [path for path in (folder / "parts").rglob("*") if "partial" in path.name]
assert not left, left
"""


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.soak)])
def test_training_killed_at_random_moments_resumes_to_the_same_to_the_bit(tmp_path: Path, kills: int) -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM, str(tmp_path), str(kills)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
