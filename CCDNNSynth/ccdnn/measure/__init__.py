"""Numbers measured on images: similarity, CNR, profiles."""
