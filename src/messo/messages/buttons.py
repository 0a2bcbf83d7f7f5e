"""Call-to-action buttons that institutions write into the front matter of a message.

Source: contract/institution-api.md, section 9.2.
"""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Literal, NamedTuple
from urllib.parse import parse_qs, quote, urlsplit

import yaml
from yaml.resolver import Resolver

from messo.messages.characters import on_one_line, without_tricks
from messo.messages.links import WebLink, web_link
from messo.messages.markdown import split_front_matter

Kind = Literal["link", "page", "email", "phone", "sms", "copy", "sso", "unavailable"]
# Why a button cannot be pressed here: its page is in another application only; or it would carry
# who the citizen is over an open line.
Reason = Literal["", "elsewhere", "not-encrypted"]

_LONGEST_FRONT = 4_000  # characters of front matter that are read
_DEEPEST = 3  # locales, buttons, text and action
_MOST_EVENTS = 400
_LONGEST_TEXT = 80
_LONGEST_COPY = 500
# The app's routes that we have a page for.
_PAGES = {
    "SERVICES_HOME": "/services",
    "MESSAGES_HOME": "/",
    "PAYMENTS_HISTORY_SCREEN": "/?kind=payment",
    "PROFILE_PREFERENCES_HOME": "/preferences",
    "PROFILE_MAIN": "/preferences",
    "PROFILE_PRIVACY": "/data",
}
_DETAIL = "services/service-detail"
# A route is a name, or a path of names; what follows "?" is never looked at or shown.
_ROUTE = re.compile(r"[A-Za-z]\w*(?:[/-]\w+)*/?(?:\?.*)?", re.ASCII)
_SCHEME = re.compile(r"(iohandledlink|ioit|iosso)://(.*)", re.IGNORECASE)
_TARGET = re.compile(r"(mailto|tel|sms|copy):(.*)", re.IGNORECASE)
_EMAIL = re.compile(
    r"[a-z0-9.!#$*+/=^_`{|}~-]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}",
    re.IGNORECASE,
)
# Stars and hashes are left out: a phone runs some codes with them at once.
_NUMBER = re.compile(r"\+?[0-9][0-9 ()./-]{1,30}")
_resolver = Resolver()


class Button(NamedTuple):
    """One button.

    `href` is a page of ours (kind "page", `/…`) or an https, http, mailto, tel or sms address, safe
    in an attribute after escaping. Of kind "copy" it is the text to copy, and never an address; of
    kind "unavailable" it is empty, and `reason` says why. `host`: of a web address, as it is called.
    """

    text: str
    href: str
    kind: Kind
    host: str = ""
    reason: Reason = ""


class Action(NamedTuple):
    """What a button is written to do. `place`: `it.cta_1.action` and the like."""

    place: str
    written: str


class _RefusedError(ValueError):
    """The front matter is not what the contract allows."""


def of_message(
    markdown: str, language: str, *, sso_on_loopback: bool = False
) -> tuple[Button, ...]:
    """Up to two buttons in a language ("it" or "en"), Italian where there are none in it.

    Front matter that is malformed has no buttons; a button of an unknown kind is left out.
    `sso_on_loopback`: single sign-on at this very machine needs no encryption, in a sandbox.
    """
    locales = _locales(markdown)
    pairs = _pairs(locales.get(language, locales.get("it")))
    made = [_button(text, action, sso_on_loopback) for _, text, action in pairs]
    return tuple(button for button in made if button)


def sso_actions(markdown: str) -> list[Action]:
    """The addresses of the buttons with single sign-on, of both languages, as they are written."""
    locales = _locales(markdown)
    return [
        Action(f"{language}.{name}.action", found[2].strip())
        for language in ("it", "en")
        for name, _, action in _pairs(locales.get(language))
        if (found := _SCHEME.fullmatch(action)) and found[1].lower() == "iosso"
    ]


def sso_link(address: str, *, on_loopback: bool = False) -> WebLink | None:
    """Where single sign-on may begin; None for any other address.

    The relying party learns who the citizen is: never without encryption. `on_loopback`: but
    without it at this very machine.
    """
    link = web_link(address)
    if link is None or link.href.startswith("https://"):
        return link
    return link if on_loopback and _is_loopback(link.host) else None


def called(link: WebLink) -> str:
    """The host, and the port where it is written, as a citizen can compare them."""
    return urlsplit(link.href).netloc


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name
        return host == "localhost"


def _locales(markdown: str) -> dict[str, object]:
    """The front matter by language; nothing where it is not of the contract."""
    front, _ = split_front_matter(markdown)
    if front is None or len(front) > _LONGEST_FRONT:
        return {}
    try:
        return _read(without_tricks(front))
    except (yaml.YAMLError, ValueError):
        return {}


def _pairs(locale: object) -> list[tuple[str, str, str]]:
    """Name, text and action of the buttons of a language."""
    # Without its first button a language shows nothing, whatever the second is.
    if not isinstance(locale, dict) or _pair(locale.get("cta_1")) is None:
        return []
    pairs = [(name, _pair(locale.get(name))) for name in ("cta_1", "cta_2")]
    return [(name, *pair) for name, pair in pairs if pair]


