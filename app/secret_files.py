"""Reads secrets from files: for each setting that is a secret, the variable with _FILE names a file with the value."""

import os
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

PREFIX = "TURNUP_"
SUFFIX = "_FILE"
LARGEST_FILE = 64 * 1024  # bytes


class UnusableSecretFile(Exception):  # noqa: N818 - says what was found
    """Variables with _FILE cannot be used. The message has one line per variable, without names and contents of files.

    A variable that contains the secret itself by mistake is thus not printed either.
    """


class SecretFiles(PydanticBaseSettingsSource):
    """The values of secrets from the files that the environment names. Line breaks at the end are removed."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the text of a secret's file, or None, and the key of the setting. Raises UnusableSecretFile."""
        variable = variable_of(field_name, field)
        path = os.environ.get(variable + SUFFIX)
        if not path:
            return None, variable, False
        if os.environ.get(variable):
            raise UnusableSecretFile(f"{variable} and {variable}{SUFFIX} are both set: unset one of them")
        return _text_of(path, variable + SUFFIX), variable, False

    def __call__(self) -> dict[str, Any]:
        """Return the values by variable. Raises UnusableSecretFile for all unusable files together."""
        values: dict[str, Any] = {}
        problems = []
        for name, field in secrets_of(self.settings_cls).items():
            try:
                value, _, _ = self.get_field_value(field, name)
            except UnusableSecretFile as error:
                problems.append(str(error))
                continue
            if value is not None:
                values[str(field.validation_alias or name)] = value
        if problems:
            raise UnusableSecretFile("\n".join(problems))
        return values


def variable_of(name: str, field: FieldInfo) -> str:
    """Return the environment variable of a setting."""
    return str(field.validation_alias or f"{PREFIX}{name.upper()}")


def secrets_of(settings: type[BaseSettings]) -> Mapping[str, FieldInfo]:
    """Return the settings that are secrets, by name."""
    return {
        name: field
        for name, field in settings.model_fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation))
    }


def variables_of_secrets(settings: type[BaseSettings]) -> Iterator[str]:
    """Yield the variables that contain secrets or name the files of secrets."""
    for name, field in secrets_of(settings).items():
        yield variable_of(name, field)
        yield variable_of(name, field) + SUFFIX


def _text_of(path: str, variable: str) -> str:
    """Return the text of a file. Raises UnusableSecretFile."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a Path would read a pipe or a device to its end
            content = file.read(LARGEST_FILE + 1)
        text = content.decode().rstrip("\r\n")
    except OSError as error:
        raise UnusableSecretFile(f"{variable}: the file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UnusableSecretFile(f"{variable}: the file does not contain text in UTF-8") from None
    if len(content) > LARGEST_FILE:
        raise UnusableSecretFile(f"{variable}: the file is larger than {LARGEST_FILE} bytes")
    if not text:
        raise UnusableSecretFile(f"{variable}: the file is empty")
    return text
