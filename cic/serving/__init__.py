"""The server's half at run time: all tails of a bundle behind the Open Inference Protocol."""
