"""Shows the engine's tables as table nodes, and reads them back."""

import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ccdnn.measure.table import Column, Table


def showTable(node, table: Table) -> None:
    """Fill `node`, a vtkMRMLTableNode, with `table`: text, integer and floating-point columns, with units."""
    modified = node.StartModify()
    node.RemoveAllColumns()
    columns = zip(*table.rows, strict=True) if table.rows else [()] * len(table.columns)
    for column, cells in zip(table.columns, columns, strict=True):
        node.AddColumn(_array(column.heading, cells))
        if column.unit:
            node.SetColumnUnitLabel(column.heading, column.unit)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetUseFirstColumnAsRowHeader(False)
    node.SetLocked(True)
    node.SetDescription(" ".join(table.notes))
    node.EndModify(modified)


def tableOf(node) -> Table:
    """The table in a node filled by `showTable`, which a saved scene restores; its notes are joined into one."""
    columns, cells = [], []
    for index in range(node.GetNumberOfColumns()):
        array = node.GetTable().GetColumn(index)
        unit = node.GetColumnUnitLabel(array.GetName()) or ""
        columns.append(Column(array.GetName().removesuffix(f" ({unit})"), unit))
        words = array.IsA("vtkStringArray")
        cells.append([array.GetValue(row) for row in range(node.GetNumberOfRows())] if words else vtk_to_numpy(array).tolist())
    notes = (node.GetDescription(),) if node.GetDescription() else ()
    return Table(node.GetName(), tuple(columns), tuple(zip(*cells, strict=True)), notes)


def tableNode(parameterNode, member: str, name: str):
    """The table node in the parameter `member`; a new one, called `name`, if there is none."""
    if getattr(parameterNode, member) is None:
        setattr(
            parameterNode, member, slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", slicer.mrmlScene.GenerateUniqueName(name))
        )
    return getattr(parameterNode, member)


def _array(name: str, cells):
    """A VTK array of a type that fits all cells; a missing number is NaN."""
    numbers = [cell for cell in cells if not isinstance(cell, str)]
    if len(numbers) < len(cells):
        array = vtk.vtkStringArray()
        cells = ["" if cell is None else str(cell) for cell in cells]
    elif all(isinstance(cell, int) for cell in cells):
        array = vtk.vtkIntArray()
    else:
        array = vtk.vtkDoubleArray()
        cells = [float("nan") if cell is None else float(cell) for cell in cells]
    array.SetName(name)
    for cell in cells:
        array.InsertNextValue(cell)
    return array
