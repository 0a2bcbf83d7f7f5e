"""Keys of the installation: encryption at rest, and the keyed hash that stands for a person."""

import base64
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12
_KEY = 32


class SecretError(Exception):
    """A secret of the installation is missing, malformed, or not the one that was used."""


def new_secret(key_id: str = "1") -> str:
    """A fresh value for MESSO_SECRETS: `id:base64 of 32 bytes`."""
    return f"{key_id}:{base64.b64encode(os.urandom(_KEY)).decode()}"


@dataclass(frozen=True)
class Secrets:
    """The installation's secrets, newest first: `2:<base64>,1:<base64>`.

    New values are encrypted with the first; older ones only decrypt, so a secret can be rotated.
    The keyed hash always uses the last, the first there ever was: it must not change.
    """

    keys: dict[str, bytes]

    @classmethod
    def parse(cls, text: str) -> "Secrets":
        """Read the setting. `SecretError` says what is wrong with it, never what it holds."""
        keys: dict[str, bytes] = {}
        for part in filter(None, text.replace(" ", "").split(",")):
            key_id, _, value = part.partition(":")
            try:
                key = base64.b64decode(value, validate=True)
            except ValueError:  # not base64, or not even ASCII
                key = b""
            if not key_id.isalnum() or len(key) != _KEY:
                raise SecretError(
                    "MESSO_SECRETS must be id:base64 of 32 bytes, several separated by commas; "
                    "`messo doctor --new-secret` prints one"
                )
            keys[key_id] = key
        if not keys:
            raise SecretError("MESSO_SECRETS is empty; `messo doctor --new-secret` prints one")
        return cls(keys)

    def encrypt(self, text: str) -> str:
        """`key id.base64(nonce + AES-256-GCM)`."""
        key_id, key = next(iter(self.keys.items()))
        nonce = os.urandom(_NONCE)
        sealed = nonce + AESGCM(key).encrypt(nonce, text.encode(), key_id.encode())
        return f"{key_id}.{base64.b64encode(sealed).decode()}"

    def decrypt(self, text: str) -> str:
        """What `encrypt` was given. `SecretError` if its key is no longer listed."""
        key_id, _, value = text.partition(".")
        if key_id not in self.keys:
            raise SecretError(f"MESSO_SECRETS no longer lists the key {key_id!r}")
        sealed = base64.b64decode(value)
        try:
            opened = AESGCM(self.keys[key_id]).decrypt(
                sealed[:_NONCE], sealed[_NONCE:], key_id.encode()
            )
        except InvalidTag:
            raise SecretError(
                f"the key {key_id!r} is not the one this was encrypted with"
            ) from None
        return opened.decode()

    def seal(self, content: bytes, about: str) -> bytes:
        """Bytes, encrypted as `encrypt` does and bound to `about`: length and key id come first."""
        key_id, key = next(iter(self.keys.items()))
        name, nonce = key_id.encode(), os.urandom(_NONCE)
        sealed = AESGCM(key).encrypt(nonce, content, name + b"." + about.encode())
        return bytes([len(name)]) + name + nonce + sealed

    def unseal(self, sealed: bytes, about: str) -> bytes:
        """What `seal` was given, under the same `about`. `SecretError` if it cannot be opened."""
        start = 1 + sealed[0]
        name = sealed[1:start]
        key = self.keys.get(name.decode("latin-1"))
        if key is None:
            raise SecretError("MESSO_SECRETS no longer lists the key that this was encrypted with")
        nonce, rest = sealed[start : start + _NONCE], sealed[start + _NONCE :]
        try:
            return AESGCM(key).decrypt(nonce, rest, name + b"." + about.encode())
        except InvalidTag:
            raise SecretError(
                "this was encrypted with another key, or about another thing"
            ) from None

    def keyed_hash(self, text: str) -> str:
        """16 hex digits that stand for a person where the person must not appear."""
        return self.keyed_digest(text)[:8].hex()

    def keyed_digest(self, text: str) -> bytes:
        """32 bytes: HMAC-SHA256 (RFC 2104) under the installation's first secret."""
        return hmac.digest(self.hash_key, text.encode(), hashlib.sha256)

    def keyed_number(self, text: str) -> int:
        """A signed 64-bit number that stands for a person in a set: keyed BLAKE2b (RFC 7693)."""
        digest = hashlib.blake2b(text.encode(), digest_size=8, key=self.hash_key).digest()
        return int.from_bytes(digest, signed=True)

    @cached_property
    def hash_key(self) -> bytes:
        """The first secret there ever was: keyed hashes must not change when secrets rotate."""
        return next(reversed(self.keys.values()))


def new_api_key() -> str:
    """A 256-bit random key, 43 URL-safe characters."""
    return secrets.token_urlsafe(32)


def key_digest(key: str) -> bytes:
    """SHA-256 of an API key: what is stored and looked up. A 256-bit key needs no salt."""
    return hashlib.sha256(key.encode()).digest()
