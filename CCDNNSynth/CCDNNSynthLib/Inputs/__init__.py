"""The section "Inputs": volumes found, checked and chosen, the models on offer, the sample study."""
