"""The test host: a stand-in for the Slicer application, in which the module's tests, benchmarks and pictures run.

It is imported with the folder `Testing` on the path; begin with `testing_host.slicer_host`.
"""
