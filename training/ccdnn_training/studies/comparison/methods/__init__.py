"""The methods of the paper's comparison under one interface: CC-DNN, Replica, Multimodal, Pix2pix and U-Net."""
