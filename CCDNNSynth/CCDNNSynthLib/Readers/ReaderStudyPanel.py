"""The section "Reader study": blinded scoring of how similar synthetic and acquired STIR are, region by region."""

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from ccdnn.errors import CcdnnError, InputError, OutputError
from ccdnn.readers.regions import SCORES
from CCDNNSynthLib import Messages
from CCDNNSynthLib.Panel import Panel
from CCDNNSynthLib.Readers.ReaderSession import ReaderSession, defaultScores, inWords
from CCDNNSynthLib.Readers.ReaderViews import ReaderViews
from CCDNNSynthLib.Readers.StudyMaker import StudyMaker
from CCDNNSynthLib.Scene.Watch import Watch
from CCDNNSynthLib.Views import OwnLayouts


class ReaderStudyPanel(Panel):
    """Nothing is stored in the parameter node or the scene: each score is saved to its file at once, and the study can be reopened.

    session - the ReaderSession of the open study, or None.
    """

    def __init__(self, widget):
        """:param widget: loaded from ReaderStudy.ui."""
        super().__init__(widget)
        self.session = None
        self.views = ReaderViews(self.refreshSoon)
        self._watch = Watch(self._onNodeRemoved)
        self._maker = StudyMaker(self.ui)
        self._folder, self._scores, self._problem = None, None, ""
        self._imageButtons, self._shortcuts = {}, []
        self._scoreButtons = {score: getattr(self.ui, f"scoreButton{score}") for score in SCORES}
        for score, button in self._scoreButtons.items():
            button.text = f"{score}\n{SCORES[score]}"
            button.clicked.connect(lambda _checked=False, score=score: self.onScore(score))
        self.ui.readerEdit.textChanged.connect(lambda _text: self.refresh())
        self.ui.openButton.clicked.connect(self.onOpen)
        self.ui.closeButton.clicked.connect(self.onClose)
        self.ui.scoresButton.clicked.connect(self.onScoresFile)
        self.ui.imagesButton.clicked.connect(lambda: self._goTo(self.session.index))
        self.ui.previousButton.clicked.connect(self.onPrevious)
        self.ui.nextButton.clicked.connect(self.onNext)
        self.ui.missingButton.clicked.connect(self.onFirstMissing)
        self.ui.clearButton.clicked.connect(lambda: self.onScore(None))
        self.refresh()

    def setParameterNode(self, parameterNode) -> None:
        if parameterNode is None:
            # The scene is about to be closed, and the volumes with it.
            self._hideImages()
        super().setParameterNode(parameterNode)

    def close(self) -> None:
        super().close()
        self._maker.close()
        self._closeStudy()

    def refresh(self) -> None:
        """Show the current item."""
        session = self.session
        # The user chose another layout or removed a volume.
        if session is not None and session.volumes is not None and not (self.views.isOpen and session.volumes.isWhole):
            self._hideImages()
        ui = self.ui
        ui.readerEdit.enabled = ui.openButton.visible = session is None
        ui.openButton.enabled = bool(ui.readerEdit.text.strip()) and OwnLayouts.layoutNode() is not None
        ui.closeButton.visible = ui.readingWidget.visible = session is not None
        self._showScoresFile()
        if session is not None:
            self._showItem()
        self._showMessage()

    def onOpen(self) -> None:
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder of the reader study"))
        if folder:
            self._open(Path(folder), self._scores)

    def onClose(self) -> None:
        self._closeStudy()
        self._scores, self._problem = None, ""
        self.refresh()

    def onScoresFile(self) -> None:
        """Let the reader choose the score file, and resume from the scores that it contains."""
        suggested = self._scores or (self.session.sheet.path if self.session is not None else "scores.csv")
        title = _("Score file (an existing one is continued)")
        chosen = qt.QFileDialog.getSaveFileName(None, title, str(suggested), _("Tables (*.csv)"))
        if not chosen:
            return
        path = Path(chosen)
        path = path if path.suffix else path.with_suffix(".csv")
        if self.session is not None:
            self._open(self._folder, path)
        else:
            self._scores = path
            self.refresh()

    def onScore(self, score) -> None:
        """Score the current item (None clears its score), and move to the next one without a score."""
        self._problem = ""
        try:
            self.session.setScore(score)
        except OutputError as error:
            self._problem = _("The score was not saved. {reason}").format(reason=error)
            self.refresh()
            return
        following = self.session.nextMissing() if score is not None else None
        self._goTo(self.session.index if following is None else following)

    def onImage(self, letter: str) -> None:
        self._goTo(self.session.indexOfImage(letter))

    def onPrevious(self) -> None:
        self._goTo(max(self.session.index - 1, 0))

    def onNext(self) -> None:
        self._goTo(min(self.session.index + 1, len(self.session.items) - 1))

    def onFirstMissing(self) -> None:
        index = self.session.firstMissing()
        if index is not None:
            self._goTo(index)

    def _open(self, folder: Path, scores) -> None:
        """Open a study in place of the current one. If that fails, nothing is changed."""
        reader = self.ui.readerEdit.text.strip()
        try:
            session = ReaderSession(folder, scores or defaultScores(folder, reader), reader)
        except CcdnnError as error:
            self._problem = str(error)
            self.refresh()
            return
        self._closeStudy()
        self.session, self._folder, self._scores = session, folder, scores
        self._watch.watch(slicer.mrmlScene)
        self._addKeysAndImageButtons()
        self._goTo(session.index)

    def _closeStudy(self) -> None:
        self._watch.close()
        self._hideImages()
        for gone in (*self._shortcuts, *self._imageButtons.values()):
            gone.deleteLater()
        self.session, self._imageButtons, self._shortcuts = None, {}, []

    def _goTo(self, index: int) -> None:
        """Make an item the current one, or show why that is not possible."""
        self._problem = ""
        # Not slicer.util.WaitCursor: it processes events, so a key press would score the previous item.
        qt.QApplication.setOverrideCursor(qt.Qt.WaitCursor)
        try:
            self.session.goTo(index)
        except InputError as error:
            self._problem = str(error)
        else:
            self.views.show(self.session.volumes, self.session.item.letter)
        finally:
            qt.QApplication.restoreOverrideCursor()
        self.refresh()

    def _hideImages(self) -> None:
        """Restore the views and remove the volumes from the scene; the study stays open."""
        self.views.close()
        if self.session is not None:
            self.session.unload()

    def _addKeysAndImageButtons(self) -> None:
        """Qt makes the keys work only while the item's widget is visible, and never in a text field."""
        for letter in self.session.item.case.images:
            button = qt.QPushButton()
            button.checkable = True
            button.toolTip = _("Image {letter} of this case (key {letter}).").format(letter=letter)
            button.clicked.connect(lambda _checked=False, letter=letter: self.onImage(letter))
            self.ui.imagesWidget.layout().addWidget(button)
            self._imageButtons[letter] = button
            self._addKey(letter, lambda letter=letter: self.onImage(letter))
        for score in SCORES:
            self._addKey(str(score), lambda score=score: self.onScore(score))
        self._addKey("0", lambda: self.onScore(None))
        self._addKey("Home", self.onFirstMissing)
        self._addKey("PgUp", self.onPrevious)
        self._addKey("PgDown", self.onNext)

    def _addKey(self, key: str, slot) -> None:
        shortcut = qt.QShortcut(qt.QKeySequence(key), self.ui.itemWidget)
        shortcut.autoRepeat = False  # holding a key down scores only one item
        shortcut.activated.connect(slot)
        self._shortcuts.append(shortcut)

    def _showItem(self) -> None:
        ui, session, item = self.ui, self.session, self.session.item
        shown = session.volumes is not None
        ui.itemWidget.visible, ui.imagesButton.visible = shown, not shown
        ui.scoredBar.maximum, ui.scoredBar.value = session.sheet.total, session.sheet.done
        ui.caseLabel.text = _("Case {number} of {count}, image {letter}").format(
            number=item.number, count=len(session.study.cases), letter=item.letter
        )
        Messages.showPlain(ui.regionLabel, inWords(item.region))
        for letter, score in session.scoresOfRegion().items():
            self._imageButtons[letter].text = letter if score is None else f"{letter}: {score}"
            self._imageButtons[letter].checked = letter == item.letter
        for score, button in self._scoreButtons.items():
            button.checked = score == session.score
        ui.previousButton.enabled = session.index > 0
        ui.nextButton.enabled = session.index < len(session.items) - 1
        ui.missingButton.enabled = session.firstMissing() is not None
        ui.clearButton.enabled = session.score is not None

    def _showScoresFile(self) -> None:
        path = self.session.sheet.path if self.session is not None else self._scores
        Messages.showPlain(self.ui.scoresLabel, path.name if path is not None else _("beside the study's folder"))
        self.ui.scoresLabel.toolTip = Messages.escaped(str(path or ""))

    def _showMessage(self) -> None:
        session = self.session
        if self._problem:
            Messages.show(self.ui.readerLabel, "error", self._problem)
        elif OwnLayouts.layoutNode() is None:
            Messages.show(self.ui.readerLabel, "note", _("Slicer is running without views."))
        elif session is None:
            Messages.show(self.ui.readerLabel, "note", _("Enter your name, then open the folder that the coordinator gave you."))
        elif session.firstMissing() is None:
            finished = _("All {count} items are scored. Give the file {file} to the coordinator.")
            Messages.show(self.ui.readerLabel, "done", finished.format(count=session.sheet.total, file=session.sheet.path))
        elif session.volumes is None:
            Messages.show(self.ui.readerLabel, "note", _("The images are not shown. All scores are saved."))
        else:
            keys = _("Keys: 1 to 5 score and advance, 0 clears, letters choose the image, Page Up and Page Down move.")
            Messages.show(self.ui.readerLabel, "note", keys, _("Each score is saved immediately. Research use only."))

    def _onNodeRemoved(self) -> None:
        if self.session.volumes is not None and not self.session.volumes.isWhole:
            self.refreshSoon()
