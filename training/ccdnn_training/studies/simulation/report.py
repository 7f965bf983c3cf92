"""The reports of the simulation study: raw scores, a table with the paper's figures, and pictures like Figures 3 and 4."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ccdnn.chart import DIFFERENCE_SHOWN
from ccdnn.measure.similarity import psnr_of
from ccdnn.pictures import difference_colours
from ccdnn.writing import replacing, write_text
from ccdnn_training.reporting import command_line, markdown_table, mean_and_sd
from ccdnn_training.studies.simulation.bound import STIR
from ccdnn_training.studies.simulation.label_maps import LabelMaps
from ccdnn_training.studies.simulation.score import ABLATIONS, NETWORK, PAPER, ImageScore, Setting, TrainedNetwork
from ccdnn_training.studies.simulation.tuples import signal_maxima

_SPREADS = ("PSNR, mean ± SD over images", "SSIM, mean ± SD")


@dataclass(frozen=True)
class SettingScores:
    """The scores of one checkpoint and of the bounds of its setting; `size` describes the fit."""

    setting: Setting
    size: str
    scores: list[ImageScore]


def settings_table(results: Sequence[SettingScores]) -> str:
    """One row per setting and method; the paper's figure follows the last method of each setting."""
    rows: list[tuple[object, ...]] = []
    for result in results:
        title = result.setting.title
        by_method = {
            m: {s.image: s for s in result.scores if s.method == m} for m in dict.fromkeys(s.method for s in result.scores)
        }
        network = by_method[NETWORK]
        for method, scores in by_method.items():
            error = _mean_error(scores.values())
            name = f"{method} ({result.size})" if method == NETWORK else method
            # A bound of some of the images is compared with the network on the same images.
            same = (
                f"; network on these {psnr_of(_mean_error([network[i] for i in scores])):.2f}" if len(scores) < len(network) else ""
            )
            spreads = (mean_and_sd([s.psnr for s in scores.values()], 2), mean_and_sd([s.ssim for s in scores.values()], 3))
            rows.append((title, name, len(scores), f"{error * 1e4:.3f}", f"**{psnr_of(error):.2f}**{same}", *spreads))
        if result.setting in PAPER:
            ratio, similarity = PAPER[result.setting]
            rows.append((title, "*paper*", "", "", f"*{ratio:.2f}*", "", f"*{similarity:.3g}*"))
    headings = (
        "setting",
        "method",
        "n",
        "MSE · 10⁴",
        "PSNR of the mean MSE (dB)",
        "PSNR, mean ± SD over images",
        "SSIM, mean ± SD",
    )
    return markdown_table(headings, rows)


def ablation_table(results: Sequence[SettingScores]) -> str:
    """What the second loss adds to c1, image by image, for each pair of `ABLATIONS` in the results; "" if there is none."""
    rows: list[tuple[object, ...]] = []
    for without, added in ABLATIONS:
        title = f"{added.title} over {without.losses}"
        firsts, seconds = ([r for r in results if r.setting == setting] for setting in (without, added))
        for first, second in zip(firsts, seconds, strict=False):
            for method in dict.fromkeys(s.method for s in first.scores if s.method.startswith(NETWORK)):
                one, other = ({s.image: s for s in r.scores if s.method == method} for r in (first, second))
                pairs = [(one[image], other[image]) for image in one if image in other]
                gain = 10 * np.log10(_mean_error(a for a, _ in pairs) / _mean_error(b for _, b in pairs))
                spreads = (mean_and_sd([b.psnr - a.psnr for a, b in pairs], 2), mean_and_sd([b.ssim - a.ssim for a, b in pairs], 3))
                rows.append((title, method, len(pairs), f"{gain:+.2f}", *spreads))
        if firsts and seconds:
            (psnr_1, ssim_1), (psnr_2, ssim_2) = PAPER[without], PAPER[added]
            rows.append((title, "*paper*", "", f"*{psnr_2 - psnr_1:+.2f}*", "", f"*{ssim_2 - ssim_1:+.2f}*"))
    headings = ("ablation", "method", "n", "PSNR of the mean MSE (dB)", *_SPREADS)
    return markdown_table(headings, rows) if rows else ""


def _mean_error(scores: Iterable[ImageScore]) -> float:
    return float(np.mean([score.mse for score in scores]))


def write_summary(results: Sequence[SettingScores], data: str, path: Path) -> None:
    """Write the tables with a description of their data.

    Args:
        data: the command that made the label maps.
    """
    top = float(signal_maxima()[STIR])
    write_text(
        f"Simulation study, test images. Label maps: `{data}`. Images are divided by {top:.4f}, the STIR's maximum over the grid "
        f"of tuples, which is the data range of PSNR and SSIM; at range 1 every PSNR is {-20 * np.log10(top):.2f} dB higher. "
        f"MS-SSIM is not defined at 128 pixels.\n\nCommand: `{command_line()}`\n\n"
        f"{settings_table(results)}\n{ablation_table(results)}",
        path,
    )


def draw_examples(trained: Sequence[TrainedNetwork], maps: LabelMaps, items: Sequence[int], path: Path) -> None:
    """Inputs, label, output and difference for some test images, one row per network and image.

    Args:
        trained: the networks to run; each sees the images of its own setting.
        items: images to show.
        path: a PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    titles = ("T1-w", "T2-w", "GRE", "STIR, label", "STIR, network", "network − label")
    rows = [(network, item) for network in trained for item in items]
    figure = Figure(figsize=(2 * len(titles), 2.25 * len(rows) + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), len(titles), squeeze=False)
    for axes, (network, item) in zip(grid, rows, strict=True):
        image = network.images(maps).image(item)
        output = network.run(image[None, :STIR])[0]
        # Each contrast on the scale of its own maximum over the grid of tuples, the same for all images.
        shown = [*(image / signal_maxima()[:, None, None]), output / signal_maxima()[STIR]]
        for axis, picture in zip(axes, shown, strict=False):
            axis.imshow(picture, cmap="gray", vmin=0, vmax=0.8)
        difference = (output - image[STIR]) / signal_maxima()[STIR]
        drawn = axes[-1].imshow(difference, cmap=difference_colours(), vmin=-DIFFERENCE_SHOWN, vmax=DIFFERENCE_SHOWN)
        figure.colorbar(drawn, ax=axes[-1], fraction=0.05)
        axes[0].set_ylabel(f"{network.setting.title}\nimage {item}", fontsize=7)
    for axis, title in zip(grid[0], titles, strict=True):
        axis.set_title(title, fontsize=9)
    for axis in grid.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.suptitle("Simulated knees: signal equations on random tissue values, no patient. STIR, network: synthetic.", fontsize=9)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=80, format="png")
