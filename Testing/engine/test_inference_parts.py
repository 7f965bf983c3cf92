"""The parts of inference on their own: the folded network, windows, the agreement check, the choice of a device."""

import math
import re
import time

import numpy as np
import onnx
import pytest
import small_network
import torch

from ccdnn.errors import DeviceError
from ccdnn.inference import device as device_module
from ccdnn.inference import libraries
from ccdnn.inference.backend import is_out_of_memory
from ccdnn.inference.device import Device, choose_device, has_native_bf16, reduced_precisions
from ccdnn.inference.libraries import make_backend
from ccdnn.inference.onnx_backend import OnnxBackend
from ccdnn.inference.onnx_graph import onnx_model
from ccdnn.inference.precision import agreement_db, gain, probe_of
from ccdnn.inference.torch_backend import TorchBackend
from ccdnn.inference.windows import Window, content_window, expand_template, template_shape
from ccdnn.model.architecture import UNDILATED
from ccdnn.model.catalog import list_models, resolve_model
from ccdnn.model.folding import folded
from ccdnn.model.saving import weights_of

LIBRARIES = {"onnxruntime": OnnxBackend, "torch": lambda model: TorchBackend(model, "cpu", "fp32")}


@pytest.fixture(params=[UNDILATED, small_network.DILATED], ids=["undilated", "dilated"])
def network(request):
    return small_network.network(fusion_dilations=request.param)


