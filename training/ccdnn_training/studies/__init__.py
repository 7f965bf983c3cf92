"""The studies of the paper and of the limits of its method. The product's floor below does not import them."""
