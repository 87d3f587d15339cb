import pytest

from ticklake.web.guard import is_own_name


@pytest.mark.parametrize(
    "host",
    [
        None,
        "localhost",
        "localhost:8088",
        "LOCALHOST.",
        "127.0.0.1:8088",
        "10.1.2.3",
        "[::1]:8088",
        "[::1]",
        "ticklake:8088",
        "ticklake.market.svc",
        "ticklake.market.svc.cluster.local:80",
        "lake.example.org:8088",
    ],
)
def test_our_names_pass(host: str | None) -> None:
    assert is_own_name(host, "lake.example.org")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8088", "127.0.0.1.evil.example", "localhost.evil.example", "", "[evil.example]"],
)
def test_names_a_stranger_can_register_do_not(host: str) -> None:
    assert not is_own_name(host, "127.0.0.1")
