"""Encryption at rest, and the keyed hash that stands for a person."""

import base64

import pytest

from messo.base.crypto import SecretError, Secrets, key_digest, new_api_key, new_secret

OLD, NEW = new_secret("1"), new_secret("2")


def test_what_is_encrypted_can_be_decrypted_and_differs_each_time() -> None:
    secrets = Secrets.parse(OLD)
    sealed = secrets.encrypt("a webhook's secret è")
    assert secrets.decrypt(sealed) == "a webhook's secret è"
    assert sealed != secrets.encrypt("a webhook's secret è")
    assert "webhook" not in sealed


def test_after_a_rotation_old_values_are_still_readable_and_new_ones_use_the_new_key() -> None:
    before = Secrets.parse(OLD).encrypt("kept")
    rotated = Secrets.parse(f"{NEW}, {OLD}")
    assert rotated.decrypt(before) == "kept"
    assert rotated.encrypt("new").startswith("2.")
    assert Secrets.parse(NEW).decrypt(rotated.encrypt("new")) == "new"


def test_a_rotation_does_not_change_the_keyed_hashes() -> None:
    before, after = Secrets.parse(OLD), Secrets.parse(f"{NEW},{OLD}")
    assert before.keyed_hash("person") == after.keyed_hash("person")
    assert before.keyed_digest("person") == after.keyed_digest("person")
    assert before.keyed_number("person") == after.keyed_number("person")
    assert before.keyed_hash("person") != before.keyed_hash("another")
    assert before.keyed_hash("person") != Secrets.parse(NEW).keyed_hash("person")


def test_a_keyed_number_fits_a_bigint() -> None:
    secrets = Secrets.parse(OLD)
    assert all(-(2**63) <= secrets.keyed_number(str(n)) < 2**63 for n in range(1000))


def test_a_key_no_longer_listed_is_named() -> None:
    with pytest.raises(SecretError, match="no longer lists the key '1'"):
        Secrets.parse(NEW).decrypt(Secrets.parse(OLD).encrypt("lost"))


def test_another_key_under_the_same_id_is_refused() -> None:
    with pytest.raises(SecretError, match="not the one this was encrypted with"):
        Secrets.parse(new_secret("1")).decrypt(Secrets.parse(OLD).encrypt("lost"))


@pytest.mark.parametrize("at", [0, 12, -1])
def test_a_changed_byte_is_noticed(at: int) -> None:
    secrets = Secrets.parse(OLD)
    key_id, _, value = secrets.encrypt("whole").partition(".")
    sealed = bytearray(base64.b64decode(value))
    sealed[at] ^= 1
    with pytest.raises(SecretError):
        secrets.decrypt(f"{key_id}.{base64.b64encode(sealed).decode()}")


def test_a_value_moved_under_another_key_id_is_refused() -> None:
    """The id is sealed with the value, even where both ids hold the same key."""
    same = OLD.replace("1:", "9:", 1)
    secrets = Secrets.parse(f"{OLD},{same}")
    with pytest.raises(SecretError):
        secrets.decrypt("9." + secrets.encrypt("moved").partition(".")[2])


@pytest.mark.parametrize(
    "text", ["", ",", "1", "1:", "1:c2hvcnQ=", "1:???", ":" + OLD[2:], "a-b:x"]
)
def test_a_malformed_setting_is_explained_without_being_repeated(text: str) -> None:
    with pytest.raises(SecretError) as told:
        Secrets.parse(text)
    assert "MESSO_SECRETS" in str(told.value)
    assert "c2hvcnQ" not in str(told.value)


def test_an_api_key_is_long_and_found_by_its_digest() -> None:
    keys = {new_api_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(key) == 43 for key in keys)
    assert len({key_digest(key) for key in keys}) == 100


def test_sealed_bytes_open_only_about_the_same_thing() -> None:
    secrets = Secrets.parse(new_secret("7"))
    content = bytes(range(256)) * 10
    sealed = secrets.seal(content, "archive of Ada, piece 1")
    assert secrets.unseal(sealed, "archive of Ada, piece 1") == content
    assert content[:32] not in sealed
    with pytest.raises(SecretError):
        secrets.unseal(sealed, "archive of Ada, piece 2")
    with pytest.raises(SecretError):
        secrets.unseal(sealed[:-1] + bytes([sealed[-1] ^ 1]), "archive of Ada, piece 1")


def test_sealed_bytes_survive_a_rotation_until_their_key_is_dropped() -> None:
    sealed = Secrets.parse(OLD).seal(b"kept", "x")
    newer = new_secret("2")
    assert Secrets.parse(f"{newer},{OLD}").unseal(sealed, "x") == b"kept"
    with pytest.raises(SecretError):
        Secrets.parse(newer).unseal(sealed, "x")
