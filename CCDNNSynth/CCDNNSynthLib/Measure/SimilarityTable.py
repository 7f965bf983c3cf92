"""The measured image similarity in the scene: a table node that also stores what its values were measured on."""

from dataclasses import dataclass
from typing import Any

from slicer.i18n import tr as _

from ccdnn.measure.similarity import Measure
from ccdnn.measure.table import Cell
from CCDNNSynthLib.Measure.SimilarityMeasurement import SimilarityChoices, SimilarityResult
from CCDNNSynthLib.Scene.Tables import showTable, tableOf

# On the node, so that a saved scene stores them with the values.
_STAMP, _THRESHOLD = "CCDNNSynth.MeasuredOn", "CCDNNSynth.Threshold"


@dataclass(frozen=True)
class SimilarityTable:
    """
    node - a vtkMRMLTableNode, which may be empty.
    """

    node: Any

    @classmethod
    def of(cls, parameterNode) -> "SimilarityTable | None":
        """The measured values in the scene; None if there are none."""
        node = parameterNode.similarityTable if parameterNode is not None else None
        return cls(node) if node is not None and node.GetNumberOfRows() else None

    def fill(self, result: SimilarityResult, threshold: float) -> None:
        """Show a result, with the overlap of the voxels below `threshold`."""
        self.node.SetAttribute(_STAMP, result.stamp)
        self.node.SetAttribute(_THRESHOLD, str(threshold))
        showTable(self.node, result.table(threshold))

    def isOf(self, choices: SimilarityChoices) -> bool:
        """Whether a measurement with these choices would give the same values now. Reads all voxels."""
        return choices.complete and choices.stamp() == self.node.GetAttribute(_STAMP)

    def hasThreshold(self, threshold: float) -> bool:
        return str(threshold) == self.node.GetAttribute(_THRESHOLD)

    @property
    def version(self) -> tuple:
        """Differs from that of other values."""
        return self.node.GetID(), self.node.GetAttribute(_STAMP), self.node.GetAttribute(_THRESHOLD)

    @property
    def notes(self) -> str:
        return self.node.GetDescription()

    def bySlice(self, measure: Measure) -> list[float]:
        return [_number(cell) for cell in tableOf(self.node).column(measure.value)[1:]]

    def ofVolume(self) -> str:
        """The measures of the volume, as text."""
        table = tableOf(self.node)
        units = {measure: f" {measure.unit}" if measure.unit != "1" else "" for measure in Measure}
        return ", ".join(f"{measure.value} {table.column(measure.value)[0]:.4g}{unit}" for measure, unit in units.items())

    def overlap(self) -> str:
        """The overlap of the voxels below the threshold, as text."""
        table = tableOf(self.node)
        dice, synthetic, acquired, both = (_number(cell) for cell in (table.column("Dice")[0], *table.rows[0][-3:]))
        if not synthetic + acquired:
            return _("Neither image has a voxel below the threshold.")
        counts = _("{synthetic} voxels synthetic, {acquired} acquired, {both} in both")
        return f"Dice {dice:.4f}: {counts.format(synthetic=synthetic, acquired=acquired, both=both)}"


def _number(cell: Cell) -> float:
    """A cell of a column of numbers, which `tableOf` never leaves empty."""
    assert isinstance(cell, int | float)
    return cell
