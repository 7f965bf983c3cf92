"""Processes that compute after this one has computed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# In a separate process, since OpenMP's number of threads is fixed when it starts.
AFTER_THREADS = """
import torch
from ccdnn_training.parallel import fresh_processes

if __name__ == "__main__":
    torch.set_num_threads(2)
    image, kernel = torch.ones(1, 32, 256, 256), torch.ones(32, 32, 3, 3)
    torch.nn.functional.conv2d(image, kernel)
    with fresh_processes(1, torch.set_num_threads, 2) as pool:
        print(tuple(pool.submit(torch.nn.functional.conv2d, image, kernel).result().shape))
"""


def test_processes_compute_after_threads_have_run_in_this_one(tmp_path: Path) -> None:
    script = tmp_path / "after_threads.py"
    script.write_text(AFTER_THREADS, encoding="utf-8")
    ended = subprocess.run([sys.executable, script], check=True, timeout=120, capture_output=True, text=True)
    assert ended.stdout.strip() == "(1, 32, 254, 254)"
