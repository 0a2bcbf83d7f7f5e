"""Institutions, their services, keys and permissions.

Owns: services.institution, services.service, services.key, services.version.
Others may call: `Authenticate`, `Directory`, `Sender`, `ManageKey`, `Permission`, `changed`.
"""

from messo.services.authenticate import Authenticate, not_allowed
from messo.services.directory import Directory, ManageKey, Sender
from messo.services.permissions import Permission
from messo.services.services import changed

__all__ = [
    "Authenticate",
    "Directory",
    "ManageKey",
    "Permission",
    "Sender",
    "changed",
    "not_allowed",
]
