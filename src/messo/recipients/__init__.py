"""Citizens: their profile, what they allow each service, and activations of SPECIAL services.

Owns: recipients.profile, recipients.preference, recipients.activation, recipients.census.
"""
