"""Lists of networks: what passes is what the Directory can compare addresses with."""

import pytest

from messo.services import cidrs
from messo.services.directory import is_within, networks_of


@pytest.mark.parametrize(
    ("entry", "inside", "outside"),
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
        ("192.0.2.7/32", "::ffff:192.0.2.7", "192.0.2.6"),
        ("192.0.2.77/24", "192.0.2.0", "192.0.3.0"),
        ("0.0.0.0/0", "255.255.255.255", "2001:db8::1"),
    ],
)
def test_an_entry_is_an_address_or_a_network(entry: str, inside: str, outside: str) -> None:
    assert cidrs.refusal([entry]) is None
    networks = networks_of([entry])
    assert is_within(inside, networks)
    assert not is_within(outside, networks)
    assert not is_within(None, networks)


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "999.1.1.1",
        "192.0.2.256/24",
        "010.0.0.1",
        "192.0.2.7/33",
        "192.0.2.7/024",
        "192.0.2.7/-1",
        "192.0.2.7/255.255.255.0",
        "192.0.2",
        "192.0.2.7\n",
        " 192.0.2.7",
        "١٩٢.0.2.7",
        "2001:db8::/32",
        "::ffff:192.0.2.7",
        "example.org",
        "\x00",
        "1" * 5000,
    ],
)
def test_what_is_none_is_refused_by_its_place(entry: str) -> None:
    said = cidrs.refusal(["192.0.2.7", entry])
    assert said is not None
    assert said.startswith("authorized_cidrs[1] is ")
    assert ascii(entry[:20])[:-1] in said
    assert len(said) < 300


def test_a_list_has_a_hundred_entries_at_most() -> None:
    assert cidrs.refusal([]) is None
    assert cidrs.refusal(["192.0.2.7"] * 100) is None
    assert "at most 100" in (cidrs.refusal(["192.0.2.7"] * 101) or "")
