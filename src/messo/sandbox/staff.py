"""The sandbox's people of institutions, all invented: somebody in each role at each institution."""

from collections.abc import Mapping
from dataclasses import dataclass

from messo.base.db import Connection
from messo.people.members import put_member
from messo.people.roles import Role

OPERATOR = "operator"  # whom the sandbox names as its operator


@dataclass(frozen=True)
class Member:
    """Somebody of an institution, as the identity provider knows them, and their role there."""

    login: str
    name: str
    email: str
    institution_fiscal_code: str
    role: Role

    def described(self) -> dict[str, str]:
        """What a script needs to know of them."""
        return {
            "login": self.login,
            "name": self.name,
            "role": self.role,
            "organization_fiscal_code": self.institution_fiscal_code,
        }


def _members(institution_fiscal_code: str, place: str, **names: str) -> tuple[Member, ...]:
    """`names`: by role."""
    roles: tuple[Role, ...] = ("admin", "editor", "sender", "reader")
    return tuple(
        Member(
            f"{role}.{place}",
            names[role],
            f"{role}.{place}@example.org",
            institution_fiscal_code,
            role,
        )
        for role in roles
    )


STAFF = (
    *_members(
        "99999999001",
        "pontelungo",
        admin="Teresa Bellini",
        editor="Davide Moro",
        sender="Irene Sala",
        reader="Paolo Neri",
    ),
    *_members(
        "99999999002",
        "valserena",
        admin="Claudia Ferri",
        editor="Hakim Berrada",
        sender="Luisa Grandi",
        reader="Elio Conti",
    ),
    *_members(
        "99999999003",
        "acquechiare",
        admin="Renzo Valli",
        editor="Marta Fontana",
        sender="Nicolò Riva",
        reader="Sara Testa",
    ),
)


async def add_members(conn: Connection, actor: str, institutions: Mapping[str, str]) -> None:
    """Make these people members. `institutions`: the id of each, by its fiscal code.

    Institutions that are not there have nobody; who is a member already gets their role back.
    """
    for one in STAFF:
        if (institution_id := institutions.get(one.institution_fiscal_code)) is not None:
            await put_member(conn, actor, institution_id, one.login, one.name, one.email, one.role)