@pytest.mark.parametrize("make", LIBRARIES.values(), ids=LIBRARIES)
@pytest.mark.parametrize("shape", [(1, 1), (5, 70), (37, 53)])
def test_the_folded_network_is_the_network(network, shape, make):
    images = small_network.images(2, *shape)
    backend = make(small_network.model_with(network))
    expected = small_network.plain(network, images)
    output = backend(images.swapaxes(0, 1))
    assert output.shape == (2, 1, *shape)
    np.testing.assert_allclose(output[:, 0], expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("make", LIBRARIES.values(), ids=LIBRARIES)
def test_the_second_head_is_computed_in_the_same_pass(make):
    network = small_network.network(fusion_dilations=small_network.DILATED, uncertainty_maps=3)
    images = small_network.images(2, 37, 53)
    output = make(small_network.model_with(network))(images.swapaxes(0, 1))
    assert output.shape == (2, 2, 37, 53)
    for found, expected in zip(
        output.swapaxes(0, 1), (small_network.plain(network, images), small_network.plain_log_scale(network, images)), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", [entry.id for entry in list_models()])
def test_bundled_models_agree_across_libraries(name):
    model = resolve_model(name)
    batch = small_network.images(1, 70, 60).swapaxes(0, 1)
    expected = small_network.plain(model.network, batch.swapaxes(0, 1))
    for backend in (make(model) for make in LIBRARIES.values()):
        assert agreement_db(expected, backend(batch)[:, 0]) > 100


@pytest.mark.parametrize("maps", [0, 3])
def test_the_graph_is_valid_onnx(maps):
    network = small_network.network(uncertainty_maps=maps)
    graph = onnx.load_from_string(onnx_model(folded(network.architecture, weights_of(network))))
    onnx.checker.check_model(graph, full_check=True)
    assert [operation.op_type for operation in graph.graph.node].count("Conv") == 3 * 7 + 6 + 1 + (maps > 0)


@pytest.mark.parametrize("maps", [0, 3])
def test_a_model_file_has_the_tensors_of_the_network(maps):
    network = small_network.network(fusion_dilations=small_network.DILATED, uncertainty_maps=maps)
    assert network.architecture.tensor_shapes() == {name: values.shape for name, values in weights_of(network).items()}


def test_fp32_on_a_cpu_is_for_onnxruntime_and_the_rest_for_torch(monkeypatch):
    model = small_network.model()
    assert isinstance(make_backend(model, 1, "cpu", "fp32"), OnnxBackend)
    assert isinstance(make_backend(model, 1, "cpu", "bf16"), TorchBackend)
    monkeypatch.setattr(libraries, "has_onnxruntime", lambda: False)
    assert isinstance(make_backend(model, 1, "cpu", "fp32"), TorchBackend)
    monkeypatch.setattr(libraries, "torch_obstacle", lambda: "PyTorch is not installed")
    with pytest.raises(DeviceError, match="fp32 on the device cpu: onnxruntime is not installed, and PyTorch is not installed"):
        make_backend(model, 1, "cpu", "fp32")
    with pytest.raises(DeviceError, match="bf16 on the device cpu: PyTorch is not installed"):
        make_backend(model, 1, "cpu", "bf16")


def test_a_gain_is_a_ratio_of_times():
    def taking(seconds):
        return lambda probe: time.sleep(seconds)

    assert gain(taking(0.03), taking(0.01), np.zeros(1)) == pytest.approx(3, rel=0.5)


@pytest.mark.skipif(not has_native_bf16(), reason="this CPU has no native bf16")
def test_bf16_keeps_what_an_input_says_beyond_8_bits():
    """1 + 2⁻¹⁰ is 1 in bf16; were it rounded, a step of that size would be lost, and with it faint contrast."""
    model = small_network.model()
    flat = np.ones((1, 3, 27, 27), np.float32)
    backend = TorchBackend(model, "cpu", "bf16")
    assert np.abs(backend(flat + 2.0**-5) - backend(flat)).max() > 0
    stem = backend._folded.stems[0][0].float()
    exact = TorchBackend(model, "cpu", "fp32")._folded.stems[0][0][:, :1]
    np.testing.assert_allclose((stem[:, :1] + stem[:, 2:]).numpy(), exact.numpy(), rtol=2**-15)


@pytest.mark.skipif(not has_native_bf16(), reason="this CPU has no native bf16")
def test_mixed_precision_agrees_better_than_bf16_throughout(network):
    """Residual blocks that nearly cancel their input, as those of a trained network do."""
    for part in (*(branch[2] for branch in network.branches), network.fusion):
        for block in part.blocks:
            block.body[4].weight *= 8
    images = small_network.images(1, 60, 60)
    expected = small_network.plain(network, images)
    batch = images.swapaxes(0, 1)
    mixed, throughout = (
        agreement_db(expected, TorchBackend(small_network.model_with(network), "cpu", p)(batch)[:, 0]) for p in ("mixed", "bf16")
    )
    assert mixed > throughout + 5
    assert mixed > 50


def test_tiles_cover_a_window_once():
    window = Window(3, 103, 7, 40)
    covered = np.zeros((110, 50), int)
    for tile in window.tiles(32):
        covered[tile.slices] += 1
        assert max(tile.bottom - tile.top, tile.right - tile.left) <= 32
    assert covered[window.slices].min() == covered.max() == 1
    assert covered.sum() == 100 * 33


def test_growth_stops_at_the_border():
    assert Window(3, 20, 7, 40).grown(5, 22, 60) == Window(0, 22, 2, 45)


def test_content_window_is_tight():
    content = np.zeros((3, 20, 30), bool)
    assert content_window(content) is None
    content[0, 4, 7] = content[2, 9, 3] = True
    assert content_window(content) == Window(4, 10, 3, 8)


@pytest.mark.parametrize("shape", [(60, 41), (27, 28), (9, 50), (1, 2)])
def test_an_empty_image_follows_from_its_template(network, shape):
    expected = small_network.plain(network, np.zeros((3, 1, *shape), np.float32))[0]
    template = small_network.plain(
        network, np.zeros((3, 1, *template_shape(*shape, network.architecture.receptive_radius)), np.float32)
    )[0]
    np.testing.assert_allclose(expand_template(template, *shape), expected, atol=3e-6 * np.abs(expected).max())


def test_the_radius_is_the_receptive_radius(network):
    """One pixel changes the output as far as the radius says, and no farther."""
    images = small_network.images(1, 61, 61)
    changed = images.copy()
    changed[:, 0, 30, 30] += 1
    rows, columns = np.nonzero(small_network.plain(network, changed)[0] != small_network.plain(network, images)[0])
    reach = max(np.abs(rows - 30).max(), np.abs(columns - 30).max())
    assert reach == network.architecture.receptive_radius == (13 if network.fusion_dilations == UNDILATED else 22)


def test_dilations_of_one_are_the_papers_network():
    """The same weights, names and results as a network that was never told of dilations."""
    plain, told = small_network.network(), small_network.network(fusion_dilations=[[1, 1]] * 3)
    images = small_network.images(1, 40, 40)
    assert np.array_equal(small_network.plain(plain, images), small_network.plain(told, images))
    dilated = small_network.network(fusion_dilations=small_network.DILATED)
    assert {k: v.shape for k, v in dilated.state_dict().items()} == {k: v.shape for k, v in plain.state_dict().items()}
    assert not np.allclose(small_network.plain(dilated, images), small_network.plain(plain, images))


def test_agreement_is_psnr():
    reference = np.array([0.0, 2.0])
    assert agreement_db(reference, reference + 0.02) == pytest.approx(40)
    assert agreement_db(reference, reference) == math.inf
    assert agreement_db(reference, np.array([0, np.nan])) == -math.inf
    assert agreement_db(np.ones(2), np.array([1, 1.1])) == -math.inf


def test_the_probe_is_where_the_study_varies():
    images = np.zeros((3, 4, 50, 70), np.float32)
    images[1, 2, 30:40, 50:60] = np.arange(10)
    probe = probe_of(images, side=20)
    assert probe.shape == (1, 3, 20, 20)
    assert probe.sum() == images.sum()
    assert probe_of(images[:, :, :7, :9], side=20).shape == (1, 3, 7, 9)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("MPS backend out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
    ],
)
def test_tells_memory_from_other_faults(error, expected):
    assert is_out_of_memory(error) is expected


def test_auto_takes_what_there_is(monkeypatch):
    monkeypatch.setattr(device_module, "_obstacle", lambda name: "no CUDA device found" if name == "cuda" else None)
    assert choose_device("auto") == Device("mps", "MPS device (Apple GPU)")
    monkeypatch.setattr(device_module, "_obstacle", lambda name: f"no {name} device found")
    chosen = choose_device("auto")
    assert chosen.name == "cpu"
    assert "no cuda device found; no mps device found" in chosen.reason


def test_without_torch_there_is_the_cpu(monkeypatch):
    monkeypatch.setattr(device_module, "torch_obstacle", lambda: "PyTorch is not installed")
    assert choose_device() == Device("cpu", "CPU: PyTorch is not installed, which a GPU needs")
    assert reduced_precisions(Device("cpu", ""))[0] == ()
    with pytest.raises(DeviceError, match="cuda cannot be used: PyTorch is not installed, which a GPU needs"):
        choose_device("cuda")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            OSError("[WinError 126] c10.dll"),
            r"PyTorch is installed but cannot be loaded \(\[WinError 126\] c10.dll\); reinstall it",
        ),
        (ImportError("libcudart.so.12: no such file\nmore"), r"cannot be loaded \(libcudart.so.12: no such file\); reinstall it"),
    ],
)
def test_a_broken_torch_leaves_the_cpu(monkeypatch, error, expected):
    def refuse(name):
        raise error

    monkeypatch.setattr(libraries.importlib, "import_module", refuse)
    assert re.search(expected, choose_device().reason)
    with pytest.raises(DeviceError, match=expected):
        choose_device("cuda")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_asked_for_must_be_there():
    with pytest.raises(DeviceError, match="no CUDA device found"):
        choose_device("cuda")


@pytest.mark.parametrize("name", ["gpu", "cpu:1", "mps:0", ""])
def test_an_unknown_device_is_said(name):
    with pytest.raises(DeviceError, match="unknown"):
        choose_device(name)


def test_a_cpu_without_native_bf16_runs_in_fp32(monkeypatch):
    for native, expected in ((True, ("bf16", "mixed")), (False, ())):
        monkeypatch.setattr(device_module, "has_native_bf16", lambda native=native: native)
        assert reduced_precisions(Device("cpu", ""))[0] == expected
