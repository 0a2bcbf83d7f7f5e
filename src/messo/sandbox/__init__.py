"""A whole small world to try Messo in. Never part of a production installation.

Owns nothing: it fills the other rooms' tables through their functions.
"""
