"""A script makes a result and waits for it."""

import numpy as np
import slicer
from story import Story

from ccdnn.errors import InputError


class ProcessStories(Story):
    def inputs(self):
        return self.parameters.t1Volume, self.parameters.t2Volume, self.parameters.greVolume

    def test_aScriptWaitsForTheResult(self):
        node = self.logic.process(*self.inputs(), model=self.parameters.model)
        self.assertEqual(self.results(), [node])
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), self.expected())
        self.assertReady()

    def test_aRequestThatCannotBeComputedIsAnError(self):
        before = slicer.mrmlScene.GetNumberOfNodes()
        t1, _t2, gre = self.inputs()
        with self.assertRaises(InputError):
            self.logic.process(t1, None, gre, model=self.parameters.model)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)
        self.assertReady()
