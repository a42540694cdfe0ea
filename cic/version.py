"""The version of CIC. It is that of the distribution, too, which a test compares."""

VERSION = "0.1.0"
