import pytest

from edgecnn.errors import DataError
from edgecnn.live.mqtt_address import PASSWORD, parse


@pytest.mark.parametrize(
    ("url", "text", "login"),
    [
        ("mqtt://host", "mqtt://host:1883/edgecnn", (None, None)),
        ("mqtt://host/farm/gate/", "mqtt://host:1883/farm/gate", (None, None)),
        ("mqtts://host", "mqtts://host:8883/edgecnn", (None, None)),
        ("mqtt://me:a%40b%2Fc@host:99/x", "mqtt://host:99/x", ("me", "a@b/c")),
        ("mqtt://me@[::1]:99", "mqtt://[::1]:99/edgecnn", ("me", "from outside")),
        ("mqtt://[::1]", "mqtt://[::1]:1883/edgecnn", (None, None)),
    ],
)
def test_an_address_is_read_and_never_shows_its_password(
    url: str, text: str, login: tuple[str | None, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD, "from outside")
    address = parse(url)
    assert str(address) == text
    assert (address.user, address.password) == login
    assert "a@b" not in repr(address)


@pytest.mark.parametrize(
    "url", ["", "host", "http://host", "mqtt://", "mqtt://host:port", "mqtt://host/?a=b", "mqtt://host/a/+/b"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(DataError, match="give a"):
        parse(url)


def test_an_error_does_not_show_the_password() -> None:
    with pytest.raises(DataError) as caught:
        parse("mqtt://:secret@host")
    assert "secret" not in str(caught.value)
