"""A configuration as it is needed to fetch content, from memory: as fresh as the directory of keys."""

import os
import ssl
from dataclasses import dataclass
from functools import cached_property

from msgspec import UNSET

from messo.base.crypto import Secrets
from messo.base.db import Pool
from messo.content import wire
from messo.content.configurations import queries, shown
from messo.services import Directory

_REMEMBERED = 200  # configurations; of the largest, a megabyte each


@dataclass(frozen=True)
class Environment:
    """One server of the institution. `place`: whose circuit it is, over all processes' requests."""

    place: str
    base_url: str
    header: str
    key: str
    cert: wire.ClientCertificate | None

    @cached_property
    def tls(self) -> ssl.SSLContext | None:
        """With the institution's certificate for us; None: as everybody. `ValueError`: not usable."""
        return client_context(self.cert) if self.cert else None


@dataclass(frozen=True)
class Configuration:
    """A configuration with its keys, to be shown to nobody."""

    id: str
    institution_id: str
    has_precondition: wire.Precondition
    is_lollipop_enabled: bool
    disable_lollipop_for: frozenset[str]
    test_users: frozenset[str]
    prod: Environment | None
    test: Environment | None

    def environment(self, fiscal_code: str) -> Environment | None:
        """Which server serves this citizen, now."""
        if self.test is not None and (self.prod is None or fiscal_code in self.test_users):
            return self.test
        return self.prod

    def needs_proof(self, fiscal_code: str) -> bool:
        """Whether this citizen's client application must prove that it holds the device's key."""
        return self.is_lollipop_enabled and fiscal_code not in self.disable_lollipop_for


class Configurations:
    """The cache. Ask it anew for every request; keep nothing it answered."""

    def __init__(self, pool: Pool, directory: Directory, secrets: Secrets) -> None:
        self.pool = pool
        self.directory = directory
        self.secrets = secrets
        self._version = 0
        self._found: dict[str, Configuration] = {}

    async def find(self, configuration_id: str) -> Configuration | None:
        """By its id, in any letter case; None if there is none."""
        await self.directory.refresh()
        version = self.directory.version
        if self._version != version:
            self._found.clear()
            self._version = version
        wanted = configuration_id.upper()
        if wanted not in self._found:
            async with self.pool.connection() as conn:
                row = await conn.row(queries.read_configuration, id=wanted)
            if row is None:
                return None
            found = loaded(shown(self.secrets, row))
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            if version != self.directory.version:  # read before a change, kept after it
                return found
            self._found[wanted] = found
        return self._found[wanted]


def loaded(given: wire.Configuration) -> Configuration:
    """A configuration as its owner sees it, made ready to be used."""
    test = given.test_environment
    return Configuration(
        given.configuration_id,
        given.user_id or "",
        given.has_precondition,
        given.is_lollipop_enabled,
        frozenset(given.disable_lollipop_for),
        frozenset() if test is UNSET else frozenset(test.test_users),
        _environment(given.prod_environment, given.configuration_id),
        _environment(test, given.configuration_id),
    )


def client_context(cert: wire.ClientCertificate) -> ssl.SSLContext:
    """A context that trusts only the given authority and shows the given certificate.

    Raises `ValueError` for what is not PEM, or does not belong together.
    """
    try:
        context = ssl.create_default_context(cadata=cert.server_ca)
        # The library reads certificates from files only: this one lies in memory.
        held = os.memfd_create("certificate")
        try:
            os.write(held, f"{cert.client_cert}\n{cert.client_key}\n".encode())
            context.load_cert_chain(f"/proc/self/fd/{held}", password=lambda: "")
        finally:
            os.close(held)
    except (ssl.SSLError, OSError, UnicodeError, TypeError) as error:  # what is not ASCII
        raise ValueError("certificate") from error
    return context


def _environment(given: wire.Environment | object, configuration_id: str) -> Environment | None:
    if not isinstance(given, wire.Environment):
        return None
    proof = given.details_authentication
    return Environment(
        f"{configuration_id} {given.base_url}",  # another address is a fresh start
        given.base_url,
        proof.header_key_name,
        proof.key,
        None if proof.cert is UNSET else proof.cert,
    )
