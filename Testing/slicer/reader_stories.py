"""A reader opens a study, scores it, is interrupted, and resumes."""

import csv
import json
import unittest

import qt
import slicer
from story import Story

from ccdnn.readers.scores import ScoreSheet
from ccdnn.readers.study import open_study

REGIONS = [["Cartilage", "PAT"], ["Fat pad", "infrapatellar"]]
READER_LAYOUT = 20176


def writeVolume(node, path):
    """Write a volume without SimpleITK, which a reader's Slicer may lack."""
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    storage.UseCompressionOff()
    if not storage.WriteData(node):
        raise RuntimeError(f"{path} cannot be written")


class ReaderStories(Story):
    def setUp(self):
        if slicer.app.layoutManager() is None:
            raise unittest.SkipTest("this application is running without views")
        super().setUp()
        self.layouts = slicer.app.layoutManager()
        self.layouts.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self.writeStudy()
        self.own = self.volumes()
        self.panel, self.ui = self.widget.readerStudy, self.widget.readerStudy.ui
        self.asked = qt.QFileDialog.getExistingDirectory
        qt.QFileDialog.getExistingDirectory = lambda *_arguments: str(self.study)
        self.ui.readerSection.collapsed = False
        self.open("reader one")

    def tearDown(self):
        qt.QFileDialog.getExistingDirectory = self.asked
        self.panel.onClose()
        self.ui.readerEdit.text = ""
        super().tearDown()

    def writeStudy(self):
        """Write two cases of the sample study with two blinded images each."""
        self.study = self.folder / "readers"
        context = {"t1": "t1Volume", "t2": "t2Volume", "gre": "greVolume", "stir": "stirVolume"}
        names = ["case-01", "case-02"]
        for name in names:
            (self.study / name).mkdir(parents=True)
            for role, member in context.items():
                writeVolume(getattr(self.parameters, member), self.study / name / f"{role}.nii")
            for letter, member in (("A", "stirVolume"), ("B", "t2Volume")):
                writeVolume(getattr(self.parameters, member), self.study / name / f"{letter}.nii")
        cases = [{"case": name, "context": list(context), "images": ["A", "B"]} for name in names]
        content = {"format": 1, "study": "story", "regions": REGIONS, "cases": cases}
        (self.study / "study.json").write_text(json.dumps(content), encoding="utf-8")

    def volumes(self):
        return {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")}

    def open(self, reader):
        self.ui.readerEdit.text = reader
        self.settle()
        self.assertTrue(self.ui.openButton.enabled)
        self.ui.openButton.click()
        self.settle()
        self.assertIsNotNone(self.panel.session, self.ui.readerLabel.text)

    def score(self, value):
        getattr(self.ui, f"scoreButton{value}").click()
        self.settle(0.02)

    def place(self):
        item = self.panel.session.item
        return item.number, str(item.region), item.letter

    def inFile(self):
        with self.panel.session.sheet.path.open(newline="", encoding="utf-8") as file:
            return [(row["reader"], row["case"], row["image"], int(row["score"])) for row in csv.DictReader(file)]

    def background(self, name):
        identifier = self.layouts.sliceWidget(name).mrmlSliceCompositeNode().GetBackgroundVolumeID()
        return slicer.mrmlScene.GetNodeByID(identifier or "")

    def test_aWholeStudyIsScored(self):
        shown = []
        for value in (5, 4, 3, 2, 1, 5, 4, 3):
            shown.append((self.background("ReaderImage").GetName(), self.place()))
            self.score(value)
        self.assertEqual([name for name, _place in shown[:3]], ["Case 1, image A", "Case 1, image B", "Case 1, image A"])
        self.assertEqual(shown[4], ("Case 2, image A", (2, "Cartilage: PAT", "A")))
        self.assertIn("All 8 items are scored", self.ui.readerLabel.text)
        self.assertEqual(len(self.inFile()), 8)
        self.assertEqual(ScoreSheet(self.panel.session.sheet.path, open_study(self.study), "reader one").done, 8)

    def test_viewsShowAcquiredBesideBlindedInOneWindow(self):
        self.assertEqual(self.layouts.layout, READER_LAYOUT)
        volumes = self.panel.session.volumes
        acquired = slicer.util.arrayFromVolume(self.background("ReaderAcquired"))
        self.assertTrue((acquired == slicer.util.arrayFromVolume(self.parameters.stirVolume)).all())
        self.assertEqual(self.background("ReaderT2").GetName(), "Case 1, T2-w")
        volumes.acquired.GetDisplayNode().SetWindowLevel(321, 123)
        self.assertEqual({node.GetDisplayNode().GetWindow() for node in volumes.images.values()}, {321})
        red, green = (self.layouts.sliceWidget(name).mrmlSliceNode() for name in ("ReaderAcquired", "ReaderImage"))
        self.assertEqual(
            slicer.util.arrayFromVTKMatrix(red.GetSliceToRAS()).round(4).tolist(),
            slicer.util.arrayFromVTKMatrix(green.GetSliceToRAS()).round(4).tolist(),
        )

    def test_keysAreSetForScoresImagesAndNavigation(self):
        keys = {shortcut.key.toString() for shortcut in self.panel._shortcuts}
        self.assertEqual(keys, {"0", "1", "2", "3", "4", "5", "A", "B", "Home", "PgUp", "PgDown"})

    def test_anInterruptedReaderResumesWhereTheScoresEnd(self):
        for value in (5, 4, 3):
            self.score(value)
        before, place = self.inFile(), self.place()
        slicer.mrmlScene.Clear(0)
        self.settle()
        self.assertIsNone(self.panel.session.volumes)
        self.ui.closeButton.click()
        self.open("reader one")
        self.assertEqual((self.inFile(), self.place()), (before, place))
        self.ui.closeButton.click()
        self.open("reader two")
        self.score(1)
        self.assertEqual(self.inFile(), [("reader two", "case-01", "A", 1)])

    def test_closingTheStudyRestoresTheSceneAndTheLayout(self):
        self.score(5)
        self.assertEqual(len(self.volumes() - self.own), 6)
        self.ui.closeButton.click()
        self.settle()
        self.assertEqual(self.volumes(), self.own)
        self.assertEqual(self.layouts.layout, slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def test_anotherLayoutHidesTheImagesUntilTheyAreRequestedAgain(self):
        self.layouts.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView)
        self.settle()
        self.assertEqual(self.volumes(), self.own)
        self.ui.imagesButton.click()
        self.settle()
        self.assertEqual(self.background("ReaderImage").GetName(), "Case 1, image A")
        self.layouts.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def test_aStudyWithMissingFilesGivesOneSentence(self):
        (self.study / "case-02" / "B.nii").unlink()
        for value in (5, 4, 3, 2):
            self.score(value)
        self.assertIn("B.nii is missing", self.ui.readerLabel.text)
        self.assertEqual(self.place()[0], 1)
        self.assertEqual(len(self.inFile()), 4)
