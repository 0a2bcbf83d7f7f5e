"""Institutions, their services with two versions each, keys, groups, logos and permissions.

Owns: services.institution, services.service (the live version), services.lifecycle (the one that is
worked at), services.history, services.service_group, services.key, services.key_use, services.logo,
services.version.
Others may call: `Authenticate`, `Directory`, `Sender`, `Manager`, `Permission`, `changed`.
"""

from messo.services.authenticate import Authenticate, Need, lacks, not_allowed
from messo.services.directory import Directory, Manager, Sender
from messo.services.permissions import Permission
from messo.services.services import changed

__all__ = [
    "Authenticate",
    "Directory",
    "Manager",
    "Need",
    "Permission",
    "Sender",
    "changed",
    "lacks",
    "not_allowed",
]
