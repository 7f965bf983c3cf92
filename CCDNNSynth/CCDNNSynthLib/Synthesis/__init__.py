"""The section "Synthesis": a run from the scene's nodes through the worker to a result, and its export."""
