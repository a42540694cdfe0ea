"""The decision as source code for devices without Python, or without CIC."""
