"""From a finished run to a folder with a report, which does not name the patient."""

import re
from pathlib import Path

import qt
import slicer
from story import Story


class ReportStories(Story):
    def setUp(self):
        super().setUp()
        self.panel = self.widget.report
        self.asked = qt.QFileDialog.getExistingDirectory
        qt.QFileDialog.getExistingDirectory = lambda *_arguments: str(self.folder)

    def tearDown(self):
        qt.QFileDialog.getExistingDirectory = self.asked
        super().tearDown()

    def write(self):
        """Click the button; returns the text of the page, and the folder."""
        self.panel.ui.reportButton.click()
        self.settle()
        self.assertIn("Written", self.panel.ui.reportLabel.text)
        folder = sorted(self.folder.glob("STIR-report*"), key=lambda path: (len(path.name), path.name))[-1]
        return (folder / "index.html").read_text(encoding="utf-8"), folder

    def test_theFolderContainsASelfContainedPage(self):
        self.apply()
        page, folder = self.write()
        self.assertIn("Not for diagnosis", page)
        self.assertIn("simple 1", page)
        self.assertEqual(page.count("<img"), 6)  # three inputs, two STIRs, their difference
        for link in re.findall(r'(?:src|href)="([^"]*)"', page):
            self.assertTrue(link.startswith("data:") or (folder / link).is_file(), link)
        for picture in ("t1-w.png", "acquired-stir.png", "synthetic-stir.png", "synthetic-acquired.png"):
            self.assertEqual(len(list(folder.glob(f"picture-*-{picture}"))), 1, picture)

    def test_namesAreIncludedOnlyOnRequest(self):
        self.parameters.t1Volume.SetName("DOE^JANE")
        page, _folder = self.write()
        self.assertNotIn("JANE", page)
        self.panel.ui.identityBox.checked = True
        page, _folder = self.write()
        self.assertIn("JANE", page)
        self.widget.exit()
        self.assertFalse(self.panel.ui.identityBox.checked)
        self.widget.enter()

    def test_aMeasuredProfileIsInTheReportAsTableAndPlot(self):
        self.parameters.syntheticVolume = self.parameters.t2Volume
        line = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsLineNode")
        bounds = [0.0] * 6
        self.parameters.stirVolume.GetRASBounds(bounds)
        centre = [(bounds[2 * axis] + bounds[2 * axis + 1]) / 2 for axis in range(3)]
        for shift in (-30, 30):
            line.AddControlPointWorld(*(centre[0], centre[1] + shift, centre[2]))
        self.parameters.profileLine = line
        self.waitFor(lambda: self.widget.lineProfiles.profiles is not None)
        page, folder = self.write()
        self.assertIn("Pearson r", page)
        self.assertIn("<svg", page)
        self.assertEqual(len(list(folder.glob("table-*-line-profile-samples.csv"))), 1)

    def test_aFolderThatCannotBeWrittenGivesOneSentence(self):
        blocked = Path(self.folder) / "a file"
        blocked.write_text("mine")
        qt.QFileDialog.getExistingDirectory = lambda *_arguments: str(blocked)
        self.panel.ui.reportButton.click()
        self.settle()
        self.assertIn("cannot be", self.panel.ui.reportLabel.text)
        self.assertEqual(blocked.read_text(), "mine")
        self.assertFalse(self.panel.ui.openLabel.visible)
