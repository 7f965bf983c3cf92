"""A procedural knee: implicit surfaces, drawn from a seed, rendered to tissue fractions."""
