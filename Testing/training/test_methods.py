"""The other methods: shapes, sizes, and that each learns a small problem."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer
from torch.utils.data import DataLoader, TensorDataset

from ccdnn.errors import ModelError
from ccdnn_training.studies.comparison.methods.multimodal import MultimodalNetwork, MultimodalSynthesis
from ccdnn_training.studies.comparison.methods.pix2pix import Generator, PatchDiscriminator, Pix2pix
from ccdnn_training.studies.comparison.methods.replica import Replica, ReplicaSettings
from ccdnn_training.studies.comparison.methods.replica_features import COARSER, FINEST, features_of
from ccdnn_training.studies.comparison.methods.unet import UNet, UNetConversion

SMALL_UNET, SMALL_PIX2PIX = (8, 16, 32), (8, 16, 32, 32)


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def contrasts(count: int, size: int, seed: int = 0, *, shared: bool = False) -> np.ndarray:
    """(contrast, slice, row, column): smooth images, the last |first − second| / 2 + third / 4, which needs more than one input.

    `shared`: all are functions of the first, so that each input determines the last, as Multimodal assumes.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size] / size
    inputs = np.empty((3, count, size, size), np.float32)
    for image in inputs.reshape(-1, size, size):
        (a, b), (c, d) = rng.uniform(1, 3, 2), rng.uniform(0, 6, 2)
        image[:] = 0.5 + 0.5 * np.sin(2 * np.pi * a * rows + c) * np.cos(2 * np.pi * b * columns + d)
    if shared:
        return np.stack([inputs[0], 1 - inputs[0], np.sqrt(inputs[0]), 0.5 + 2 * inputs[0]])
    return np.concatenate([inputs, np.abs(inputs[:1] - inputs[1:2]) / 2 + inputs[2:] / 4])


@dataclass(frozen=True)
class Subject:
    """The part of a cached subject that the methods use."""

    values: np.ndarray

    def array(self) -> np.ndarray:
        return self.values


# U-Net: 31.0 M, the usual figure. Multimodal: "about 1.6 M parameters" (paper/readings.md). Pix2pix: 54.4 M with eight levels in
# its paper; the eighth has 4·4·512·(512 + 1024) weights.
@pytest.mark.parametrize(
    ("network", "millions"),
    [(UNet(), 31.0), (MultimodalNetwork(), 1.6), (Generator(), 54.4 - 12.6), (PatchDiscriminator(), 2.77)],
)
def test_networks_have_the_sizes_in_their_papers(network, millions):
    assert parameters(network) / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize("network", [UNet(SMALL_UNET), MultimodalNetwork(), Generator(SMALL_PIX2PIX)])
@pytest.mark.parametrize("shape", [(64, 64), (50, 71)])
def test_networks_keep_any_height_and_width(network, shape):
    with torch.no_grad():
        assert network(torch.rand(2, 3, *shape)).shape == (2, 1, *shape)


def test_discriminator_judges_patches_of_70_pixels():
    network = PatchDiscriminator().eval()
    images, target = torch.rand(1, 3, 128, 128, requires_grad=True), torch.rand(1, 1, 128, 128)
    # Instance norms see the whole image; without them the patch is what one logit depends on.
    network.layers = torch.nn.Sequential(*(layer for layer in network.layers if not isinstance(layer, torch.nn.InstanceNorm2d)))
    logits = network(images, target)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    rows = torch.nonzero(images.grad.abs().sum(dim=(0, 1, 3))).ravel()
    assert rows.max() - rows.min() + 1 == 70


def test_fusion_takes_the_largest_latent_value_of_the_contrasts():
    network = MultimodalNetwork()
    images = torch.rand(1, 3, 16, 16)
    latent = network.encode(images)
    assert latent.shape == (3, 1, 16, 16, 16)
    torch.testing.assert_close(network(images), network.decoder(torch.maximum(torch.maximum(latent[0], latent[1]), latent[2])))


@pytest.mark.parametrize(
    ("learner", "shared", "epochs"),
    [
        (lambda: UNetConversion(widths=SMALL_UNET, learning_rate=3e-3, freeze_statistics_from=0.5), False, 80),
        (lambda: MultimodalSynthesis(learning_rate=1e-3), True, 160),  # without normalisation it starts slowly
        (lambda: Pix2pix(learning_rate=2e-3, widths=SMALL_PIX2PIX), False, 40),
    ],
    ids=["U-Net", "Multimodal", "Pix2pix"],
)
def test_networks_learn_a_small_problem(learner, shared, epochs):
    torch.manual_seed(2)
    values = torch.from_numpy(contrasts(8, 16 if shared else 32, shared=shared)).transpose(0, 1)
    loader = DataLoader(TensorDataset(values[:, :3], values[:, 3:]), batch_size=8 if shared else 4, shuffle=True)
    module: LightningModule = learner()
    before = error_of(module, values)
    trainer = Trainer(max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer.fit(module, loader)
    assert error_of(module, values) < 0.3 * min(before, float(values[:, 3:].var()))


def error_of(module: LightningModule, values: torch.Tensor) -> float:
    module.eval()
    with torch.no_grad():
        error = torch.mean((module(values[:, :3]) - values[:, 3:]) ** 2)
    module.train()
    return float(error)


def test_unet_keeps_its_settings_in_the_checkpoint():
    module = UNetConversion(widths=SMALL_UNET, learning_rate=3e-3)
    assert dict(module.hparams)["widths"] == SMALL_UNET
    assert module.hparams.learning_rate == 3e-3


def test_pix2pix_gives_intensities_from_0_to_its_top():
    module = Pix2pix(top=4.0, widths=SMALL_PIX2PIX).eval()
    with torch.no_grad():
        output = module(4 * torch.rand(1, 3, 32, 32))
    assert float(output.min()) >= 0
    assert float(output.max()) <= 4


# ---------------------------------------------------------------------------------------------------------------- Replica


def test_features_are_the_patch_the_context_and_the_coarser_level():
    images = np.arange(3 * 40 * 40, dtype=np.float32).reshape(3, 40, 40)
    pixel = np.array([[20, 20]])
    (features,) = features_of(images, np.full((40, 40), 7.0, np.float32), COARSER, pixel)
    assert len(features) == 27 + 3 * 32 + 1
    np.testing.assert_array_equal(features[:3], images[:, 19, 19])
    assert features[27] == images[0, 20, 22]  # direction 0, two pixels away, a single pixel
    assert features[-1] == 7
    (finest,) = features_of(images, None, FINEST, pixel)
    assert finest[27] == pytest.approx(images[0, 19:22, 23:26].mean())


def test_replica_learns_a_small_problem_and_survives_its_file(tmp_path):
    settings = ReplicaSettings(trees=20, pixels=6000, jobs=1)
    method = Replica.fit_on([Subject(contrasts(10, 32, seed)) for seed in (1, 2, 4)], settings)
    unseen = contrasts(2, 32, seed=3)
    predicted = method.predict(unseen[:3])
    assert predicted.shape == (2, 32, 32)
    assert np.mean((predicted - unseen[3]) ** 2) < 0.5 * unseen[3].var()
    method.save(tmp_path / "replica.skops")
    np.testing.assert_array_equal(Replica.load(tmp_path / "replica.skops").predict(unseen[:3]), predicted)


def test_a_file_that_is_not_a_replica_is_refused(tmp_path):
    path = tmp_path / "other.skops"
    path.write_bytes(b"no forests")
    with pytest.raises(ModelError, match=r"other\.skops"):
        Replica.load(path)
