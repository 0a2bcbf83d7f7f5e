"""Lengths as JavaScript counts them."""


def utf16_length(text: str) -> int:
    """How many UTF-16 units the text has: what `length` is in JavaScript."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
