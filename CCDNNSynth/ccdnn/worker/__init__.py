"""The synthesis in a separate process, so that a crash cannot end the calling program: `python -m ccdnn.worker`.

`protocol` defines the messages, `service` does the work, `__main__` is the process.
"""
