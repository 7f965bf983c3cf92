"""What a window, or any pixel-wise predictor, cannot see."""
