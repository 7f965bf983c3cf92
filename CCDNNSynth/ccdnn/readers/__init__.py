"""The reader study of the paper's section 2.9: blinded images, scores by region, and the coordinator's key to unblind them."""
