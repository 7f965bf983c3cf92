"""The network, its card and its file."""
