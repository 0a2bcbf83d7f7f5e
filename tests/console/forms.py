"""What a page offers: its links, and its forms as a browser would send them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

Fields = list[tuple[str, str]]


@dataclass
class Form:
    """A form that posts, with what stands in its fields. `buttons`: those that send something."""

    action: str
    fields: Fields = field(default_factory=list)
    buttons: Fields = field(default_factory=list)

    def sent(self) -> Iterator[Fields]:
        """What each of its buttons would send."""
        if not self.buttons:
            yield self.fields
        for button in self.buttons:
            yield [*self.fields, button]


class Page(HTMLParser):
    """The links and the posting forms of a page at this address."""

    def __init__(self, address: str, text: str) -> None:
        super().__init__()
        self.address = address
        self.links: list[str] = []
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._area: tuple[str, list[str]] | None = None
        self._choice: tuple[str, list[str]] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self.links.append(urljoin(self.address, given["href"]))
        elif tag == "form" and given.get("method", "").lower() == "post":
            self._form = Form(urlsplit(urljoin(self.address, given.get("action", ""))).path)
            self.forms.append(self._form)
        elif self._form is not None:
            self._control(tag, given)

    def _control(self, tag: str, given: dict[str, str]) -> None:
        assert self._form is not None
        name = given.get("name", "")
        if tag == "button":
            target = given.get("formaction")
            if target:
                self.forms.append(Form(urlsplit(target).path, self._form.fields))
            if name and not target:
                self._form.buttons.append((name, given.get("value", "")))
        elif tag == "input" and name:
            kind = given.get("type", "text")
            if kind in {"checkbox", "radio"} and "checked" not in given:
                return
            self._form.fields.append((name, given.get("value", "on" if kind == "checkbox" else "")))
        elif tag == "textarea" and name:
            self._area = (name, [])
        elif tag == "select" and name:
            self._choice = (name, [])
        elif tag == "option" and self._choice:
            if "selected" in given:
                self._choice[1].insert(0, given.get("value", ""))
            else:
                self._choice[1].append(given.get("value", ""))

    def handle_data(self, data: str) -> None:
        if self._area:
            self._area[1].append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "textarea" and self._area and self._form:
            self._form.fields.append((self._area[0], "".join(self._area[1]).removeprefix("\n")))
            self._area = None
        elif tag == "select" and self._choice and self._form:
            if self._choice[1]:
                self._form.fields.append((self._choice[0], self._choice[1][0]))
            self._choice = None
