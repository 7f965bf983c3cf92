"""A study through the synthesizer: what it gives does not depend on how it was computed, and failures are met or said."""

import numpy as np
import pytest
import small_network
import torch

from ccdnn.errors import Cancelled, DeviceError, InputError, ModelError
from ccdnn.inference import device as device_module
from ccdnn.inference import precision as precision_module
from ccdnn.inference import synthesizer as synthesizer_module
from ccdnn.inference.device import Device, reduced_precisions
from ccdnn.inference.precision import agreement_db
from ccdnn.inference.synthesizer import Synthesizer
from ccdnn.inference.torch_backend import TorchBackend
from ccdnn.model.architecture import UNDILATED


@pytest.fixture(scope="module", params=[UNDILATED, small_network.DILATED], ids=["undilated", "dilated"])
def model(request):
    return small_network.model(fusion_dilations=request.param)


@pytest.fixture(scope="module")
def narrow_model():
    """Of the paper's window, for tests that count pixels."""
    return small_network.model()


class Recorder:
    """Makes CPU backends, keeps the shape of every batch, and may fail on some."""

    def __init__(self, model, fail=lambda device, precision, batch: None):
        self.model, self.fail, self.shapes, self.made = model, fail, [], []

    def __call__(self, device, precision):
        self.made.append((device, precision))
        backend = TorchBackend(self.model, "cpu", "fp32")
        recorder = self

        class Recorded:
            library = "recorded"

            def __call__(self, batch):
                recorder.shapes.append(batch.shape)
                problem = recorder.fail(device, precision, batch)
                if isinstance(problem, Exception):
                    raise problem
                return backend(batch) if problem is None else problem(backend(batch))

            def batch_size(self, rows, columns):
                return 4

            def release_memory(self):
                pass

        return Recorded()


def assert_equal_to_rounding(output, expected):
    assert output.dtype == np.float32
    np.testing.assert_allclose(output, expected, atol=3e-5 * np.abs(expected).max())


@pytest.mark.parametrize("batch_size", [1, 2, 5, None])
def test_is_what_the_network_gives_whatever_the_batch(model, batch_size):
    images = small_network.images(5, 33, 47)
    output = Synthesizer(model, "cpu", "fp32", batch_size=batch_size).run(images)
    assert_equal_to_rounding(output, small_network.plain(model.network, images))


def test_tiles_agree_with_the_whole_at_borders_and_seams(model, monkeypatch):
    monkeypatch.setattr(synthesizer_module, "LONGEST_TILE", 32)
    images = small_network.images(2, 71, 110)
    recorder = Recorder(model)
    output = Synthesizer(model, "cpu", "fp32", make_backend=recorder).run(images)
    assert len(recorder.shapes) == 3 * 4
    assert max(max(shape[2:]) for shape in recorder.shapes) <= 32 + 2 * model.architecture.receptive_radius
    assert_equal_to_rounding(output, small_network.plain(model.network, images))


@pytest.mark.parametrize(
    "content",
    [
        (slice(30, 60), slice(40, 70)),
        (slice(0, 20), slice(90, 120)),  # at two borders
        (slice(0, 100), slice(50, 51)),  # from border to border
        (slice(50, 50), slice(50, 50)),  # nothing at all
    ],
)
def test_skipping_empty_background_changes_nothing(narrow_model, content):
    model = narrow_model
    images = np.zeros((3, 3, 100, 120), np.float32)
    images[(slice(None), 1, *content)] = small_network.images(1, 100, 120)[:, 0][(slice(None), *content)]
    recorder = Recorder(model)
    output = Synthesizer(model, "cpu", "fp32", make_backend=recorder).run(images)
    assert_equal_to_rounding(output, small_network.plain(model.network, images))
    # What was computed is the content with its surroundings and one small template, not three slices.
    assert sum(n * rows * columns for n, _, rows, columns in recorder.shapes) < 100 * 120


def test_the_uncertainty_of_tiles_and_of_empty_background_is_that_of_the_whole():
    network = small_network.network(fusion_dilations=small_network.DILATED, uncertainty_maps=3)
    images = np.zeros((3, 3, 100, 120), np.float32)
    images[:, 1:, 20:60, 30:90] = small_network.images(2, 40, 60)
    synthesizer = Synthesizer(small_network.model_with(network), "cpu", "fp32")
    prediction = synthesizer.predict(images)
    assert_equal_to_rounding(prediction.image, small_network.plain(network, images))
    assert_equal_to_rounding(prediction.log_scale, small_network.plain_log_scale(network, images))
    assert Synthesizer(small_network.model(), "cpu", "fp32").predict(images).log_scale is None


def test_skipping_empty_background_changes_nothing_for_a_wider_window(model):
    images = np.zeros((3, 2, 150, 130), np.float32)
    images[:, 1, 60:90, 50:70] = small_network.images(1, 30, 20)[:, 0]
    recorder = Recorder(model)
    output = Synthesizer(model, "cpu", "fp32", make_backend=recorder).run(images)
    assert_equal_to_rounding(output, small_network.plain(model.network, images))
    assert all(shape[2:] != (150, 130) for shape in recorder.shapes)


