"""From a cohort's studies to a model that `ccdnn synthesize` runs, with a card that describes its data."""

from __future__ import annotations

import json
from pathlib import Path

import cohort
import numpy as np
import pytest
import small_fit
import small_study
import torch

from ccdnn.cli.main import main as ccdnn
from ccdnn.model.file import load_model
from ccdnn_training.cli.main import main
from ccdnn_training.data.cache import SliceCache

FOLD = 2


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """studies/, cache/, fit/ and model.safetensors of one fold."""
    folder = tmp_path_factory.mktemp("model")
    cohort.write_cohort(folder / "studies", 4)
    for number in range(1, 5):
        say_protocol(folder / "studies" / f"knee-{number}" / "t1.json", tr=0.5 + 0.01 * number, te=0.011)
    assert (
        main(["prepare", str(folder / "studies"), "-o", str(folder / "cache"), "--folds", "2", "--normalisation", "dataset_minmax"])
        == 0
    )
    config = small_fit.write_config(folder / "fit", folder / "cache")
    assert main(["fit", "--config", str(config), "--data.init_args.fold", str(FOLD)]) == 0
    assert export(folder, "model") == 0
    return folder


def say_protocol(sidecar: Path, tr: float, te: float) -> None:
    sidecar.write_text(json.dumps({"RepetitionTime": tr, "EchoTime": te, "SeriesDescription": "t1 sag"}))


def export(folder: Path, name: str, *extra: str) -> int:
    checkpoint = folder / "fit" / "run" / "checkpoints" / "last.ckpt"
    return main(
        ["export", str(checkpoint), str(folder / "cache"), "-o", str(folder / f"{name}.safetensors"), "--name", name, *extra]
    )


def test_the_card_describes_the_data_of_the_model(made: Path) -> None:
    card = load_model(made / "model.safetensors").card
    cache = SliceCache(made / "cache", FOLD)
    assert card.normalisation == cache.normalisation.to_card()
    assert card.training_data.startswith("1 subjects of a cohort of 4")
    assert "did not state how T2-w and GRE and STIR were acquired" in card.training_data
    (train,) = cache.part("train")
    t1, t2, gre = card.contrasts
    assert t1.acquisition.tr_ms == pytest.approx(500 + 10 * int(train.name[-1]))
    assert t1.acquisition.te_ms == pytest.approx(11)
    assert (t2.acquisition.tr_ms, gre.acquisition.flip_angle_deg, card.target.acquisition.ti_ms) == (3000, 25, 220)
    assert card.training["fold"] == FOLD
    assert card.licence == "LicenseRef-not-stated"
    text = card.to_json()
    assert "knee-" not in text and str(made) not in text


def test_a_licence_can_be_stated(made: Path) -> None:
    assert export(made, "licensed", "--licence", "CC-BY-4.0") == 0
    assert load_model(made / "licensed.safetensors").card.licence == "CC-BY-4.0"


def test_the_engine_gives_the_network_the_inputs_of_the_fit(made: Path, tmp_path: Path) -> None:
    """The network gets the same intensities from the cached subject as from the engine reading the subject's files."""
    output = tmp_path / "stir.nrrd"
    cache = SliceCache(made / "cache", FOLD)
    subject = cache.part("test")[0]
    study = made / "studies" / subject.name
    arguments = [str(study), "-o", str(output), "--model", str(made / "model.safetensors"), "--precision", "fp32"]
    assert ccdnn(["synthesize", *arguments]) == 0
    model = load_model(made / "model.safetensors")
    inputs = np.asarray(subject.array())[:3]
    with torch.inference_mode():
        expected = model.network.eval()(torch.from_numpy(inputs.swapaxes(0, 1).copy()))[:, 0].numpy()
    written = small_study.read_array(output)
    assert written.shape == small_study.SHAPE
    scale = cache.normalisation.max - cache.normalisation.min
    assert np.allclose(written, cache.normalisation.to_intensity(expected), atol=1e-3 * scale)


def test_the_test_subjects_of_the_fold_are_scored(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = ["--train", str(made / "cache"), "--fold", str(FOLD), "-o", str(tmp_path / "results")]
    code = main(["evaluate", str(made / "cache"), *arguments, "--model", str(made / "model.safetensors")])
    assert code == 0, capsys.readouterr().err
    scored = (tmp_path / "results" / "scores.csv").read_text()
    cache = SliceCache(made / "cache", FOLD)
    assert {line.split(",")[0] for line in scored.splitlines()[1:]} == {subject.name for subject in cache.part("test")}
    results = json.loads((tmp_path / "results" / "results.json").read_text())
    assert results[0]["measured_on"] == "test subjects of fold 2 of a cohort"
    assert str(made) not in json.dumps(results)


def test_a_model_of_another_fold_is_not_scored_on_subjects_it_saw(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    arguments = ["--train", str(made / "cache"), "--fold", "1", "-o", str(tmp_path / "results")]
    assert main(["evaluate", str(made / "cache"), *arguments, "--model", str(made / "model.safetensors")]) != 0
    assert "was fitted on fold 2 and may have seen the test subjects of fold 1" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
