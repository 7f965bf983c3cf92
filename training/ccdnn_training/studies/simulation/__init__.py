"""The simulation study (sections 2.2, 2.6 and 3.1): networks on images of tuples, their bounds and their scores."""