def test_background_is_what_normalisation_makes_of_zero():
    constants = {"min": -50, "max": 1000}
    model = small_network.model(normalisation={"strategy": "dataset_minmax", "constants": constants})
    images = np.full((3, 1, 90, 90), np.float32(50) / np.float32(1050), np.float32)
    images[:, :, 40:50, 40:50] = 0.5
    recorder = Recorder(model)
    output = Synthesizer(model, "cpu", "fp32", make_backend=recorder).run(images)
    assert (1, 3, 62, 62) in recorder.shapes and (1, 3, 90, 90) not in recorder.shapes
    assert_equal_to_rounding(output, small_network.plain(model.network, images))


def test_reports_every_slice_and_the_progress(model):
    images = small_network.images(5, 30, 30)
    slices, progress = {}, []
    predict = Synthesizer(model, "cpu", "fp32", batch_size=2).predict
    output = predict(
        images, on_progress=lambda *counts: progress.append(counts), on_slice=lambda i, image: slices.update({i: image.copy()})
    ).image
    assert progress == [(2, 5), (4, 5), (5, 5)]
    assert list(slices) == [0, 1, 2, 3, 4]
    assert all((slices[i] == output[i]).all() for i in slices)


def test_stops_between_batches(model):
    done = []
    synthesizer = Synthesizer(model, "cpu", "fp32", batch_size=1)
    with pytest.raises(Cancelled, match="after 2 of 5"):
        synthesizer.predict(small_network.images(5, 30, 30), on_slice=lambda i, _: done.append(i), cancelled=lambda: len(done) == 2)
    assert done == [0, 1]


@pytest.mark.parametrize("error", [torch.cuda.OutOfMemoryError("CUDA out of memory."), MemoryError()])
@pytest.mark.parametrize(
    ("pixels", "largest", "said"),
    [(2 * 100 * 160, (2, 3, 100, 160), "2 slices at a time"), (100 * 100, (1, 3, 63, 93), "tiles of 80 pixels")],
)
def test_little_memory_means_smaller_batches_then_tiles(narrow_model, error, pixels, largest, said):
    model = narrow_model
    images = small_network.images(4, 100, 160)
    recorder = Recorder(model, lambda device, precision, batch: error if batch[:, 0].size > pixels else None)
    synthesizer = Synthesizer(model, "cpu", "fp32", make_backend=recorder)
    output = synthesizer.run(images)
    assert_equal_to_rounding(output, small_network.plain(model.network, images))
    assert synthesizer.reasons[-1] == f"cpu ran out of memory: {said}"
    assert max(shape for shape in recorder.shapes if np.prod(shape) <= 3 * pixels) == largest


@pytest.fixture
def gpu(monkeypatch):
    """A machine that seems to have a GPU with fp16; what runs on it is made by a `Recorder`."""
    monkeypatch.setattr(synthesizer_module, "choose_device", lambda requested: Device("cuda:0", "CUDA device for the test"))


def test_a_gpu_without_memory_leaves_the_rest_to_the_cpu(model, gpu):
    images = small_network.images(3, 40, 40)
    full = []

    def fail(device, precision, batch):
        full.append(device == "cuda:0" and batch.shape[2:] == (40, 40) and len(recorder.shapes) > 3)
        return RuntimeError("CUDA out of memory") if full[-1] else None

    recorder = Recorder(model, fail)
    synthesizer = Synthesizer(model, make_backend=recorder, batch_size=1)
    assert_equal_to_rounding(synthesizer.run(images), small_network.plain(model.network, images))
    assert (synthesizer.device, synthesizer.precision) == ("cpu", "fp32")
    assert "rest runs on the CPU" in synthesizer.reasons[-1]

    recorder.fail = lambda device, precision, batch: None
    synthesizer.run(images)
    assert (synthesizer.device, synthesizer.precision) == ("cuda:0", "fp16")  # the next study starts afresh


def test_too_little_memory_for_anything_is_said(model):
    recorder = Recorder(model, lambda *_: MemoryError())
    with pytest.raises(DeviceError, match="not enough memory"):
        Synthesizer(model, "cpu", "fp32", make_backend=recorder).run(small_network.images(2, 40, 40))


def test_another_fault_of_the_device_is_said(model, gpu):
    recorder = Recorder(model, lambda *_: RuntimeError("CUDA error: unspecified launch failure\nmore lines"))
    with pytest.raises(DeviceError, match=r"cuda:0 failed: CUDA error: unspecified launch failure$"):
        Synthesizer(model, make_backend=recorder).run(small_network.images(2, 40, 40))


@pytest.mark.parametrize(("deviation", "precision"), [(1e-4, "fp16"), (1e-1, "fp32"), (np.nan, "fp32")])
def test_reduced_precision_only_where_it_agrees(model, gpu, deviation, precision):
    recorder = Recorder(model, lambda device, p, batch: (lambda output: output + deviation * output.max()) if p == "fp16" else None)
    synthesizer = Synthesizer(model, make_backend=recorder)
    output = synthesizer.run(small_network.images(2, 40, 40))
    assert synthesizer.precision == precision
    assert "agrees with fp32 to" in synthesizer.reasons[1]
    assert np.isfinite(output).all()