def _pair(written: object) -> tuple[str, str] | None:
    """The text and the action of a button; None without both as strings."""
    if not isinstance(written, dict):
        return None
    text, action = written.get("text"), written.get("action")
    if not isinstance(text, str) or not isinstance(action, str):
        return None
    text = on_one_line(text, _LONGEST_TEXT)
    return (text, action.strip()) if text else None


def _button(text: str, action: str, sso_on_loopback: bool) -> Button | None:
    found = _SCHEME.fullmatch(action)
    # Escapes in quotes can write what was taken out of the source.
    if found is None or without_tricks(action) != action:
        return None
    scheme, target = found[1].lower(), found[2].strip()
    if scheme == "ioit":
        return _in_app(text, target)
    if scheme == "iosso":
        if link := sso_link(target, on_loopback=sso_on_loopback):
            return Button(text, link.href, "sso", called(link))
        is_insecure = web_link(target) is not None
        return Button(text, "", "unavailable", reason="not-encrypted") if is_insecure else None
    return _handled(text, target)


def _in_app(text: str, route: str) -> Button | None:
    """A button to a page of the app: ours, if there is one. What is no route is left out."""
    if page := _page(route):
        return Button(text, page, "page")
    is_one = _ROUTE.fullmatch(route) and not route.startswith(_DETAIL)
    return Button(text, "", "unavailable", reason="elsewhere") if is_one else None


def _handled(text: str, target: str) -> Button | None:
    found = _TARGET.fullmatch(target)
    if found is None:
        link = web_link(target)
        return Button(text, link.href, "link", called(link)) if link else None
    scheme, rest = found[1].lower(), found[2].strip()
    if scheme == "copy":
        copied = on_one_line(rest, _LONGEST_COPY)
        return Button(text, copied, "copy") if copied else None
    if scheme == "mailto":
        # An address alone: headers after it could add recipients, or a text the citizen never saw.
        return Button(text, f"mailto:{quote(rest, safe='@')}", "email") if _is_email(rest) else None
    if _NUMBER.fullmatch(rest) is None:
        return None
    number = re.sub(r"[^+0-9]", "", rest)
    return Button(text, f"{scheme}:{number}", "phone" if scheme == "tel" else "sms")


def _is_email(address: str) -> bool:
    return len(address) <= 254 and _EMAIL.fullmatch(address) is not None  # noqa: PLR2004


def _page(route: str) -> str | None:
    """Our page for a route of the app; None where there is none."""
    if route in _PAGES:
        return _PAGES[route]
    path, _, query = route.partition("?")
    if path != _DETAIL or len(query) > _LONGEST_COPY:
        return None
    service = parse_qs(query).get("serviceId", [""])[0]
    # A path of dots alone would climb to another page.
    if not service.strip("."):
        return None
    return f"/services/{quote(service, safe='')}"


def _read(front: str) -> dict[str, object]:
    """The front matter as dictionaries and scalars. Raises `_RefusedError` or `yaml.YAMLError`.

    Read from the parser's events, so nothing is built before it is allowed: aliases, anchors,
    tags, merge keys, lists, keys given twice, depth and size are refused as they come.
    """
    events = _allowed(front)
    if not isinstance(next(events, None), yaml.MappingStartEvent):
        raise _RefusedError("not a mapping")
    found = _mapping(events, 1)
    if next(events, None) is not None:
        raise _RefusedError("more than one document")
    return found


def _allowed(front: str) -> Iterator[yaml.Event]:
    """The events of the document's content."""
    for count, event in enumerate(yaml.parse(front, Loader=yaml.CSafeLoader)):
        if count > _MOST_EVENTS:
            raise _RefusedError("too long")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _RefusedError("aliases are not read")
        if getattr(event, "tag", None) or getattr(event, "tags", None):
            raise _RefusedError("tags are not read")
        if isinstance(
            event, yaml.ScalarEvent | yaml.CollectionStartEvent | yaml.CollectionEndEvent
        ):
            yield event


def _mapping(events: Iterator[yaml.Event], depth: int) -> dict[str, object]:
    if depth > _DEEPEST:
        raise _RefusedError("too deep")
    found: dict[str, object] = {}
    for key in events:
        if isinstance(key, yaml.MappingEndEvent):
            return found
        name = _scalar(key)
        if not isinstance(name, str) or name == "<<" or name in found:
            raise _RefusedError("keys are different words")
        value = next(events, None)
        found[name] = (
            _mapping(events, depth + 1)
            if isinstance(value, yaml.MappingStartEvent)
            else _scalar(value)
        )
    raise _RefusedError("not closed")


def _scalar(event: yaml.Event | None) -> str | None:
    """The string; None for a number, a date, true, false or null."""
    if not isinstance(event, yaml.ScalarEvent):
        raise _RefusedError("only mappings and strings")
    value: str = event.value
    if not event.implicit[0]:  # in quotes
        return value
    tag = _resolver.resolve(yaml.ScalarNode, value, (True, False))
    # YAML 1.1 takes "No" and "on" for booleans; to people, and to YAML 1.2, they are words.
    is_word = tag.endswith(":bool") and value.lower() not in {"true", "false"}
    return value if is_word or tag.endswith((":str", ":merge")) else None
