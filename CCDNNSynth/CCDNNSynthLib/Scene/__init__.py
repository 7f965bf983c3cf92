"""What lies in the scene: volumes, results, regions and tables, between MRML nodes and the engine."""
