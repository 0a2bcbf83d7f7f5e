"""What all pages for people share: their edge, headers, languages, and static files.

Owns: no tables. Others may call: all of it.
"""
