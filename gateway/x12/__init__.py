"""The X12 engine. Pure: bytes in, values out."""
