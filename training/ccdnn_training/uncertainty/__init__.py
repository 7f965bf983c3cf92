"""The network's second head, which estimates the error of the first: its fit, its calibration, and checks of both."""
