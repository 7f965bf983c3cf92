"""A fit of seconds with `ccdnn-train fit`: a network of two maps per branch on a few slices of smooth noise."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import yaml

from ccdnn.normalisation import VolumePercentile
from ccdnn_training.data.cache import write_index, write_subject
from ccdnn_training.physics.protocol import CONTRASTS

PATCH, PATCHES, STEPS = 24, 4, 3


def write_cache(folder: Path) -> Path:
    """Two subjects to train on and one to validate on, of 32 × 32 pixels."""
    folder.mkdir()
    subjects = []
    for number, part in enumerate(("train", "train", "validation")):
        rng = np.random.default_rng(number)
        contrasts = np.kron(rng.random((3, 2, 8, 8)), np.ones((4, 4)))
        label = contrasts[1:2] * (1 - contrasts[:1]) + 0.5 * contrasts[2:]
        write_subject(folder, f"s{number}", np.concatenate([contrasts, label]))
        subjects.append({"name": f"s{number}", "part": part, "provenance": {}})
    write_index(folder, subjects, contrasts=CONTRASTS, normalisation=VolumePercentile(), made_by="test")
    return folder


def write_config(folder: Path, cache: Path, **model) -> Path:
    """A configuration of two epochs of `STEPS` steps on the CPU."""
    folder.mkdir(parents=True, exist_ok=True)
    data = {"cache": str(cache), "patch_size": PATCH, "batch_size": PATCHES, "steps_per_epoch": STEPS, "validation_every": 1}
    settings = {
        "seed_everything": 1,
        "run": str(folder / "run"),
        "model": {"branch_width": 2, "learning_rate": 1e-3, **model},
        "data": {"class_path": "ccdnn_training.data.module.CachedSlices", "init_args": data},
        "trainer": {
            "max_epochs": 2,
            "accelerator": "cpu",
            "devices": 1,
            "precision": "32-true",
            "num_sanity_val_steps": 0,
            "log_every_n_steps": 1,
            "enable_progress_bar": False,
            "enable_model_summary": False,
        },
    }
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return config


def logged(run: Path, name: str) -> list[float]:
    """A logged quantity, epoch by epoch."""
    newest = max((run / "csv").glob("version_*"), key=lambda folder: int(folder.name.removeprefix("version_")))
    with (newest / "metrics.csv").open(encoding="utf-8") as file:
        return [float(row[name]) for row in csv.DictReader(file) if row.get(name)]
