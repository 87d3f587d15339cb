"""PURE: every setting with value, unit, origin and meaning, for `config show`."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from ticklake.base.settings import DEFAULT, Settings
from ticklake.base.settings_errors import show_value


class ExplainedSetting(NamedTuple):
    """One line of `config show`.

    Attributes:
        key: dotted name, as in TOML.
        value: as text, secrets masked; empty when unset.
        unit: "s", "ms", "bytes", "messages", or empty.
        origin: a flag, an environment variable, the file, or `default`.
        doc: what the setting does.
    """

    key: str
    value: str
    unit: str
    origin: str
    doc: str


def explain(settings: Settings) -> list[ExplainedSetting]:
    """All settings in the order of the documentation; user tables one line each."""
    lines: list[ExplainedSetting] = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            lines.extend(
                _explained(f"{name}.{key}", getattr(value, key), inner, settings.origin(f"{name}.{key}"))
                for key, inner in type(value).model_fields.items()
            )
        elif name == "tables":
            origin = settings.origin("tables")
            lines.extend(ExplainedSetting(f"tables.{table}", "(user table)", "", origin, "") for table in value)
        else:
            lines.append(_explained(name, value, field, settings.origin(name)))
    return lines


def _explained(key: str, value: object, field: FieldInfo, origin: str) -> ExplainedSetting:
    extra = field.json_schema_extra
    unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
    if isinstance(value, SecretStr) and origin == DEFAULT:
        origin = f"{key}_file"
    return ExplainedSetting(key, _text(value, field), unit, origin, field.description or "")


def _text(value: object, field: FieldInfo) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return show_value(int(value) if isinstance(value, int) else value, field)
