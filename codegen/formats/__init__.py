"""The formats a half can be written in and run from: TorchScript, exported programs, ONNX."""
