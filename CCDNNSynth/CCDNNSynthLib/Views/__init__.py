"""What is shown: layouts and slice views of our own, labels in them, plots, and a result as it is computed."""
