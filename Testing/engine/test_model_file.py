"""A model file gives back what was saved, and a bad one is refused with its name and the reason."""

import hashlib
import json
import struct

import numpy as np
import pytest
import small_network
import small_study
import torch
from safetensors.torch import load_file, save_file

from ccdnn.errors import ModelError, OutputError
from ccdnn.model.file import load_model
from ccdnn.model.header import CARD_KEY
from ccdnn.model.saving import save_model

WIDTH = 4


@pytest.fixture(scope="module")
def network():
    return small_network.network(WIDTH)


@pytest.fixture
def saved(tmp_path, network):
    path = tmp_path / "tiny.safetensors"
    save_model(path, network, small_study.card(branch_width=WIDTH))
    return path


def test_gives_back_what_was_saved(tmp_path, network):
    path = tmp_path / "tiny.safetensors"
    digest = save_model(path, network, small_study.card(branch_width=WIDTH))
    model = load_model(path, sha256=digest)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest() == model.sha256
    assert model.card == small_study.card(branch_width=WIDTH)
    assert not model.network.training
    images = small_network.images(1, 20, 24)
    assert (small_network.plain(model.network, images) == small_network.plain(network, images)).all()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float16, 2**-11), (torch.bfloat16, 2**-8)])
def test_16_bit_weights_are_smaller_and_load_as_float32(tmp_path, network, dtype, bound):
    sizes = []
    for stored in (torch.float32, dtype):
        save_model(tmp_path / "m.safetensors", network, small_study.card(branch_width=WIDTH), stored)
        sizes.append(sum(t.nbytes for t in load_file(tmp_path / "m.safetensors").values() if t.ndim == 4))
    assert sizes[1] * 2 == sizes[0]
    loaded = load_model(tmp_path / "m.safetensors").network
    for name, tensor in network.state_dict().items():
        other = loaded.state_dict()[name]
        if tensor.is_floating_point():
            assert other.dtype == torch.float32
            assert ((other - tensor).abs() <= bound * tensor.abs() + 1e-7).all(), name


def _rewritten(path, change_tensors=lambda tensors: None, card=None, key=CARD_KEY):
    tensors = load_file(path)
    change_tensors(tensors)
    save_file(tensors, path, metadata={key: card or small_study.card(branch_width=WIDTH).to_json()})


def _fill(value):
    return lambda tensors: tensors["head.weight"].fill_(value)


def _negative_variance(tensors):
    tensors["branches.0.1.running_var"][0] = -1


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda p: p.write_bytes(b""), "too short"),
        (lambda p: p.write_bytes(b"\x80\x04 a pickle, say"), "not a safetensors"),
        (lambda p: p.write_bytes(p.read_bytes()[:-100]), "truncated"),
        (lambda p: p.write_bytes(p.read_bytes()[:50]), "truncated"),
        (lambda p: p.write_bytes(struct.pack("<Q", 1 << 60) + b"{}"), "truncated"),
        (lambda p: _rewritten(p, key="other"), "no CC-DNN card"),
        (lambda p: _rewritten(p, card="{"), "not JSON"),
        (lambda p: _rewritten(p, card=small_study.card(branch_width=8).to_json()), "shape"),
        (lambda p: _rewritten(p, lambda t: t.pop("head.weight")), "head.weight are missing"),
        (lambda p: _rewritten(p, lambda t: t.update(extra=torch.ones(1))), "extra"),
        (lambda p: _rewritten(p, lambda t: t.update({"head.bias": torch.ones(1, dtype=torch.int32)})), "I32"),
        (lambda p: _rewritten(p, _fill(torch.nan)), "head.weight are not finite"),
        (lambda p: _rewritten(p, _negative_variance), "variances"),
    ],
)
def test_refuses_a_bad_file(saved, damage, said):
    damage(saved)
    with pytest.raises(ModelError, match=said) as caught:
        load_model(saved)
    assert saved.name in str(caught.value)


def test_refuses_another_hash(saved):
    with pytest.raises(ModelError, match="SHA-256"):
        load_model(saved, sha256="0" * 64)


def test_refuses_what_is_not_there(tmp_path):
    with pytest.raises(ModelError, match="no model file"):
        load_model(tmp_path / "absent.safetensors")
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(tmp_path)


def test_a_forged_header_asks_for_no_memory(tmp_path):
    """A tensor of 4 TB in the header and nothing behind it."""
    header = {
        "__metadata__": {CARD_KEY: small_study.card(branch_width=WIDTH).to_json()},
        "head.weight": {"dtype": "F32", "shape": [1 << 20, 1 << 20], "data_offsets": [0, 1 << 42]},
    }
    text = json.dumps(header).encode()
    path = tmp_path / "forged.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(ModelError, match="truncated"):
        load_model(path)


def test_a_dilated_network_comes_back(tmp_path):
    network = small_network.network(WIDTH, small_network.DILATED)
    path = tmp_path / "dilated.safetensors"
    save_model(path, network, small_study.card(branch_width=WIDTH, fusion_dilations=small_network.DILATED))
    loaded = load_model(path)
    assert loaded.network.fusion_dilations == loaded.card.fusion_dilations == small_network.DILATED
    images = small_network.images(1, 50, 50)
    np.testing.assert_array_equal(small_network.plain(loaded.network, images), small_network.plain(network, images))


def test_a_network_with_an_uncertainty_comes_back(tmp_path):
    network = small_network.network(WIDTH, uncertainty_maps=3)
    path = tmp_path / "uncertain.safetensors"
    card = small_study.card(branch_width=WIDTH, uncertainty=small_network.uncertainty(3))
    save_model(path, network, card)
    loaded = load_model(path)
    assert loaded.card.uncertainty == card.uncertainty
    images = small_network.images(1, 50, 50)
    found, expected = (small_network.plain_log_scale(net, images) for net in (loaded.network, network))
    np.testing.assert_array_equal(found, expected)


def test_does_not_save_what_could_not_be_loaded(saved, network):
    before = saved.read_bytes()
    with pytest.raises(ModelError, match="states 8 maps per branch"):
        save_model(saved, network, small_study.card(branch_width=8))
    with pytest.raises(ModelError, match="fusion dilations"):
        save_model(saved, network, small_study.card(branch_width=WIDTH, fusion_dilations=small_network.DILATED))
    broken = small_network.network(WIDTH)
    broken.head.weight.fill_(1e6)
    with pytest.raises(ModelError, match=r"not finite as torch\.float16"):
        save_model(saved, broken, small_study.card(branch_width=WIDTH), torch.float16)
    assert saved.read_bytes() == before


def test_says_when_it_cannot_write(tmp_path, network):
    with pytest.raises(OutputError, match="cannot be written"):
        save_model(tmp_path / "absent" / "m.safetensors", network, small_study.card(branch_width=WIDTH))
