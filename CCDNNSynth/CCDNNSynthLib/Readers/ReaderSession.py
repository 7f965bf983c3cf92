"""A reader's session: the study, the scores, the current item, and the volumes of its case."""

import re
from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

from ccdnn.errors import InputError
from ccdnn.readers.regions import PLACES_IN_WORDS, Region
from ccdnn.readers.scores import ScoreSheet
from ccdnn.readers.study import Case, open_study
from ccdnn.writing import require_writable
from CCDNNSynthLib.Readers.ReaderVolumes import ReaderVolumes


@dataclass(frozen=True)
class Item:
    """What receives one score.

    number - number of the case, counted from 1.
    letter - letter of the blinded image.
    """

    case: Case
    number: int
    region: Region
    letter: str


class ReaderSession:
    """
    items - in reading order: case by case, region by region, image by image.
    index - index of the current item.
    volumes - the ReaderVolumes of its case; None while none are loaded.
    """

    def __init__(self, folder: Path, scores: Path, reader: str):
        """Open a study and resume where the scores end. The volumes are not loaded yet.

        Raises CcdnnError: the folder is not a study, or the scores cannot be read or written.
        """
        if not reader:
            raise InputError(_("Enter the name of the reader first; it is stored in the score file."))
        self.study = open_study(folder)
        self.sheet = ScoreSheet(scores, self.study, reader)
        require_writable(scores)
        self.items = [
            Item(case, number, region, letter)
            for number, case in enumerate(self.study.cases, start=1)
            for region in self.study.regions
            for letter in case.images
        ]
        self.volumes: ReaderVolumes | None = None
        self.index = self.firstMissing() or 0

    @property
    def item(self) -> Item:
        return self.items[self.index]

    @property
    def score(self):
        """The score of the current item; None if it has none yet."""
        return self._score(self.item)

    def scoresOfRegion(self) -> dict:
        """Letter → score, or None, of each image in the current region."""
        return {letter: self._score(self.items[index]) for letter, index in self._imagesOfRegion().items()}

    def firstMissing(self):
        """Index of the first item without a score, or None."""
        return self._missingAfter(-1)

    def nextMissing(self):
        """Index of the next item without a score, starting over after the last; None if all have one."""
        return self._missingAfter(self.index)

    def indexOfImage(self, letter: str) -> int:
        """Index of the item of another image of this case, in the same region."""
        return self._imagesOfRegion()[letter]

    def goTo(self, index: int) -> None:
        """Make an item the current one, and load the volumes of its case in place of those of another one.

        Raises InputError, with nothing changed: a file is missing or damaged.
        """
        item = self.items[index]
        if self.volumes is None or self.volumes.case is not item.case or not self.volumes.isWhole:
            volumes = ReaderVolumes(item.case, item.number)
            self.unload()
            self.volumes = volumes
        self.index = index

    def setScore(self, score) -> None:
        """Set the score of the current item, or clear it (None), and write the file.

        Raises OutputError, with the score unchanged: the file cannot be written.
        """
        item = self.item
        self.sheet.set(item.case.name, item.letter, item.region, score)

    def unload(self) -> None:
        """Remove the volumes from the scene."""
        if self.volumes is not None:
            self.volumes.remove()
            self.volumes = None

    def _score(self, item: Item):
        return self.sheet.score(item.case.name, item.letter, item.region)

    def _missingAfter(self, index: int):
        order = [*range(index + 1, len(self.items)), *range(index + 1)]
        return next((candidate for candidate in order if self._score(self.items[candidate]) is None), None)

    def _imagesOfRegion(self) -> dict:
        letters = list(self.item.case.images)
        first = self.index - letters.index(self.item.letter)
        return {letter: first + place for place, letter in enumerate(letters)}


def defaultScores(folder: Path, reader: str) -> Path:
    """Default score file of a reader: beside the study's folder, not in it, because other readers use the folder too."""
    name = re.sub(r"[^\w-]+", "-", reader).strip("-") or "reader"
    return folder.parent / f"{folder.name}-scores-{name}.csv"


def inWords(region: Region) -> str:
    """A region in words: "Cartilage: medial femoral condyle (MFC)"."""
    words = PLACES_IN_WORDS.get(region.name)
    return f"{region.group}: {words} ({region.name})" if words else str(region)
