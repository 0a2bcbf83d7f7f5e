"""Configurations as institutions give and get them. The OpenAPI document uses these types."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from messo.base.wire import Text, Ulid
from messo.login import FiscalCode

Precondition = Literal["ALWAYS", "ONCE", "NEVER"]


class ClientCertificate(Struct):
    """How we prove who we are, and whom we trust: each of them as PEM. Messo's own."""

    client_cert: Text
    client_key: Text
    server_ca: Text


class Authentication(Struct):
    """The header that every request of ours carries. `type` is not interpreted."""

    header_key_name: Text
    key: Text
    type: Text
    cert: ClientCertificate | UnsetType = UNSET


class Environment(Struct):
    """Where the institution's server is. Content is asked for under `{base_url}/messages/…`."""

    base_url: Text
    details_authentication: Authentication


class TestEnvironment(Environment):
    """Another server, for those who try: only the test users get their content from it."""

    test_users: list[FiscalCode]

    __test__ = False  # to pytest this looks like a test


class NewConfiguration(Struct):
    """What an institution decides. Members not listed here are dropped."""

    name: Text
    description: Text
    has_precondition: Annotated[
        Precondition, Meta(description="For messages that do not say it themselves.")
    ]
    disable_lollipop_for: Annotated[
        list[FiscalCode], Meta(description="Citizens whose devices need no proof.")
    ]
    is_lollipop_enabled: Annotated[
        bool, Meta(description="Whether client applications prove that they hold the device's key.")
    ]
    prod_environment: Environment | UnsetType = UNSET
    test_environment: TestEnvironment | UnsetType = UNSET


class Advice(Struct):
    """Something that will not work, or not well. It keeps nothing from being done."""

    field: str
    advice: str


class Configuration(NewConfiguration, kw_only=True):
    """A configuration with its keys, for its owner. `advice` is Messo's own."""

    configuration_id: Ulid
    user_id: Annotated[str, Meta(description="The institution.")] | UnsetType = UNSET
    advice: list[Advice] | UnsetType = UNSET


class ConfigurationList(Struct, rename={"items": "rcConfigList"}):
    """All of an institution, oldest first."""

    items: list[Configuration]


class CheckRequest(Struct):
    """Whose content to ask for: a message's `third_party_data.id`, and who may read it."""

    id: Text
    fiscal_code: FiscalCode


Call = Literal["precondition", "detail", "attachment"]
FoundIn = Literal["configuration", "precondition", "detail", "attachment"]


class Finding(Struct):
    """One fault. `call`: which of the three requests; `field`: where in its answer, if in one."""

    call: FoundIn
    field: str
    problem: str
    is_advice: bool = False


class Called(Struct):
    """One request and how it went. No `status`: there was no answer."""

    call: Call
    ms: int
    status: int | UnsetType = UNSET


class CheckReport(Struct):
    """What the institution's server answered, call by call, without what it said."""

    ok: bool
    calls: list[Called]
    findings: list[Finding]
