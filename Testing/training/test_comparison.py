"""`ccdnn-train study comparison` at its quick size: every method on every fold, the measurements, and resuming a stopped study."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pandas
import pingouin
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from safetensors.torch import load_file
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio

from ccdnn.cli.main import main as engine
from ccdnn.errors import InputError, ModelError
from ccdnn.files import read_volume
from ccdnn.measure.structural import ssim
from ccdnn.readers.scores import ScoreSheet
from ccdnn.readers.study import open_study
from ccdnn_training.cli.main import main
from ccdnn_training.data.cache import SliceCache
from ccdnn_training.reporting import read_records, write_records
from ccdnn_training.studies.comparison import pictures
from ccdnn_training.studies.comparison.cells import fit_cell, read_prediction, read_record
from ccdnn_training.studies.comparison.layout import Cell, Layout
from ccdnn_training.studies.comparison.measurements import ACQUIRED, BRIGHT_SHARE, BRIGHTEST, SCALED_PSNR, SMOOTHED_SSIM, Row, Stirs
from ccdnn_training.studies.comparison.methods.catalog import METHODS
from ccdnn_training.studies.comparison.tables import Measured, margin_table, quality_table, smoothness_table, time_table
from ccdnn_training.studies.comparison.timing import SliceTime

QUICK = Path(__file__).resolve().parents[2] / "training" / "configs" / "studies" / "comparison" / "quick"
FOLDS = 2
HEALTHY, LESIONS = {f"knee-0{n}" for n in range(1, 5)}, {"edema-1": "bone-marrow edema", "ganglion-1": "ganglion"}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("comparison") / "cohort"
    size = ["--subjects", "4", "--lesions", "1", "--slices", "8", "--matrix", "96", "--jobs", "2"]
    assert main(["simulate-cohort", str(folder), *size]) == 0
    return folder / "manifest.csv"


def compare(manifest: Path, output: Path, *more: str, configs: Path = QUICK) -> int:
    return main(["study", "comparison", str(manifest), "--configs", str(configs), "-o", str(output), "--folds", str(FOLDS), *more])


@pytest.fixture(scope="module")
def layout(manifest: Path) -> Layout:
    """A whole study."""
    output = manifest.parents[1] / "out"
    assert compare(manifest, output) == 0
    return Layout(output, QUICK)


@pytest.fixture(scope="module")
def rows(layout: Layout) -> list[Row]:
    return read_records(Row, layout.report / "measurements.csv")


def values(rows: list[Row], **wanted: str) -> dict[str, float]:
    return {row.subject: row.value for row in rows if all(getattr(row, name) == value for name, value in wanted.items())}


def test_subjects_with_a_lesion_are_in_no_fold(layout: Layout) -> None:
    for fold in layout.folds():
        cache = SliceCache(layout.cache, fold)
        assert {subject.name for subject in cache.subjects} == HEALTHY
        assert {subject.name: subject.lesion for subject in cache.apart} == LESIONS


# --------------------------------------------------------------------------------------------------------------- the study


def test_every_method_predicts_each_subject_once_without_having_seen_it(layout: Layout, rows: list[Row]) -> None:
    assert layout.methods() == list(METHODS)
    for method in METHODS.values():
        scored = [(row.subject, row.fold) for row in rows if row.image == method.title and row.name == "MSE"]
        assert sorted(subject for subject, _ in scored) == sorted(HEALTHY)
        for subject, fold in scored:
            assert subject in SliceCache(layout.cache, fold).fold.test


def test_measurements_match_an_independent_computation(layout: Layout, rows: list[Row]) -> None:
    cell = next(cell for cell in layout.measured_cells() if cell.name == "u-net")
    subject = SliceCache(layout.cache, cell.fold).part("test")[0]
    acquired, predicted = np.asarray(subject.array()[-1]), read_prediction(cell, subject.name)
    top = acquired.max()
    expected = peak_signal_noise_ratio(acquired / top, predicted / top, data_range=1)
    assert values(rows, image="U-Net", name="PSNR")[subject.name] == pytest.approx(expected, abs=1e-4)
    exactly, wanted = predicted.astype(np.float64), acquired.astype(np.float64)
    fitted = np.polyval(np.polyfit(exactly.ravel(), wanted.ravel(), 1), exactly)
    expected = peak_signal_noise_ratio(wanted / top, fitted / top, data_range=1)
    assert values(rows, image="U-Net", name=SCALED_PSNR)[subject.name] == pytest.approx(expected, abs=1e-3)
    order, squared = np.argsort(acquired, axis=None), np.square(exactly - wanted).ravel()
    brightest = order[-round(BRIGHTEST * order.size) :]
    assert values(rows, image="U-Net", name=BRIGHT_SHARE)[subject.name] == pytest.approx(
        squared[brightest].sum() / squared.sum(), rel=1e-2
    )
    smooth = [gaussian_filter(image / top, 1.0) for image in exactly]
    expected = np.mean([ssim(image, wanted[index] / top) for index, image in enumerate(smooth)])
    assert values(rows, image="U-Net", name=SMOOTHED_SSIM)[subject.name] == pytest.approx(expected, abs=1e-4)
    labels = np.load(layout.cache / "regions" / f"{subject.name}.npy")
    cartilage, marrow = acquired[labels == 6], acquired[labels == 4]
    expected = abs(cartilage.mean(dtype=np.float64) - marrow.mean(dtype=np.float64)) / marrow.std(ddof=1, dtype=np.float64)
    assert values(rows, image=ACQUIRED, name="CNR cartilage–bone")[subject.name] == pytest.approx(expected, rel=1e-4)


def test_lesions_are_measured_by_the_methods_of_all_folds(layout: Layout, rows: list[Row]) -> None:
    for subject, lesion in LESIONS.items():
        found = [row for row in rows if row.subject == subject and row.image == "CC-DNN"]
        assert {row.name for row in found} == {f"CNR {lesion}–bone", "lesion error", "lesion signal", "lesion contrast"}
        assert sorted(row.fold for row in found if row.name == "lesion error") == [1, 2]
    cell = next(cell for cell in layout.measured_cells() if cell.name == "cc-dnn")
    (subject,) = (s for s in SliceCache(layout.cache, cell.fold).apart if s.name == "edema-1")
    acquired, predicted = np.asarray(subject.array()[-1]), read_prediction(cell, "edema-1")
    labels = np.load(layout.cache / "regions" / "edema-1.npy")
    inside, marrow = labels == 13, labels == 4
    found = {r.name: r.value for r in rows if (r.subject, r.image, r.fold) == ("edema-1", "CC-DNN", cell.fold)}
    expected = np.abs(predicted - acquired)[inside].mean() / acquired.max()
    assert found["lesion error"] == pytest.approx(expected, rel=1e-4)
    kept, there = (image[inside].mean(dtype=np.float64) - image[marrow].mean(dtype=np.float64) for image in (predicted, acquired))
    assert found["lesion contrast"] == pytest.approx(kept / there, abs=1e-4)


def test_report_shows_tables_and_pictures_and_states_what_is_synthetic(layout: Layout) -> None:
    text, page = ((layout.report / f"report.{suffix}").read_text(encoding="utf-8") for suffix in ("md", "html"))
    assert "not for diagnosis" in text
    assert "`ccdnn-train " in text
    for title in (
        "Quality (Table 1)",
        "Where the errors lie",
        "Examples (Figure 5)",
        "Bone-marrow edema",
        "Ganglion",
        "(Figure 7)",
        "CNR (Figure 8)",
    ):
        assert title in text and title in page
    linked = [line.partition("](")[2].rstrip(")") for line in text.splitlines() if line.startswith("![")]
    assert len(linked) == 7
    for name in linked:
        assert (layout.report / name).read_bytes().startswith(b"\x89PNG")
        assert f'src="{name}"' in page
    for method in METHODS.values():
        assert f"| {method.title} | 4 |" in text
        assert f"<td>{method.title}</td>" in page


@pytest.mark.parametrize("methods", [1, 5])
def test_every_picture_states_in_full_that_it_is_synthetic(layout: Layout, tmp_path: Path, monkeypatch, methods: int) -> None:
    cells = layout.measured_cells()[:1]
    subject = SliceCache(layout.cache, cells[0].fold).part("test")[0]
    stirs = dict.fromkeys(list(METHODS)[:methods], Stirs.of(subject, read_prediction(cells[0], subject.name)))
    figures = []
    savefig = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **kw: (figures.append(figure), savefig(figure, *args, **kw)))
    pictures.draw_examples([(stirs, 0, (8, 8))], tmp_path / "examples.png")
    (figure,) = figures
    figure.canvas.draw()
    (note,) = [text for text in figure.findobj(Text) if " ".join(text.get_text().split()) == pictures.SYNTHETIC_NOTE]
    left, bottom, right, top = note.get_window_extent().extents
    assert left >= 0 and bottom >= 0 and right <= figure.bbox.width and top <= figure.bbox.height


def test_a_second_call_refits_nothing(layout: Layout, manifest: Path) -> None:
    before = {cell: cell.model.stat().st_mtime_ns for cell in layout.measured_cells()}
    assert len(before) == len(METHODS) * FOLDS
    assert compare(manifest, layout.folder) == 0
    assert {cell: cell.model.stat().st_mtime_ns for cell in layout.measured_cells()} == before


def test_the_report_of_an_unfinished_study_states_what_is_missing(manifest: Path, layout: Layout, tmp_path: Path, capsys) -> None:
    shutil.copytree(layout.cache, tmp_path / "out" / "cache")
    assert compare(manifest, tmp_path / "out", "--only-methods", "replica", "--only-folds", "2") == 0
    reported = capsys.readouterr().out
    assert "**Not complete**" in reported
    assert "replica lacks fold 1" in reported and "cc-dnn lacks fold 1, 2" in reported
    assert "| Replica | 2 |" in reported


def test_parallel_commands_leave_the_report_to_a_last_one(manifest: Path, layout: Layout, tmp_path: Path, capsys) -> None:
    shutil.copytree(layout.cache, tmp_path / "out" / "cache")
    for fold in ("1", "2"):
        assert compare(manifest, tmp_path / "out", "--only-methods", "replica", "--only-folds", fold, "--no-report") == 0
    part = Layout(tmp_path / "out", layout.configs)
    assert len(part.measured_cells()) == 2 and not part.report.exists()
    # Images may be removed to save space; the other fold's are then shown.
    shutil.rmtree(part.measured_cells()[0].prediction("").parent)
    capsys.readouterr()
    assert compare(manifest, tmp_path / "out", "--report-only") == 0
    assert "| Replica | 4 |" in capsys.readouterr().out


def test_times_are_compared_on_one_device_only() -> None:
    measured = (("CC-DNN", 8.0, "GPU"), ("U-Net", 4.0, "GPU"), ("Replica", 16.0, "CPU"))
    times = [SliceTime(method, 384, 384, median, 1.0, 99.0, 5, device) for method, median, device in measured]
    assert [(row[0], *row[3:]) for row in time_table(times).rows] == [
        ("CC-DNN", "1.00", "GPU"),
        ("U-Net", "0.50", "GPU"),
        ("Replica", "–", "CPU"),
    ]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--only-methods", "gan"], "does not contain gan.yaml"),
        (["--only-folds", "3"], "Fold 3 does not exist"),
    ],
)
def test_unknown_names_are_reported_in_one_sentence(layout: Layout, manifest: Path, capsys, more: list[str], message: str) -> None:
    assert compare(manifest, layout.folder, *more) == InputError.exit_code
    assert message in capsys.readouterr().err


def test_a_study_of_other_subjects_is_refused(layout: Layout, manifest: Path, tmp_path: Path, capsys) -> None:
    lines = manifest.read_text(encoding="utf-8").splitlines()
    other = tmp_path / "manifest.csv"
    other.write_text("\n".join([lines[0], *(f"other-{line}" for line in lines[1:])]) + "\n", encoding="utf-8")
    assert compare(other, layout.folder) == InputError.exit_code
    assert "of subjects other than" in capsys.readouterr().err


def test_a_report_without_results_is_refused(layout: Layout, manifest: Path, tmp_path: Path, capsys) -> None:
    shutil.copytree(layout.cache, tmp_path / "out" / "cache")
    assert compare(manifest, tmp_path / "out", "--report-only") == InputError.exit_code
    assert "no fitted and measured method" in capsys.readouterr().err


# ----------------------------------------------------------------------------------------------------------- reader study


def test_a_reader_study_of_the_comparison_from_volumes_to_table(layout: Layout, manifest: Path, tmp_path: Path) -> None:
    assert compare(manifest, layout.folder, "--report-only", "--volumes", str(tmp_path / "volumes")) == 0
    acquired, synthetic = (read_volume(tmp_path / "volumes" / "knee-02" / f"{name}.nrrd") for name in ("stir", "u-net"))
    original = read_volume(manifest.parent / "knee-02" / "stir.nrrd")
    np.testing.assert_array_equal(acquired.array, original.array)
    np.testing.assert_allclose(synthetic.ijk_to_ras, original.ijk_to_ras)
    assert "SYNTHETIC" in synthetic.metadata["CCDNN_Notice"]
    (cell,) = (c for c in layout.measured_cells() if c.name == "u-net" and "knee-02" in SliceCache(layout.cache, c.fold).fold.test)
    scale = next(s for s in SliceCache(layout.cache, cell.fold).part("test") if s.name == "knee-02").scales[-1]
    np.testing.assert_allclose(synthetic.array, read_prediction(cell, "knee-02") * scale, rtol=1e-5)

    study, key = tmp_path / "readers", tmp_path / "key.json"
    assert engine(["reader-study", str(tmp_path / "volumes" / "cases.csv"), "-o", str(study), "--key", str(key)]) == 0
    opened = open_study(study)
    assert len(opened.cases) == len(HEALTHY) + len(LESIONS)
    rng = np.random.default_rng(3)
    for reader in ("one", "two"):
        sheet = ScoreSheet(tmp_path / f"{reader}.csv", opened, reader)
        for item in list(sheet.missing()):
            sheet.set(*item, int(rng.integers(1, 6)))
    assert main(["study", "readers", *map(str, (key, tmp_path / "one.csv", tmp_path / "two.csv", "-o", tmp_path / "table"))]) == 0
    summary = (tmp_path / "table" / "summary.md").read_text(encoding="utf-8")
    assert all(method.title in summary for method in METHODS.values())


# --------------------------------------------------------------------------------------------------------- methods and cells


def cell_of(name: str, layout: Layout, folder: Path, config: Path | None = None) -> Cell:
    configs = next(layout.cells([name], [1])).configs
    return Cell(name, 1, (*configs, config) if config else configs, folder)


def test_a_fit_with_other_settings_is_refused(layout: Layout, tmp_path: Path) -> None:
    config = tmp_path / "replica.yaml"
    config.write_text("smallest_leaf: 9", encoding="utf-8")
    done = layout.folder / "fold-1" / "replica"
    with pytest.raises(InputError, match="other settings"):
        fit_cell(cell_of("replica", layout, done, config), layout.cache)


def test_a_stopped_fit_resumes_and_ends_the_same(layout: Layout, tmp_path: Path) -> None:
    cell = cell_of("multimodal", layout, tmp_path / "cell")
    settings = (argument for config in cell.configs for argument in ("--config", str(config)))
    stopped = [*settings, "--data.init_args.cache", str(layout.cache), "--data.init_args.fold", "1"]
    assert main(["fit", *stopped, "--run", str(cell.run), "--trainer.max_epochs", "1"]) == 0
    fit_cell(cell, layout.cache)
    assert read_record(cell).progress.startswith("2 epochs, 8 steps")
    inputs = SliceCache(layout.cache, 1).part("test")[0].array()[:-1]
    whole = METHODS["multimodal"].load(layout.folder / "fold-1" / "multimodal" / "model.safetensors")
    np.testing.assert_array_equal(METHODS["multimodal"].load(cell.model).predict(inputs), whole.predict(inputs))


@pytest.mark.parametrize("name", ["multimodal", "pix2pix"])
def test_the_best_epoch_is_kept_where_a_method_stops_early_else_the_last(layout: Layout, name: str) -> None:
    cell = cell_of(name, layout, layout.folder / "fold-1" / name)
    with next((cell.run / "csv").glob("version_*/metrics.csv")).open(encoding="utf-8") as file:
        errors = {int(row["epoch"]): float(row["validation/mse"]) for row in csv.DictReader(file) if row["validation/mse"]}
    expected = min(errors, key=errors.get) if name == "multimodal" else max(errors)
    assert read_record(cell).progress.endswith(f"that after epoch {expected + 1} kept")
    kept = torch.load(cell.run / "checkpoints" / f"{'best' if name == 'multimodal' else 'last'}.ckpt", weights_only=True)
    assert kept["epoch"] == expected
    weights = load_file(cell.model)
    for key, value in weights.items():
        assert torch.equal(value, kept["state_dict"][f"network.{key}"])


@pytest.mark.parametrize("name", METHODS)
def test_a_saved_method_predicts_the_same(layout: Layout, tmp_path: Path, name: str) -> None:
    cell = cell_of(name, layout, layout.folder / "fold-1" / name)
    method = METHODS[name].load(cell.model)
    copy = tmp_path / f"copy{METHODS[name].suffix}"
    method.save(copy)
    inputs = SliceCache(layout.cache, 1).part("test")[0].array()[:-1, :2, :70, :66]
    predicted = method.predict(inputs)
    assert predicted.shape == (2, 70, 66) and predicted.dtype == np.float32
    np.testing.assert_array_equal(METHODS[name].load(copy).predict(inputs), predicted)


def test_a_file_of_another_method_or_a_damaged_one_is_refused(layout: Layout, tmp_path: Path) -> None:
    unet = layout.folder / "fold-1" / "u-net" / "model.safetensors"
    with pytest.raises(ModelError, match="contains U-Net, not Pix2pix"):
        METHODS["pix2pix"].load(unet)
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(unet.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"torn\.safetensors"):
        METHODS["u-net"].load(torn)


# --------------------------------------------------------------------------------------------------------------- statistics


@pytest.fixture
def invented(tmp_path: Path) -> list[Row]:
    """Figures of twelve subjects, written and read back, so that the file is tested too."""
    rng = np.random.default_rng(5)
    made = [
        Row(f"s{n}", "", 1 + n % 4, method, name, float(centre + rng.normal(0, spread)), "1", 9, "", "")
        for n in range(12)
        for method, better in (("CC-DNN", 1), ("Pix2pix", 0.4), ("U-Net", 0.97))
        for name, centre, spread in (("PSNR", 26 + better, 0.5), ("MSE", 3e-3 - 1e-3 * better, 1e-4), ("SSIM", 0.7, 0.1))
    ]
    write_records(made, Row, tmp_path / "rows.csv")
    return read_records(Row, tmp_path / "rows.csv")


def test_table_1_matches_a_second_library(invented: list[Row]) -> None:
    frame = pandas.DataFrame([vars(row) for row in invented])
    table = {row[0]: row for row in quality_table(Measured(invented)).rows}
    psnr = frame[frame.name == "PSNR"].pivot(index="subject", columns="image", values="value")
    for method in psnr:
        mean, sd = psnr[method].mean(), psnr[method].std()
        assert table[method][3].rstrip("\\*") == f"{mean:.2f} ± {sd:.2f}"
    for method in ("Pix2pix", "U-Net"):
        p = pingouin.wilcoxon(psnr["CC-DNN"], psnr[method]).loc["Wilcoxon", "p_val"]
        marks = "\\*" * sum(p < limit for limit in (0.05, 0.01, 0.001))
        assert table[method][3].endswith(marks) and table[method][3].count("*") == len(marks) // 2
    assert "*" in table["Pix2pix"][3] and "*" not in table["U-Net"][3]
    assert table["*Pix2pix, the paper's*"][3] == "*27.45 ± 0.97*"
    assert table["CC-DNN"][5] == "–"  # nobody measured MS-SSIM


def test_margins_are_positive_where_cc_dnn_is_better(invented: list[Row]) -> None:
    rows = {row[:2]: row[2:] for row in margin_table(Measured(invented)).rows}
    assert set(rows) == {(m, t) for m in ("Pix2pix", "U-Net") for t in ("MSE · 10³", "PSNR (dB)", "SSIM")}
    ahead, count, p, paper = rows["Pix2pix", "MSE · 10³"]
    assert ahead.startswith("+0.") and count == "12 of 12" and p == "< .001" and paper == "+0.337"
    assert rows["Pix2pix", "PSNR (dB)"][3] == "+0.89"
    assert rows["U-Net", "PSNR (dB)"][3] == "–"


def test_smoothed_images_are_compared_subject_by_subject() -> None:
    def rows(method: str, sharp: float, smooth: float) -> list[Row]:
        of_subject = [
            (f"s{n}", n / 100, name, start) for n in range(6) for name, start in (("SSIM", sharp), (SMOOTHED_SSIM, smooth))
        ]
        return [Row(s, "", 1, method, name, start + more, "1", 9, "", "") for s, more, name, start in of_subject]

    table = smoothness_table(Measured([*rows("CC-DNN", 0.8, 0.86), *rows("Multimodal", 0.82, 0.81)]))
    ours, other = table.rows
    assert ours == ("CC-DNN", "0.825 ± 0.019", "0.885 ± 0.019", "–", "–")
    assert other[3:] == ("+0.050 ± 0.000", "0.031")


def test_a_subject_of_several_folds_counts_once() -> None:
    def row(subject: str, fold: int, value: float) -> Row:
        return Row(subject, "ganglion", fold, "CC-DNN", "lesion error", value, "1", 4, "", "")

    measured = Measured([row("a", 1, 1.0), row("a", 2, 3.0), row("b", 1, 4.0), row("b", 2, float("nan"))])
    assert measured.of("lesion error", "CC-DNN", "ganglion") == {"a": 2.0, "b": 4.0}
    assert measured.of("lesion error", "CC-DNN") == {}
