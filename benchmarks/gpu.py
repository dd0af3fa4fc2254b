"""What training gains from a GPU's parts: four trials on a quarter each, two GPUs a trial, bf16, compiling.

    python benchmarks/gpu.py            # prints a Markdown table
    python benchmarks/gpu.py --quick    # fewer rows

Where there is no GPU it says so and measures what a CPU can show: that bf16, compiling and two ranks (gloo) train what
float32 in one process does, and what they cost. Seconds are of training alone, after one epoch that is not counted.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402

from objectives.models.cnn import Network  # noqa: E402
from objectives.torch_learner import TorchLearner  # noqa: E402
from objectives.training import Training  # noqa: E402
from search.contract import Context, Part, Prepared, Task  # noqa: E402

EPOCHS, CLASSES, SIDE = 4, 10, 32
ARMS: dict[str, dict[str, Any]] = {
    "float32, one device": {},
    "bf16": {"precision": "bf16"},
    "compiled": {"compiled": True},
    "two devices": {"devices": 2},
    "batches in four parts": {"micro_batches": 4},
}


def rows_of(count: int) -> Prepared:
    random = np.random.default_rng(0)
    target = random.integers(0, CLASSES, count)
    features = random.normal(size=(count, 3, SIDE, SIDE)).astype(np.float32)
    features[np.arange(count), 0, target, target] += 8  # something to learn
    return Prepared(Part(features, target), Part(features[:1000], target[:1000]))


def network() -> Network:
    return Network(3, CLASSES, width=24, depth=3, dropout=0.0)


def arm(prepared: Prepared, device: str, context: dict[str, Any]) -> tuple[float, float, str]:
    """Train, and return the seconds of an epoch, the validation loss at the end, and what there is to say."""
    common: dict[str, Any] = {
        "seed": 1,
        "max_epochs": EPOCHS + 1,
        "task": Task.MULTICLASS,
        "threads": torch.get_num_threads(),
    }
    made = TorchLearner(network, Training(batch=256), prepared, Context(device=device, **common, **context))
    try:
        made.fit_epoch()
        begun = time.monotonic()
        for _ in range(EPOCHS):
            made.fit_epoch()
        took = (time.monotonic() - begun) / EPOCHS
        idle = [] if made.gpu_idle is None else [f"the GPU waited {made.gpu_idle:.0%}"]
        return took, float(made.evaluate()["val_loss"]), "; ".join([*made.notes, *idle])
    finally:
        made.close()


def training(count: int, device: str) -> None:
    prepared = rows_of(count)
    print(f"\n{count:,} images of {SIDE} x {SIDE}, batches of 256, on {device}\n")
    print("| training | s an epoch | val_loss | said |\n|---|---|---|---|")
    for name, context in ARMS.items():
        if device == "cuda" and context.get("devices", 1) > torch.cuda.device_count():
            print(f"| {name} | - | - | there is one GPU |")
            continue
        took, loss, said = arm(prepared, device, context)
        print(f"| {name} | {took:.2f} | {loss:.4f} | {said} |", flush=True)


def packing(max_epochs: int) -> None:
    """Four trials of the shipped images, one after the other and on a quarter of a GPU each."""
    print("\n| four trials of `images` | s |\n|---|---|")
    for name, more in (("one after the other", ["--gpus", "1"]), ("on a quarter each", ["--gpus", "0.25"])):
        with tempfile.TemporaryDirectory() as folder:
            flags = ["--trials", "4", "--pruner", "none", "--patience", "0", "--seed", "1", "--quiet"]
            many = ["--concurrency", "1"] if more[1] == "1" else []
            sizes = ["--max-epochs", str(max_epochs), "--results", folder]
            begun = time.monotonic()
            subprocess.run(
                [sys.executable, "-m", "search", "run", "images", *flags, *more, *many, *sizes], check=True, cwd=ROOT
            )
            print(f"| {name} | {time.monotonic() - begun:.1f} |", flush=True)


def memory(prepared: Prepared) -> None:
    """Show that a batch which is too large for the GPU ends as such, and that its parts go through."""
    total = torch.cuda.mem_get_info()[1]
    batch = len(prepared.train.target)
    torch.cuda.set_per_process_memory_fraction(min(1.0, 4 * 2**30 / total))
    print("\n| one batch of all rows, in 4 GB | |\n|---|---|")
    for parts in (1, 2, 4, 8, 16, 32):
        context = Context(device="cuda", max_epochs=1, task=Task.MULTICLASS, micro_batches=parts)
        try:
            TorchLearner(network, Training(batch=batch), prepared, context).fit_epoch()
            said = "trained"
        except torch.OutOfMemoryError:
            said = "out of memory"
        torch.cuda.empty_cache()
        print(f"| in {parts} part{'s'[: parts > 1]} | {said} |", flush=True)
    torch.cuda.set_per_process_memory_fraction(1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rows")
    quick = parser.parse_args().quick
    if not torch.cuda.is_available():
        print("there is no GPU here: what a CPU can show")
        training(512 if quick else 4_000, "cpu")
        return
    print(", ".join(torch.cuda.get_device_name(one) for one in range(torch.cuda.device_count())))
    count = 10_000 if quick else 50_000
    training(count, "cuda")
    memory(rows_of(count))
    packing(9 if quick else 27)


if __name__ == "__main__":
    main()
