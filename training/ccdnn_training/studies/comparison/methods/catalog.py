"""Every method of the comparison by its name in commands and configurations."""

from __future__ import annotations

from collections.abc import Mapping

from ccdnn_training.fitting.module import ContrastConversion
from ccdnn_training.studies.comparison.methods.method import Method
from ccdnn_training.studies.comparison.methods.multimodal import MultimodalSynthesis
from ccdnn_training.studies.comparison.methods.network import NetworkMethod
from ccdnn_training.studies.comparison.methods.pix2pix import Pix2pix
from ccdnn_training.studies.comparison.methods.replica import Replica
from ccdnn_training.studies.comparison.methods.unet import UNetConversion


class CCDNNMethod(NetworkMethod):
    """The paper's own network under its two-phase loss."""

    title = "CC-DNN"
    training = ContrastConversion


class MultimodalMethod(NetworkMethod):
    """Encoders to a shared latent image."""

    title = "Multimodal"
    training = MultimodalSynthesis
    stop_early = True


class Pix2pixMethod(NetworkMethod):
    """A conditional adversarial network."""

    title = "Pix2pix"
    training = Pix2pix


class UNetMethod(NetworkMethod):
    """A U-Net under CC-DNN's losses."""

    title = "U-Net"
    training = UNetConversion


# In the order of the paper's Table 1, with its fifth method last. CC-DNN, the first, is compared with all others.
METHODS: Mapping[str, type[Method]] = {
    "cc-dnn": CCDNNMethod,
    "multimodal": MultimodalMethod,
    "replica": Replica,
    "pix2pix": Pix2pixMethod,
    "u-net": UNetMethod,
}
