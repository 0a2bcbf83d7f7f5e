"""What will not work with a configuration, or not well: told to its owner, and kept from nothing."""

import ssl
from collections.abc import Sequence

from msgspec import UNSET

from messo.base.addresses import Network, Permitted, parse
from messo.base.outbound import ForbiddenAddressError, Limits, Outbound, OutboundError, can_be_sent
from messo.content import wire
from messo.content.ask import is_reserved
from messo.content.lookup import client_context

_PLAIN = (
    "The address does not begin with https://: fiscal codes and keys would be read on the way. It "
    "is called only in networks that the operator has listed."
)
_TRY = Limits(connect_s=2, total_s=3, wait_s=0)
_WRONG = {
    "scheme": "does not begin with https://",
    "credentials": "holds a name or a password",
    "address": "leads to an address that may not be called",
}


def advise(given: wire.NewConfiguration, allowed: Sequence[Network] = ()) -> list[wire.Advice]:
    """What can be seen without asking anybody. `allowed`: networks that may be called all the same."""
    environments = _environments(given)
    if not environments:
        return [wire.Advice("prod_environment", "Without an environment nothing can be fetched.")]
    found = []
    for name, environment in environments:
        for field, advice in [
            *_of_address(environment.base_url, allowed),
            *_of_key(environment.details_authentication),
        ]:
            found.append(wire.Advice(f"{name}.{field}", advice))
    return found


async def try_addresses(outbound: Outbound, given: wire.NewConfiguration) -> list[wire.Advice]:
    """Whether there is a server at each address, without key or fiscal code. Takes 3 s at most each."""
    found = []
    for name, environment in _environments(given):
        if "?" in environment.base_url or "#" in environment.base_url:
            continue
        try:
            tls = _tls(environment)
            async with outbound.open("GET", environment.base_url, limits=_TRY, tls=tls):
                pass  # whatever it says, it is there
        except ForbiddenAddressError as error:
            if not _of_address(environment.base_url, ()):  # else `advise` says so
                wrong = _WRONG.get(error.reason, "cannot be called")
                advice = f"The address {wrong}: nothing will be fetched from it."
                found.append(wire.Advice(f"{name}.base_url", advice))
        except OutboundError as error:
            advice = f"No server answers there now ({error.reason})."
            found.append(wire.Advice(f"{name}.base_url", advice))
    return found


def _environments(given: wire.NewConfiguration) -> list[tuple[str, wire.Environment]]:
    both = {
        "prod_environment": given.prod_environment,
        "test_environment": given.test_environment,
    }
    return [(name, one) for name, one in both.items() if isinstance(one, wire.Environment)]


def _tls(environment: wire.Environment) -> ssl.SSLContext | None:
    cert = environment.details_authentication.cert
    try:
        return None if cert is UNSET else client_context(cert)
    except ValueError:  # `advise` says so
        return None


def _of_address(base_url: str, allowed: Sequence[Network]) -> list[tuple[str, str]]:
    try:
        target = parse(base_url)
        if target.is_literal:
            Permitted(allowed, public=target.scheme == "https").require(target.host)
    except ForbiddenAddressError as error:
        wrong = _WRONG.get(error.reason, "is not an absolute https address in plain ASCII")
        return [("base_url", f"The address {wrong}: nothing will be fetched from it.")]
    if "?" in base_url or "#" in base_url:
        return [("base_url", "The address ends in a query or a fragment: nothing can follow it.")]
    if target.scheme == "https":
        return []
    return [("base_url", _PLAIN)]


def _of_key(proof: wire.Authentication) -> list[tuple[str, str]]:
    place, found = "details_authentication", []
    name = proof.header_key_name
    if not can_be_sent({name: ""}) or is_reserved(name):
        found.append((f"{place}.header_key_name", "A key cannot travel in a header of this name."))
    if not can_be_sent({"x": proof.key}):
        found.append((f"{place}.key", "A key may hold visible ASCII characters only."))
    if proof.cert is not UNSET:
        try:
            client_context(proof.cert)
        except ValueError:
            found.append((f"{place}.cert", "Certificate, key and authority must be PEM and match."))
    return found
