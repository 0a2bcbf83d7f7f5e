"""Web Push (RFC 8030): notices to browsers that their citizens asked to be told by.

Owns: notifications.web_push_device, .web_push_key.
"""
