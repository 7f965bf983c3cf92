"""The section "Synthesis": computing a result in the worker, and exporting it."""
