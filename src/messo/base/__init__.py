"""Plumbing without a single word of the domain. Imports only libraries."""
