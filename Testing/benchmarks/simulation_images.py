"""Compare the time of the simulation study's generator with that of a training step of its network, in one run.

    python Testing/benchmarks/simulation_images.py [--branch-width 16] [--images 50]

Times are CPU milliseconds of one thread per image of 128 × 128. A data loader spreads the generator over its workers.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from ccdnn.model.network import CCDNN
from ccdnn_training.losses import PhasedLoss
from ccdnn_training.studies.simulation.label_maps import FIRST_KNEE, MapRecipe
from ccdnn_training.studies.simulation.tuple_images import TupleImages

SETTINGS = {"no noise": {}, "2 % noise": {"noise": 2.0}, "inputs shifted": {"shift": 2}}


def generator_ms(maps: np.ndarray, images: int, **setting: float) -> float:
    dataset = TupleImages(maps, "train", **setting)
    dataset[0]
    started = time.process_time()
    for item in range(images):
        dataset[item % len(dataset)]
    return (time.process_time() - started) / images * 1e3


def training_ms(maps: np.ndarray, branch_width: int) -> float:
    """The time per image of forward, c1 + c2, backward and Adam, in bfloat16 autocast."""
    network, loss = CCDNN(branch_width).to(memory_format=torch.channels_last), PhasedLoss()
    optimizer = torch.optim.Adam(network.parameters())
    inputs, label = (torch.stack(tensors) for tensors in zip(*(TupleImages(maps, "train")[i] for i in range(4)), strict=True))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            output = network(inputs.contiguous(memory_format=torch.channels_last))
        optimizer.zero_grad()
        loss(output.float(), label, 1)["loss"].backward()
        optimizer.step()

    step()
    started = time.process_time()
    step()
    return (time.process_time() - started) / len(inputs) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--branch-width", type=int, default=16)
    parser.add_argument("--images", type=int, default=50)
    options = parser.parse_args()
    torch.set_num_threads(1)
    maps = MapRecipe().make(FIRST_KNEE["train"])
    for name, setting in SETTINGS.items():
        print(f"generator, {name}: {generator_ms(maps, options.images, **setting):.2f} ms per image")
    print(f"training step, {options.branch_width} maps per branch: {training_ms(maps, options.branch_width):.0f} ms per image")


if __name__ == "__main__":
    main()
