from hypothesis import given
from hypothesis import strategies as st

from ticklake.base.redact import MASK, is_secret_name, redact_url

SECRETS = st.text(alphabet="abcXYZ0123456789:@!$&'()*+;=,~-._%", min_size=6).map(lambda text: f"Zq{text}qZ")


@given(SECRETS.filter(lambda text: "," not in text))
def test_no_part_of_the_user_info_survives(secret: str) -> None:
    shown = redact_url(f"nats://user:{secret}@host:4222")
    assert secret not in shown
    assert shown == f"nats://{MASK}@host:4222"


def test_every_server_of_a_list_is_masked() -> None:
    assert redact_url("nats://a:b@one:1,tls://c@two:2,nats://three:3") == (
        f"nats://{MASK}@one:1,tls://{MASK}@two:2,nats://three:3"
    )


def test_a_url_inside_prose_is_masked() -> None:
    assert (
        redact_url("cannot reach nats://me:pw@host:4222, retrying") == f"cannot reach nats://{MASK}@host:4222, retrying"
    )


def test_text_without_user_info_stays() -> None:
    for text in ("nats://host:4222", "mail me@example", "http://host/path?to=a@b", "", "market.futures.trades"):
        assert redact_url(text) == text


def test_names_of_secrets_are_told_from_names_of_files() -> None:
    assert all(
        is_secret_name(name) for name in ("password", "nats_password", "API_KEY", "apikey", "auth_token", "nkey_seed")
    )
    assert not any(is_secret_name(name) for name in ("creds_file", "password_file", "rows", "subject", "path"))
