"""Messo: personal messages from public institutions to citizens, by fiscal code."""

__version__ = "0.1.0"
