"""Simulated subjects as a cache of slices, and the patches and slices that a fit gets from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ccdnn.errors import InputError
from ccdnn_training.cli.main import main
from ccdnn_training.data.cache import SliceCache, write_index, write_subject
from ccdnn_training.data.epochs import EpochSampler
from ccdnn_training.data.patches import PatchDataset, SliceDataset
from ccdnn_training.data.simulated import FIRST_SEED
from ccdnn_training.data.studies import NORMALISATION
from ccdnn_training.physics.protocol import CONTRASTS


def test_the_cache_contains_the_requested_subjects(cache: SliceCache) -> None:
    assert [len(cache.part(part)) for part in ("train", "validation")] == [3, 1]
    assert cache.normalisation == NORMALISATION
    for subject in cache.subjects:
        array = subject.array()
        assert array.shape == (4, 2, 96, 96)
        for image in array.astype(np.float32):
            foreground = image[image > 0.2]
            assert np.percentile(foreground, 90) == pytest.approx(1, abs=0.05)


def test_parts_never_share_a_subject(cache: SliceCache) -> None:
    seeds = {part: {s.provenance["simulation_seed"] for s in cache.part(part)} for part in ("train", "validation")}
    assert not seeds["train"] & seeds["validation"]
    gaps = np.diff(sorted(FIRST_SEED.values()))
    assert gaps.min() >= 10_000


def test_a_second_call_makes_only_missing_subjects(cache_folder: Path, cache: SliceCache) -> None:
    kept, remade = (s.path for s in cache.part("train")[:2])
    before, content = kept.stat().st_mtime_ns, remade.read_bytes()
    remade.unlink()
    main(["simulate", str(cache_folder), "--train", "3", "--validation", "1", "--slices", "2", "--matrix", "96"])
    assert kept.stat().st_mtime_ns == before
    assert remade.read_bytes() == content


def test_a_damaged_cache_is_reported_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a slice cache"):
        SliceCache(tmp_path)
    write_subject(tmp_path, "a", np.zeros((3, 1, 8, 8)))
    subjects = [{"name": "a", "part": "train", "provenance": {}}]
    write_index(tmp_path, subjects, contrasts=CONTRASTS, normalisation=NORMALISATION, made_by="test")
    with pytest.raises(InputError, match=r"shape \(3, 1, 8, 8\)"):
        SliceCache(tmp_path)
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(InputError, match="is not the index"):
        SliceCache(tmp_path)


def test_patches_depend_on_seed_epoch_and_item_alone(cache: SliceCache) -> None:
    def dataset(seed: int = 1) -> PatchDataset:
        return PatchDataset(cache.part("train"), 32, 16, seed=seed, scale_jitter=0.1)

    first = dataset()
    reference = [first[2, i] for i in range(16)]
    again = dataset()
    for i in reversed(range(16)):
        assert all(torch.equal(a, b) for a, b in zip(again[2, i], reference[i], strict=True))
    assert not torch.equal(first[3, 0][0], reference[0][0])
    assert not torch.equal(dataset(seed=2)[2, 0][0], reference[0][0])
    inputs, label = reference[0]
    assert inputs.shape == (3, 32, 32)
    assert label.shape == (1, 32, 32)


def test_processes_share_an_epoch_without_repeats(cache: SliceCache) -> None:
    dataset = PatchDataset(cache.part("train"), 32, 12, seed=1)
    samplers = [EpochSampler(dataset, processes=3, rank=rank) for rank in range(3)]
    for sampler in samplers:
        sampler.set_epoch(5)
    shares = [list(sampler) for sampler in samplers]
    assert [len(share) for share in shares] == [4, 4, 4]
    assert sorted(key for share in shares for key in share) == [(5, item) for item in range(12)]
    # Together the n-th batches of all processes are the n-th batch of one process with as many times more patches per batch.
    assert {item for share in shares for _, item in share[:2]} == set(range(6))


def test_a_patch_larger_than_a_slice_is_reported_in_one_sentence(cache: SliceCache) -> None:
    with pytest.raises(InputError, match=r"A patch of 128×128 does not fit into the 96×96 slices of train-"):
        PatchDataset(cache.part("train"), 128, 16, seed=1)


def test_simulated_subjects_keep_their_regions(cache: SliceCache) -> None:
    for subject in cache.subjects:
        regions, shape = subject.regions(), subject.array().shape[1:]
        assert {"fat", "muscle", "bone"} <= set(regions)
        assert all(mask.shape == shape for mask in regions.values())


def test_slices_are_whole_and_in_order(cache: SliceCache) -> None:
    dataset = SliceDataset([subject.array() for subject in cache.part("validation")])
    assert len(dataset) == 2
    inputs, label = dataset[1]
    array = cache.part("validation")[0].array().astype(np.float32)
    assert np.array_equal(inputs.numpy(), array[:3, 1])
    assert np.array_equal(label.numpy(), array[3:, 1])
