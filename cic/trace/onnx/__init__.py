"""The front end for ONNX files: a file is read, its shapes are found, and it is read as a `Graph`."""
