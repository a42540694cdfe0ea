"""What device and server say to each other: the Open Inference Protocol v2 with binary tensors, as functions of bytes."""
