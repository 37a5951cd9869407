"""Bases of everything that appears in YAML, and references to secrets. Used by the models alone."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Name = Annotated[
    str,
    Meta(
        pattern="^[a-z0-9][a-z0-9.-]{0,62}$",
        description="Lower-case letters, digits, dots and hyphens; at most 63 characters.",
    ),
]


class SpecModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Base of everything that appears in YAML: camelCase keys, unknown keys rejected."""


class FromEnv(SpecModel, frozen=True, kw_only=True):
    """A secret in an environment variable of the reconciler."""

    from_env: Annotated[
        str,
        Meta(
            title="Environment variable",
            description="Name of the environment variable that holds the secret.",
            pattern="^[A-Za-z_][A-Za-z0-9_]*$",
            examples=["S3_ACCESS_KEY"],
        ),
    ]


class FromFile(SpecModel, frozen=True, kw_only=True):
    """A secret in a file, such as a Docker secret. One trailing newline is not part of it."""

    from_file: Annotated[
        str,
        Meta(
            title="File",
            description="Path of the file that holds the secret.",
            min_length=1,
            examples=["/run/secrets/s3"],
        ),
    ]


Secret = FromEnv | FromFile
OptionValue = str | int | float | bool | Secret


class SecretRef(SpecModel, frozen=True, kw_only=True):
    """``{fromEnv: NAME}`` or ``{fromFile: PATH}`` in one type, where a union of both cannot be told apart while reading."""

    from_env: str | None = None
    from_file: str | None = None

    @property
    def secret(self) -> Secret:
        """The reference that was written."""
        return FromEnv(from_env=self.from_env) if self.from_env else FromFile(from_file=self.from_file or "")

    @property
    def name(self) -> str:
        """The variable or file that it names, for messages."""
        return self.from_env or self.from_file or ""


class TargetId(msgspec.Struct, frozen=True, order=True, cache_hash=True):
    """Identity of a target: its service and type. Never a host name or a path."""

    service: str
    type: str

    def __str__(self) -> str:
        return f"{self.service}/{self.type}"
