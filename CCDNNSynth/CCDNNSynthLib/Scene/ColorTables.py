"""Colour tables of our own, shared by the volumes that are shown in them."""

import slicer


def colorTable(name: str, colors, saved: bool):
    """The table node of that name, with (label, red, green, blue) for each step, channels from 0 to 1; added if there is none.

    :param saved: whether the scene that is saved has to contain it; once it has, that stays.
    """
    node = slicer.mrmlScene.GetFirstNodeByName(name)
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", name)
        node.SetSaveWithScene(False)
    if node.GetNumberOfColors() != len(colors):
        node.SetTypeToUser()
        node.SetNumberOfColors(len(colors))
        for index, (label, red, green, blue) in enumerate(colors):
            node.SetColor(index, label, red, green, blue, 1.0)
    if saved:
        node.SetSaveWithScene(True)
    return node


def removeColorTable(name: str) -> None:
    """Remove the table of that name from the scene, unless a volume is shown in it."""
    node = slicer.mrmlScene.GetFirstNodeByName(name)
    shown = slicer.util.getNodesByClass("vtkMRMLDisplayNode")
    if node is not None and not any(display.GetColorNodeID() == node.GetID() for display in shown):
        slicer.mrmlScene.RemoveNode(node)