@pytest.mark.parametrize(("poor", "chosen"), [((), "bf16"), (("bf16",), "mixed"), (("bf16", "mixed"), "fp32")])
def test_a_cpu_takes_the_fastest_precision_that_agrees(model, monkeypatch, poor, chosen):
    monkeypatch.setattr(device_module, "has_native_bf16", lambda: True)
    monkeypatch.setattr(synthesizer_module, "gain", lambda reference, reduced, probe: 1.5)
    recorder = Recorder(model, lambda device, p, batch: (lambda output: output + 0.1 * output.max()) if p in poor else None)
    synthesizer = Synthesizer(model, "cpu", make_backend=recorder)
    synthesizer.run(small_network.images(2, 40, 40))
    assert synthesizer.precision == chosen
    assert all(f"{precision} agrees with fp32 to only" in synthesizer.reasons[1] for precision in poor)


@pytest.mark.parametrize(("gains", "chosen"), [({"bf16": 0.5, "mixed": 0.8}, "fp32"), ({"bf16": 0.9, "mixed": 1.2}, "mixed")])
def test_a_cpu_whose_16_bits_are_slow_does_not_use_them(model, monkeypatch, gains, chosen):
    monkeypatch.setattr(device_module, "has_native_bf16", lambda: True)
    recorder, timed, checked = Recorder(model), [], []

    def gain(reference, reduced, probe):
        timed.append(recorder.made[-1][1])
        return gains[timed[-1]]

    def agrees(reference, reduced, probe):
        checked.append(recorder.made[-1][1])
        return precision_module.agrees(reference, reduced, probe)

    monkeypatch.setattr(synthesizer_module, "gain", gain)
    monkeypatch.setattr(synthesizer_module, "agrees", agrees)
    synthesizer = Synthesizer(model, "cpu", make_backend=recorder)
    for _ in range(2):
        synthesizer.run(small_network.images(2, 40, 40))
        assert synthesizer.precision == chosen
        assert "bf16 takes" in synthesizer.reasons[1] and "times as long as fp32 here" in synthesizer.reasons[1]
    assert timed == list(gains)  # once, not for every study
    assert len(checked) == len(gains) + (chosen != "fp32")  # those known to be slow are not checked again


def test_an_overflow_after_the_probe_goes_on_in_fp32(model, gpu):
    images = small_network.images(3, 40, 40)

    def fail(device, precision, batch):
        return (lambda output: output * np.inf) if precision == "fp16" and len(recorder.shapes) > 4 else None

    recorder = Recorder(model, fail)
    synthesizer = Synthesizer(model, make_backend=recorder, batch_size=1)
    assert_equal_to_rounding(synthesizer.run(images), small_network.plain(model.network, images))
    assert synthesizer.reasons[-1] == "fp32 from slice 3: fp16 overflowed"


def test_values_that_are_not_finite_are_never_given_out(model):
    recorder = Recorder(model, lambda *_: lambda output: output * np.nan)
    seen = []
    with pytest.raises(ModelError, match="not finite in slice 1"):
        Synthesizer(model, "cpu", "fp32", make_backend=recorder).predict(
            small_network.images(2, 40, 40), on_slice=lambda i, _: seen.append(i)
        )
    assert not seen


@pytest.mark.skipif("bf16" not in reduced_precisions(Device("cpu", ""))[0], reason="this CPU has no native bf16")
def test_bf16_agrees_with_fp32_and_with_itself(model):
    images = small_network.images(3, 100, 110)
    synthesizer = Synthesizer(model, "cpu", "bf16")
    output = synthesizer.run(images)
    assert synthesizer.precision == "bf16"
    assert agreement_db(small_network.plain(model.network, images), output) > 50
    assert (synthesizer.run(images) == output).all()


def test_fp32_where_asked(model):
    synthesizer = Synthesizer(model, "cpu", "fp32")
    synthesizer.run(small_network.images(1, 30, 30))
    assert synthesizer.precision == "fp32"
    assert synthesizer.reasons[:2] == ["CPU, as requested", "fp32: as requested"]
    assert synthesizer.reasons[2].startswith("computed by ")


@pytest.mark.parametrize("precision", ["fp16", "fp64"])
def test_a_precision_the_device_lacks_is_said(model, precision):
    with pytest.raises(DeviceError, match=precision):
        Synthesizer(model, "cpu", precision)


def test_refuses_what_is_no_study_for_the_model(model):
    synthesizer = Synthesizer(model, "cpu", "fp32")
    images = small_network.images(2, 30, 30)
    for wrong in (images[:2], images[0], images[:, :0]):
        with pytest.raises(InputError, match="3 contrasts"):
            synthesizer.run(wrong)
    images[1, 1, 3, 3] = np.nan
    with pytest.raises(InputError, match="not finite"):
        synthesizer.run(images)


@pytest.mark.parametrize("number", [{"batch_size": 0}, {"threads": 0}])
def test_refuses_no_slices_and_no_threads(model, number):
    with pytest.raises(InputError, match="at least 1"):
        Synthesizer(model, "cpu", **number)
