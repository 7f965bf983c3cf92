"""The synthesis in a separate process, so that a crash cannot end the calling program: `python -m ccdnn.worker`.

`messages` defines the requests and events, `service` does the work, `__main__` is the process.
"""
