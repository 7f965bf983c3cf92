"""The reader study of the paper's section 2.9: blinded images, scores by region, and what the coordinator keeps to unblind them."""
