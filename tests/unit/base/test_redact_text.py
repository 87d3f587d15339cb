"""A planted secret in every place we have seen one: the text keeps its sense and loses the secret."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklake.base.redact import MASK, TRACEBACK_CHARS_MAX, redact_text, redact_traceback, spellings

BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
WORD = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
words = st.text(WORD, min_size=8, max_size=64).map(lambda text: f"Zq{text}")
base64s = st.text(WORD + "+/", min_size=20, max_size=60).map(lambda text: f"Zq{text}=")
seeds = st.builds(
    lambda kind, rest: f"S{kind}{rest}", st.sampled_from("UAONCX"), st.text(BASE32, min_size=56, max_size=56)
)

PLACES: dict[str, Callable[[str], str]] = {
    "url": "cannot reach nats://user:{}@host:4222, retrying".format,
    "url of a list": "nats://a:b@one:1,tls://{}@two:2".format,
    "presigned": "GET http://s3/b/k?X-Amz-Date=2024&X-Amz-Signature={}&x-id=GetObject failed".format,
    "presigned credential": "http://s3/b/k?X-Amz-Credential={}%2F20241216%2Fus-east-1&a=b".format,
    "presigned token": "http://s3/b/k?X-Amz-Security-Token={}".format,
    "query token": "wss://h/p?access_token={}&x=1".format,
    "header": "sent Authorization: Bearer {}\r\nHost: h".format,
    "header of a mapping": "{{'Host': 'h', 'authorization': 'Basic {}'}}".format,
    "header of s3": "Authorization: AWS4-HMAC-SHA256 Credential={}/2024/x/s3, SignedHeaders=host, Signature=a".format,
    "signature of s3": "authorization: AWS4-HMAC-SHA256 Credential=x, SignedHeaders=host, Signature={}".format,
    "bearer alone": "refused Bearer {}".format,
    "header with a scheme": "Proxy-Authorization: Digest username=u, response={}\r\nHost: h".format,
    "header with user and password": "> Authorization: Basic {}".format,
    "second cookie": "Cookie: theme=dark; session={}".format,
    "cookie": "Set-Cookie: session={}; HttpOnly".format,
    "assignment": "connect(user='u', password='{}', tls=True)".format,
    "double quotes": 'S3Config(secret_key="{}")'.format,
    "bare assignment": "TICKLAKE_S3__SECRET_KEY={} is wrong".format,
    "json": '{{"aws_secret_access_key":"{}","region":"x"}}'.format,
    "json in json": '{{"text":"{{\\"token\\": \\"{}\\"}}"}}'.format,
    "yaml": "auth_token: {}\nrows: 3".format,
    "answer of a store": "<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>{}</AWSAccessKeyId></Error>".format,
    "string to sign": "<StringToSign>AWS4-HMAC-SHA256\n2024\n{}</StringToSign>".format,
}


@pytest.mark.parametrize("place", PLACES)
@given(secret=words)
def test_no_secret_survives_where_secrets_stand(place: str, secret: str) -> None:
    shown = redact_text(PLACES[place](secret))
    assert secret not in shown
    assert MASK in shown


@given(secret=base64s, place=st.sampled_from(sorted(set(PLACES) - {"url", "url of a list"})))
def test_base64_is_hidden_whole(secret: str, place: str) -> None:
    assert secret[2:-1] not in redact_text(PLACES[place](secret))


@given(seed=seeds, before=st.sampled_from(["", "seed ", "'", "\n", "("]))
def test_an_nkey_seed_is_known_by_its_look(seed: str, before: str) -> None:
    assert seed[2:] not in redact_text(f"{before}{seed} in a sentence")


@given(rest=st.text(BASE32, min_size=16, max_size=16), kind=st.sampled_from(["AKIA", "ASIA"]))
def test_an_access_key_of_aws_is_known_by_its_look(rest: str, kind: str) -> None:
    assert rest not in redact_text(f"{kind}{rest} is unknown to the store")


@given(part=st.text(WORD + "-_", min_size=12, max_size=200))
def test_a_web_token_is_known_by_its_look(part: str) -> None:
    assert part not in redact_text(f"user jwt eyJ{part}.eyJ{part}.{part} expired")


@pytest.mark.parametrize(
    "kind", ["RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "USER NKEY SEED", "NATS USER JWT"]
)
def test_a_key_file_is_hidden_whole_even_when_cut(kind: str) -> None:
    whole = f"bad key: -----BEGIN {kind}-----\nMIIEvQIBADANBg\nkqhkiG9w0B\n-----END {kind}-----\nrest"
    shown = redact_text(whole)
    assert "MIIE" not in shown
    assert "kqhkiG9w0B" not in shown
    assert shown.endswith("rest")
    assert "MIIE" not in redact_text(whole[:60])
    assert "MIIE" not in redact_text(repr(whole))


@given(secret=st.text(min_size=4, max_size=30))
def test_a_known_secret_is_hidden_in_every_spelling(secret: str) -> None:
    for text in spellings([secret]):
        assert text not in redact_text(f"abc {text} def", hidden=spellings([secret])).replace(MASK, "")


def test_a_known_secret_needs_no_pattern() -> None:
    hidden = spellings(["hunter2", "p@ss/wörd", "xyz"])
    assert redact_text("login with hunter2 refused", hidden=hidden) == f"login with {MASK} refused"
    assert "w%C3%B6rd" not in redact_text("http://h/p%40ss%2Fw%C3%B6rd/", hidden=hidden)
    assert redact_text("xyz is too short to hide by value", hidden=hidden).startswith("xyz")


@pytest.mark.parametrize(
    "text",
    [
        "nats://host:4222: connection refused",
        "nats.creds_file: /run/creds/me.creds is readable by others",
        "lane market_data: bytes wait 12.3 s for their fdatasync",
        "unknown subject market.futures.trades.ESZ5",
        "part-143012-0a1b2c3d-market_data-0000000001.parquet: crc32c 0a1b2c3d",
        "$JS.ACK.MARKET_DATA.ticklake-io.1.2.3.4.5",
        "Authorization Violation",
        "SUPPORTED SATURDAY SOCKS",
    ],
)
def test_text_without_a_secret_stays(text: str) -> None:
    assert redact_text(text) == text


def test_a_long_traceback_keeps_both_ends_and_leaks_at_neither_cut() -> None:
    line = "password='hunter2hunter2' "
    text = "Traceback\n" + line * 2_000 + "\nValueError: the end"
    shown = redact_traceback(text)
    assert shown.startswith("Traceback")
    assert shown.endswith("ValueError: the end")
    assert len(shown) <= TRACEBACK_CHARS_MAX + 10
    assert "hunter" not in shown
