"""How a tensor is written for the wire: codecs by name, from raw bytes to four bits a value. Needs numpy; torch is optional.

`cic.codec.registry.codec(name)` gives a `cic.codec.codec.Codec`; docs/codecs.md has the payloads byte by byte.
"""
