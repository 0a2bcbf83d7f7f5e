"""The catalogue's routes for citizens' clients: authenticate, parse, call, answer."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import msgspec

from messo.base import parameters
from messo.base.db import Pool
from messo.base.http import Answer, Parameter, Problem, Request, Route
from messo.base.wire import ProblemDocument
from messo.login import Session
from messo.services import catalog, catalog_wire
from messo.services.topics import OTHER, TOPICS

_INSTITUTION = re.compile(r"[0-9]{11}\Z", re.ASCII)
_PATH = "/api/catalog/v1"
_FURTHEST = 100_000  # offset
_FURTHEST_FOUND = 100  # offset in what a search finds


@dataclass(frozen=True)
class CatalogRoutes:
    """The routes and what they need. `authenticate` answers whose session it is, or refuses."""

    authenticate: Callable[[Request], Awaitable[Session]]
    pool: Pool

    async def service(self, request: Request) -> Answer:
        session = await self.authenticate(request)
        async with self.pool.connection() as conn:
            found = await catalog.read_service(
                conn, request.path["service_id"], session.fiscal_code
            )
        if found is None:
            raise Problem(404, "Not found", "There is no service with this id.")
        known = dict(found.metadata)
        scope = known.pop("scope")
        return _json(
            catalog_wire.ServiceDetail(
                found.id,
                found.name,
                found.description,
                catalog_wire.Organization(found.institution_name, found.fiscal_code),
                catalog_wire.Metadata(
                    scope="NATIONAL" if scope == "NATIONAL" else "LOCAL",
                    category="STANDARD" if found.category == "STANDARD" else "SPECIAL",
                    **known,
                ),
            )
        )

    async def institutions(self, request: Request) -> Answer:
        await self.authenticate(request)
        query = parameters.of_query(request)
        search = query.get("search", "")
        furthest = _FURTHEST_FOUND if search else _FURTHEST
        limit, offset = _window(query, furthest)
        async with self.pool.connection() as conn:
            rows, count = await catalog.search_institutions(conn, search, limit, offset)
        found = [
            catalog_wire.Institution(row["fiscal_code"], row["name"], row["fiscal_code"])
            for row in rows
        ]
        return _json(catalog_wire.Institutions(found, offset, limit, min(count, furthest)))

    async def services(self, request: Request) -> Answer:
        await self.authenticate(request)
        institution = request.path["institution_id"]
        if not _INSTITUTION.match(institution):
            raise Problem(
                400,
                "Bad request",
                "An institution's id is its fiscal code: 11 digits.",
                field="institution_id",
            )
        limit, offset = _window(parameters.of_query(request), _FURTHEST)
        async with self.pool.connection() as conn:
            rows, count = await catalog.services_of(conn, institution, limit, offset)
        found = [catalog_wire.ListedService(row["id"], row["name"], row["version"]) for row in rows]
        return _json(catalog_wire.Services(found, offset, limit, count))

    async def search(self, request: Request) -> Answer:
        await self.authenticate(request)
        query = parameters.of_query(request)
        text, topic = query.get("search", ""), _topic(query)
        furthest = _FURTHEST_FOUND if text else _FURTHEST
        limit, offset = _window(query, furthest)
        async with self.pool.connection() as conn:
            rows = await catalog.search_services(conn, text, limit, offset, topic)
            counts = await catalog.count_by_topic(conn, text)
        found = [
            catalog_wire.FoundService(
                row["service_id"],
                row["name"],
                row["version"],
                catalog_wire.Organization(row["institution_name"], row["fiscal_code"]),
                catalog_wire.Topic(**vars(catalog.topic_of(row["topic_id"]))),
            )
            for row in rows
        ]
        count = sum(n for counted, n in counts.items() if topic in (None, counted.id))
        return _json(catalog_wire.FoundServices(found, offset, limit, min(count, furthest)))

    async def topics(self, request: Request) -> Answer:
        await self.authenticate(request)
        async with self.pool.connection() as conn:
            counts = await catalog.count_by_topic(conn, "")
        return _json(
            catalog_wire.Topics(
                [
                    catalog_wire.CountedTopic(**vars(topic), services=counts.get(topic, 0))
                    for topic in TOPICS
                ]
            )
        )

    async def featured_institutions(self, request: Request) -> Answer:
        await self.authenticate(request)
        async with self.pool.connection() as conn:
            rows = await catalog.featured(conn)
        names = {row["fiscal_code"]: row["institution_name"] for row in rows}
        return _json(
            catalog_wire.FeaturedInstitutions(
                [catalog_wire.Institution(code, name, code) for code, name in names.items()]
            )
        )

    async def featured_services(self, request: Request) -> Answer:
        await self.authenticate(request)
        async with self.pool.connection() as conn:
            rows = await catalog.featured(conn)
        return _json(
            catalog_wire.FeaturedServices(
                [
                    catalog_wire.FeaturedService(
                        row["id"], row["name"], row["version"], row["institution_name"]
                    )
                    for row in rows
                ]
            )
        )

    def routes(self) -> list[Route]:
        """All of them, as served and as documented."""
        problem = ProblemDocument
        refusals = {
            401: (None, "No session, or one that has ended."),
            429: (problem, "Too fast: wait as long as Retry-After says."),
            503: (problem, "The database did not answer: try again after Retry-After."),
        }
        windowed = {400: (problem, "A parameter is not valid; `field` names it."), **refusals}
        window = (
            Parameter("limit", "query", "1 to 100; 20 when it is not given.", type=int),
            Parameter(
                "offset",
                "query",
                "How many to pass over: at most 100000, 100 in a search.",
                type=int,
            ),
        )
        begin = "Those for the whole country come first, then the newest; at most five services."
        return [
            Route(
                "GET",
                _PATH + "/institutions/featured",
                "featuredInstitutions",
                self.featured_institutions,
                "Institutions to begin with",
                begin,
                None,
                {200: (catalog_wire.FeaturedInstitutions, "They are few."), **refusals},
            ),
            Route(
                "GET",
                _PATH + "/services/featured",
                "featuredServices",
                self.featured_services,
                "Services to begin with",
                begin,
                None,
                {200: (catalog_wire.FeaturedServices, "They are few."), **refusals},
            ),
            Route(
                "GET",
                _PATH + "/institutions",
                "searchInstitutions",
                self.institutions,
                "Institutions with published services",
                "By name; with `search`, those whose name begins with it first.",
                None,
                {200: (catalog_wire.Institutions, "A page; maybe an empty one."), **windowed},
                (Parameter("search", "query", "A part of the name."), *window),
            ),
            Route(
                "GET",
                _PATH + "/institutions/{institution_id}/services",
                "listServices",
                self.services,
                "An institution's published services",
                "By name. An institution that is not known has none.",
                None,
                {200: (catalog_wire.Services, "A page; maybe an empty one."), **windowed},
                (
                    Parameter(
                        "institution_id", "path", "The institution's fiscal code, 11 digits."
                    ),
                    *window,
                ),
            ),
            Route(
                "GET",
                _PATH + "/services",
                "searchServices",
                self.search,
                "Published services of all institutions",
                "By institution and name; with `search`, those in whose names each of its words "
                "occurs. An addition of Messo's: the reference platform has no such route.",
                None,
                {200: (catalog_wire.FoundServices, "A page; maybe an empty one."), **windowed},
                (
                    Parameter("search", "query", "Words of the names."),
                    Parameter("topic", "query", "A topic's number: only its services.", type=int),
                    *window,
                ),
            ),
            Route(
                "GET",
                _PATH + "/topics",
                "listTopics",
                self.topics,
                "What services are about",
                "For `topic` of the search of services; an addition of Messo's, as that is.",
                None,
                {200: (catalog_wire.Topics, "All there are."), **refusals},
            ),
            Route(
                "GET",
                _PATH + "/services/{service_id}",
                "readService",
                self.service,
                "One service",
                "Found while it is neither deleted nor suspended, published or not.",
                None,
                {
                    200: (catalog_wire.ServiceDetail, "The service."),
                    404: (problem, "There is no such service."),
                    **refusals,
                },
                (Parameter("service_id", "path", "The service's id."),),
            ),
        ]


def _window(query: Mapping[str, str], furthest: int) -> tuple[int, int]:
    limit = parameters.number(query, "limit", 20, 1, 100)
    return limit, parameters.number(query, "offset", 0, 0, furthest)


def _topic(query: Mapping[str, str]) -> int | None:
    if "topic" not in query:
        return None
    return parameters.number(query, "topic", OTHER.id, TOPICS[0].id, TOPICS[-1].id)


def _json(answer: msgspec.Struct) -> Answer:
    return Answer(200, msgspec.json.encode(answer))
