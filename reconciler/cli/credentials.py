"""The options by which a command reaches a remote repository. Shared by ``run`` and ``squash``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from reconciler.cli.output import PATH, Command

if TYPE_CHECKING:
    from reconciler.adapters.remote import Remote
    from reconciler.model import Secret


def credential_options(command: Command) -> Command:
    """The options of ``Credentials``."""
    options = (
        click.option(
            "--token-from-env", "token_name", metavar="NAME", help="The variable with the token for https://."
        ),
        click.option("--token-file", type=PATH, metavar="FILE", help="The file with the token for https://."),
        click.option("--ssh-key", type=PATH, metavar="FILE", help="The private key for ssh://."),
        click.option(
            "--known-hosts",
            type=PATH,
            metavar="FILE",
            help="The host's public key for ssh://, as ssh keeps it.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


class Credentials(NamedTuple):
    """What was given with --repo, as far as anything was."""

    token_name: str | None
    token_file: Path | None
    ssh_key: Path | None
    known_hosts: Path | None

    def remote(self, repo: str) -> Remote:
        """The repository. Raises UsageError, GitError."""
        from reconciler.adapters.remote import remote

        if self.token_name and self.token_file:
            raise click.UsageError("--token-from-env and --token-file are two places of one token; give one")
        return remote(repo, self._token(), self.ssh_key, self.known_hosts)

    def _token(self) -> Secret | None:
        """Where the token is. Raises UsageError for a variable that is not set: that stays so as long as we run."""
        from reconciler.model import FromEnv, FromFile

        if self.token_name and not os.environ.get(self.token_name):
            raise click.UsageError(f"--token-from-env: the variable {self.token_name} is not set")
        if self.token_name:
            return FromEnv(from_env=self.token_name)
        return FromFile(from_file=str(self.token_file.absolute())) if self.token_file else None
