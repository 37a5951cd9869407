"""The command line: commands, exit codes, and errors as one line on stderr. Everything heavy is imported when a command runs.

Exit codes: 0 done, or nothing to do; 2 changes are pending (``plan``); 1 an error; 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import os
import sys

import click

from reconciler import __version__
from reconciler.adapters.ending import watched
from reconciler.cli.apply import apply
from reconciler.cli.coverage import coverage
from reconciler.cli.delete import delete
from reconciler.cli.engine_proxy import engine_proxy
from reconciler.cli.import_ import import_
from reconciler.cli.init import init
from reconciler.cli.list import list_
from reconciler.cli.plan import plan
from reconciler.cli.restore import restore
from reconciler.cli.run import run
from reconciler.cli.schema import schema
from reconciler.cli.squash import squash
from reconciler.cli.status import status
from reconciler.cli.validate import validate
from reconciler.errors import ReconcilerError

_COLOUR = False if os.environ.get("NO_COLOR") else None  # None: colours on a terminal, none when piped


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "color": _COLOUR}
)
@click.version_option(__version__, prog_name="reconciler")
def cli() -> None:
    """Backups as code: specs in git, converged against the copies that really exist.

    Commit YAML in backup.d, look at `plan`, run `apply`. A second run does nothing; a copy that vanished comes back.

    \b
    Tab completion, for bash (or zsh_source, fish_source):
      eval "$(_RECONCILER_COMPLETE=bash_source reconciler)"
    """  # noqa: D301 - click wants the real \b


_COMMANDS = (
    init,
    validate,
    plan,
    apply,
    run,
    list_,
    restore,
    delete,
    status,
    squash,
    coverage,
    schema,
    import_,
    engine_proxy,
)

for command in _COMMANDS:
    cli.add_command(command)


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code; never a traceback for an expected error."""
    with watched() as ending:
        try:
            return _ran(arguments)
        except (click.Abort, KeyboardInterrupt):
            click.echo("interrupted; no copy is left half made", err=True)
            return ending.code


def _ran(arguments: list[str] | None) -> int:
    try:
        return cli.main(arguments, prog_name="reconciler", standalone_mode=False) or 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return 1
    except ReconcilerError as error:
        click.echo(_shown(error), err=True)
        return 1
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone: say nothing more
        return 1
    except OSError as error:
        if error.filename is not None:
            raise  # no output of ours: a mistake in the program
        _give_up_output()
        click.echo(f"error: the output cannot be written: {error.strerror}", err=True)
        return 1


def _give_up_output() -> None:
    """Let what stdout still holds go nowhere: Python would fail on it once more when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _shown(error: ReconcilerError) -> str:
    from reconciler.adapters.secrets import redact
    from reconciler.errors import SpecError

    text = redact(str(error))
    return text if isinstance(error, SpecError) else f"error: {text}"
