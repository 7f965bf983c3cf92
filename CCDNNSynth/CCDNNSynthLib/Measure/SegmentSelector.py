"""The list of the segments of a segmentation to measure in, after "whole volume"."""

from collections.abc import Callable

from slicer.i18n import tr as _

from CCDNNSynthLib.Scene.Watch import Watch


class SegmentSelector:
    def __init__(self, comboBox, onChosen: Callable[[str], None], onSegmentsChanged: Callable[[], None]):
        """
        :param comboBox: connectGui does not support segment selectors, so this one is filled and read here.
        :param onChosen: called with the ID of the segment that the user has chosen, "" for the whole volume.
        :param onSegmentsChanged: called when the list may have changed; call `show` afterwards.
        """
        self._comboBox, self._onChosen = comboBox, onChosen
        self._segmentIDs: list[str] = []
        self._segmentation = None
        self._watch = Watch(lambda: None, onSegmentsChanged)
        comboBox.currentIndexChanged.connect(self._onIndexChanged)

    def show(self, segmentation, chosen: str) -> str:
        """List the segments; None has none. Returns the chosen one, which is "" if it was one of another segmentation.

        A chosen segment that was removed stays in the list, so that it is seen that the measurement has none.
        """
        self._watch.watch(segmentation)
        ids, names = [""], [_("Whole volume")]
        if segmentation is not None and segmentation.GetSegmentation() is not None:
            segments = segmentation.GetSegmentation()
            ids += segments.GetSegmentIDs()
            names += [segments.GetSegment(each).GetName() for each in segments.GetSegmentIDs()]
        if chosen not in ids and self._segmentation not in (None, segmentation):
            chosen = ""
        if chosen not in ids:
            ids, names = [*ids, chosen], [*names, _("(missing segment)")]
        self._segmentIDs, self._segmentation = ids, segmentation
        blocked = self._comboBox.blockSignals(True)
        if [self._comboBox.itemText(index) for index in range(self._comboBox.count)] != names:
            self._comboBox.clear()
            self._comboBox.addItems(names)
        self._comboBox.currentIndex = ids.index(chosen)
        self._comboBox.blockSignals(blocked)
        self._comboBox.enabled = segmentation is not None
        return chosen

    def forget(self) -> None:
        """Treat the next segmentation as the first one, because its segment comes from another parameter node."""
        self._segmentation = None

    def close(self) -> None:
        self._watch.close()

    def _onIndexChanged(self) -> None:
        index = self._comboBox.currentIndex
        if 0 <= index < len(self._segmentIDs):
            self._onChosen(self._segmentIDs[index])
