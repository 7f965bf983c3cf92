"""Training of the models that `ccdnn` runs: physics, simulated knees, losses, fitting, evaluation."""
