"""Engines: whatever runs a half, behind one small interface. Each is imported when it is asked for; ONNX needs no torch."""
