"""``python -m graphc`` and the program ``graphc``: the command line, which an interrupt ends in one way always."""

import sys


def run() -> None:
    """Import the commands and do what the arguments say."""
    try:
        from graphc.cli import main

        main(prog_name="graphc")
    except KeyboardInterrupt:
        # While modules are imported, and where Click listens to nobody yet.
        sys.stderr.write("interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    run()
