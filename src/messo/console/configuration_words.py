"""Remote content in words: preconditions, advice, and what a check of a server found."""

from collections.abc import Mapping

from messo.base.http import Problem
from messo.base.parameters import storable
from messo.console.explained import gettext
from messo.console.refusals_shown import english, said
from messo.console.visit import Visit
from messo.content import configurations, wire
from messo.pages.languages import Texts

# Label and sentence of each, in the order of the form.
PRECONDITIONS: Mapping[wire.Precondition, tuple[str, str]] = {
    "ALWAYS": (
        gettext("Each time"),
        gettext("Before the message opens, people read a text of yours and confirm it."),
    ),
    "ONCE": (
        gettext("The first time"),
        gettext(
            "Before they open the message for the first time, people read a text of yours and "
            "confirm it."
        ),
    ),
    "NEVER": (gettext("Never"), gettext("The message opens at once.")),
}
PRECONDITION_WORDS = {name: label for name, (label, _) in PRECONDITIONS.items()}
CALLS: Mapping[str, tuple[str, str]] = {
    "configuration": (gettext("The configuration itself"), gettext("Addresses, keys, settings.")),
    "precondition": (
        gettext("Precondition"),
        gettext("The text that people read and confirm before the message opens."),
    ),
    "detail": (
        gettext("Content"),
        gettext("Subject and text of the message, and the list of its attachments."),
    ),
    "attachment": (
        gettext("Attachments"),
        gettext("The files themselves: the first five of the list."),
    ),
}
_FIELDS: Mapping[str, str] = {
    "prod_environment": gettext("Production"),
    "test_environment": gettext("Tests"),
}
_ADVICE: Mapping[str, str] = {
    r"Without an environment nothing can be fetched": gettext(
        "Without an address, for production or for tests, nothing can be fetched."
    ),
    r"The address does not begin with https://: fiscal .*": gettext(
        "The address does not begin with https://: fiscal codes and keys could be read on the way. "
        "It is called only in networks that the operator has listed."
    ),
    r"The address does not begin with https://: nothing .*": gettext(
        "The address does not begin with https://: nothing will be fetched from it."
    ),
    r"The address holds a name or a password.*": gettext(
        "The address holds a name or a password: nothing will be fetched from it."
    ),
    r"The address leads to an address that may not be called.*": gettext(
        "The address leads where we may not call: nothing will be fetched from it."
    ),
    r"The address (is not an absolute|cannot be called).*": gettext(
        "This is no whole https address in plain letters: nothing will be fetched from it."
    ),
    r"The address ends in a query.*": gettext(
        "The address ends in a query or a fragment (? or #): nothing can follow it."
    ),
    r"A key cannot travel in a header of this name": gettext(
        "A key cannot travel in a header of this name: choose another one, such as X-API-Key."
    ),
    r"A key may hold visible ASCII.*": gettext(
        "A key may hold plain letters, digits and signs only."
    ),
    r"Certificate, key and authority must be.*": gettext(
        "Certificate, its key and the authority must be in PEM form and belong together."
    ),
}
_FOUND: Mapping[str, str] = {
    r"A browser holds no device key.*": gettext(
        "A browser holds no device key: people who read there come without proof, and so does this "
        "check."
    ),
    r"not all could be asked for within (?P<n>\d+) seconds": gettext(
        "Not all could be asked for within %(n)s seconds."
    ),
    r"is empty": gettext("It is empty."),
    r"is longer than (?P<n>\d+) characters": gettext("It is longer than %(n)s characters."),
    r"does not begin with %PDF": gettext("This is no PDF: it does not begin with %PDF."),
    r"(?P<said>\d+) bytes are announced, (?P<came>\d+) came": gettext(
        "%(said)s bytes are announced, %(came)s came."
    ),
    r"holds JavaScript.*": gettext(
        "It holds JavaScript: people who read in the browser are not given it."
    ),
    r"starts a program.*": gettext(
        "It starts a program: people who read in the browser are not given it."
    ),
    r"has files inside.*": gettext(
        "It has files inside: people who read in the browser are not given it."
    ),
    r"cannot be read as a PDF": gettext("It cannot be read as a PDF."),
    r"opens only with a password": gettext("It opens only with a password."),
    r"is too much to be checked": gettext("It is too much to be checked."),
    r"does not declare itself as PDF/A.*": gettext(
        "It does not say that it is PDF/A, which stays readable for the longest time."
    ),
    r"must be an object": gettext("It must be a JSON object."),
    r"must be a list": gettext("It must be a JSON list."),
    r"is missing: needed by messages with has_remote_content": gettext(
        "It is missing: messages whose text is remote need it."
    ),
    r"is missing, or no text": gettext("It is missing, or no text."),
    r"must be (?P<least>\d+) to (?P<most>\d+) characters long; it has (?P<n>\d+)": gettext(
        "It must be %(least)s to %(most)s characters long; it has %(n)s."
    ),
    r"is missing or empty: needed by messages with has_attachments": gettext(
        "It is missing or empty: messages with attachments need it."
    ),
    r"is another attachment's, too": gettext("Another attachment has the same."),
    r"is no path relative to the message": gettext("It is no path relative to the message."),
    r"is missing, or does not end in \.pdf": gettext("It is missing, or does not end in .pdf."),
    r"is missing: people see no size.*": gettext(
        "It is missing: people see no size before they open it."
    ),
    r"The institution's server did not understand.*": gettext(
        "Your server did not understand what was asked (400)."
    ),
    r"The institution's server does not give this.*": gettext(
        "Your server does not give this to this person (403)."
    ),
    r"The institution's server does not have this any more": gettext(
        "Your server does not have this any more (410)."
    ),
    r"The institution's server does not have this": gettext(
        "Your server does not have this (404)."
    ),
    r"The institution's server is asked too often": gettext(
        "Your server says that it is asked too often (429)."
    ),
    r"The institution's server is not ready.*": gettext(
        "Your server says that it is not ready (503)."
    ),
    r"A server behind the institution's.*": gettext(
        "A server behind yours did not answer in time (504)."
    ),
    r"The institution's server answered (?P<n>\d+)\. A redirect is not followed": gettext(
        "Your server answered %(n)s. A redirect is not followed."
    ),
    r"The institution's server answered (?P<n>\d+)\. It does not take the key.*": gettext(
        "Your server answered %(n)s: it does not take the key of the configuration."
    ),
    r"The institution's server answered (?P<n>\d+)\..*": gettext(
        "Your server answered %(n)s: that is no content."
    ),
    r"The institution's server has trouble.*": gettext(
        "Your server failed too often of late, and is left alone a while."
    ),
    r"The institution's answer is packed, unasked": gettext(
        "The answer is packed, although nobody asked for that."
    ),
    r"The institution's answer is larger than allowed": gettext(
        "The answer is larger than allowed."
    ),
    r"The institution's server did not answer in time": gettext(
        "Your server did not answer in time."
    ),
    r"The institution's server cannot be reached \(name\)": gettext(
        "The host of the address has no IP address: is it spelt correctly?"
    ),
    r"The institution's server cannot be reached \(tls\)": gettext(
        "The certificate of your server is not one that we trust, or has expired."
    ),
    r"The institution's server cannot be reached \((?P<why>\w+)\)": gettext(
        "Your server cannot be reached (%(why)s)."
    ),
    r"The institution's address or key cannot be used \((?P<why>[\w ]+)\)": gettext(
        "The address or the key cannot be used (%(why)s)."
    ),
    r"The institution's answer is not JSON": gettext("The answer is not JSON."),
}


def advice_of(texts: Texts, found: wire.Advice) -> str:
    """What will not work with a configuration, and where."""
    text = said(texts, found.advice, _ADVICE) or english(found.advice)
    place = _FIELDS.get(found.field.partition(".")[0])
    if place is None or found.field in _FIELDS:
        return text
    return f"{texts.text(place)}: {text}"


def finding_of(texts: Texts, found: wire.Finding) -> str:
    """What a check found, as a sentence; of the configuration itself it is advice."""
    return said(texts, found.problem, {**_FOUND, **_ADVICE}) or english(found.problem)


async def find(visit: Visit) -> wire.Configuration:
    """The configuration in the path. `Problem` 404 for another institution's."""
    wanted = str(visit.request.path_params["configuration"])
    if not storable(wanted):
        raise Problem(404, "Not found", "There is no remote-content configuration with this id.")
    return await configurations.read(
        visit.conn, visit.site.secrets, visit.access.institution_id, wanted.upper()
    )
