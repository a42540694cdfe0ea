"""Minimum cuts for split inference, in numbers only: no names, no units in words, no DNN."""
