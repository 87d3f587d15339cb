from ticklake.base.words import count, names_near


def test_one_thing_is_not_plural() -> None:
    assert [count(number, "file") for number in (0, 1, 2, 1234)] == ["0 files", "1 file", "2 files", "1,234 files"]


def test_names_are_offered_when_they_look_alike_else_listed() -> None:
    assert names_near("futures.trade", ["futures.trades", "raw"]) == "did you mean futures.trades?"
    assert names_near("nope", ["raw", "futures.trades"]) == "there are: futures.trades, raw"
    assert names_near("nope", []) == "there are: none at all"
    many = names_near("nope", [f"x{number:02d}" for number in range(20)])
    assert many.endswith(", x11 and 8 more")
