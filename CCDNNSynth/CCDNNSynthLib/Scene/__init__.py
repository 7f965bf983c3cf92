"""Conversion between MRML nodes and the engine: volumes, results, regions and tables."""
