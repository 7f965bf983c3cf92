"""The synthesis in a process of its own, so that no fault of it ends the program that asked: `python -m ccdnn.worker`.

`protocol` is what both sides say to each other, `service` does the work, `__main__` is the process.
"""
