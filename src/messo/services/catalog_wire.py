"""What goes out of the catalogue's routes. The OpenAPI document is made from these types."""

from typing import Literal

from msgspec import Struct


class Organization(Struct):
    """Who offers a service."""

    name: str
    fiscal_code: str


class Metadata(Struct, omit_defaults=True):
    """How a service is reached; members that are not known are left out."""

    scope: Literal["NATIONAL", "LOCAL"]
    category: Literal["STANDARD", "SPECIAL"]
    web_url: str = ""
    app_ios: str = ""
    app_android: str = ""
    tos_url: str = ""
    privacy_url: str = ""
    address: str = ""
    phone: str = ""
    email: str = ""
    pec: str = ""
    cta: str = ""
    support_url: str = ""


class ServiceDetail(Struct):
    """A service, for citizens."""

    id: str
    name: str
    description: str
    organization: Organization
    metadata: Metadata


class Institution(Struct):
    """An institution. Its id is its fiscal code."""

    id: str
    name: str
    fiscal_code: str


class Institutions(Struct):
    """A page of institutions; `count`: how many there are, as far as `offset` reaches."""

    institutions: list[Institution]
    offset: int
    limit: int
    count: int


class ListedService(Struct):
    """A service of an institution; `version` grows with each change."""

    id: str
    name: str
    version: int


class Services(Struct):
    """A page of one institution's services."""

    services: list[ListedService]
    offset: int
    limit: int
    count: int


class FeaturedInstitutions(Struct):
    """Institutions to begin with."""

    institutions: list[Institution]


class FeaturedService(Struct):
    """A service to begin with."""

    id: str
    name: str
    version: int
    organization_name: str


class FeaturedServices(Struct):
    """Services to begin with."""

    services: list[FeaturedService]


class Topic(Struct):
    """What services are about. `name` is Italian, `english` the same in English."""

    id: int
    name: str
    english: str


class FoundService(Struct):
    """A service that was found, and whose it is."""

    id: str
    name: str
    version: int
    organization: Organization
    topic: Topic


class FoundServices(Struct):
    """A page of services; `count`: how many there are, as far as `offset` reaches."""

    services: list[FoundService]
    offset: int
    limit: int
    count: int


class CountedTopic(Struct):
    """A topic, and how many published services it has."""

    id: int
    name: str
    english: str
    services: int


class Topics(Struct):
    """All topics, by their number."""

    topics: list[CountedTopic]
