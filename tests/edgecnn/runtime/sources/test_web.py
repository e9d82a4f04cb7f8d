"""What a web server may answer before there is any image."""

import socket
import time

import pytest

from edgecnn.errors import CameraError
from edgecnn.runtime.sources.web import get, shown, split


def refused(url, timeout_s=2.0):
    with pytest.raises(CameraError) as caught:
        get(url, timeout_s=timeout_s).close()
    message = str(caught.value)
    assert "\n" not in message
    return message


def serving(server, text):
    return f"http://127.0.0.1:{server(lambda connection, request, leaving: connection.sendall(text))}/s"


def test_an_empty_answer_is_no_web_servers(server):
    assert "does not answer as a web server does" in refused(serving(server, b""))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"HTTP/1.0 404 Not Found\r\n\r\n", "answers 404 Not Found. Check the path"),
        (b"HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\n\r\n", "Give user and password"),
        (b"HTTP/1.0 401 No\r\nWWW-Authenticate: Digest realm=x\r\n\r\n", "wants a digest login"),
        (b"HTTP/1.0 503 Busy\r\n\r\n", "answers 503 Busy."),
        (b"HTTP/1.0 302 Found\r\n\r\n", "answers 302 Found."),
        (b"SSH-2.0-OpenSSH\r\n", "does not answer as a web server does"),
        (b"HTTP/1.0 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "does not answer as a web server does"),
        (b"HTTP/1.0 200 OK\r\nX: " + b"y" * 100000, "does not answer as a web server does"),
        (b"HTTP/1.0 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n", "not the address of a stream"),
        (b"HTTP/1.0 302 Found\r\nLocation: /s\r\n\r\n", "more than 3 times"),
    ],
)
def test_refusals_say_what_to_do(server, text, message):
    assert message in refused(serving(server, text))


def test_a_header_without_end_is_left_in_time(server):
    def answer(connection, request, leaving):
        connection.sendall(b"HTTP/1.0 200 OK\r\n")
        while not leaving.wait(0.02):
            connection.sendall(b"a")

    begin_s = time.monotonic()
    assert "no answer within 0.4 s" in refused(f"http://127.0.0.1:{server(answer)}/", 0.4)
    assert time.monotonic() - begin_s < 2


def test_a_server_that_never_answers_is_left_in_time(server):
    begin_s = time.monotonic()
    port = server(lambda connection, request, leaving: leaving.wait(10))
    assert "no answer within 0.3 s" in refused(f"http://127.0.0.1:{port}/", 0.3)
    assert time.monotonic() - begin_s < 2


def test_a_port_where_nothing_listens_is_named():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert refused(f"http://127.0.0.1:{port}/s") == (
        f"http://127.0.0.1:{port}/s: nothing listens there (connection refused). Check the port, and that "
        "the camera is on."
    )


def test_a_host_that_does_not_exist_is_named():
    assert "there is no such host" in refused("http://no-such-camera.invalid/s")


def test_what_speaks_no_tls_is_named(server):
    address = serving(server, b"HTTP/1.0 200 OK\r\n\r\n").replace("http:", "https:")
    assert "does not speak TLS" in refused(address)


def test_a_redirect_is_followed_but_does_not_carry_the_password_elsewhere(server):
    asked = []

    def there(connection, request, leaving):
        asked.append(request)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: Multipart/X-Mixed-Replace; boundary=b\r\n\r\n")

    second = server(there)

    def here(connection, request, leaving):
        asked.append(request)
        connection.sendall(b"HTTP/1.0 301 Moved\r\nLocation: http://localhost:%d/new\r\n\r\n" % second)

    answer = get(f"http://me:word@127.0.0.1:{server(here)}/old", timeout_s=2.0)
    answer.close()
    assert (answer.kind, answer.boundary) == ("multipart/x-mixed-replace", b"b")
    assert answer.name == f"http://localhost:{second}/new"
    assert b"Authorization: Basic" in asked[0]
    assert asked[0].startswith(b"GET /old HTTP/1.1\r\n")
    assert b"Authorization" not in asked[1]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://h/a", "http://h/a"),
        ("http://me:word@h:81/a?x=1#b", "http://h:81/a?x=1"),
        ("rtsp://me:w@rd@h/a", "rtsp://h/a"),
        ("http://h/a?user=me&pwd=word&channel=2", "http://h/a?user=***&pwd=***&channel=2"),
        ("http://h/a?access_token=x", "http://h/a?access_token=***"),
        ("http://[::1", "an address that cannot be read"),
    ],
)
def test_secrets_are_not_shown(url, name):
    assert shown(url) == name


@pytest.mark.parametrize("url", ["http://", "http:///a", "http://h:0/", "http://h:99999/", "http://h:x/", "ftp://h/",
                                 "http://h/a b", "http://h/a\r\nX: y", "http://[::1"])  # fmt: skip
def test_impossible_addresses_are_refused(url):
    with pytest.raises(CameraError, match="not the address of a stream"):
        split(url)
