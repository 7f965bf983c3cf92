"""The section "Inputs": detecting and checking the input volumes, the available models, the sample study."""
