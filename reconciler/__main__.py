"""``reconciler`` and ``python -m reconciler``."""

import signal
import sys


def main() -> int:
    """Run the command line. Until that is loaded there is nothing to tidy up: Ctrl-C just ends it, without a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from reconciler.cli import main as command

    return command()


if __name__ == "__main__":
    sys.exit(main())
