"""Model to `Graph`: one front end for torch, one for ONNX files, and what both share."""
