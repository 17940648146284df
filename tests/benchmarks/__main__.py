"""Measure graphc beside NumPy by hand and other libraries: ``python -m tests.benchmarks [OPTIONS] [CASE…]``.

A case is named by any part of its name; without one, all are measured. What is not installed is left out.
"""

from __future__ import annotations

from pathlib import Path

import click

from tests.benchmarks.chart import plot
from tests.benchmarks.contenders import CONTENDERS, takes_part
from tests.benchmarks.families import CASES
from tests.benchmarks.rounds import Settings, Times, measure
from tests.benchmarks.table import absolute, aims, memory, rows, section, text, write

DOCS = Path(__file__).parents[2] / "docs"
PAGE, FIGURE = DOCS / "benchmarks.md", DOCS / "figures" / "benchmarks.png"


@click.command(help=__doc__.partition("\n\n")[2] if __doc__ else None)
@click.argument("parts", metavar="[CASE]...", nargs=-1)
@click.option("--rounds", default=9, show_default=True, help="Rounds in which all take their turns.")
@click.option("--seconds", default=0.2, show_default=True, help="How long each runs in a round.")
@click.option("--threads", default=1, show_default=True, help="Processors, and threads in each pool.")
@click.option("--only", default=",".join(CONTENDERS), metavar="NAMES", help="Contenders, with commas.")
@click.option("--times", is_flag=True, help="Also print the times themselves.")
@click.option("--write", "written", is_flag=True, help=f"Write the run into docs/{PAGE.name}, and its picture.")
def main(
    parts: tuple[str, ...], rounds: int, seconds: float, threads: int, only: str, times: bool, written: bool
) -> None:
    settings = Settings(rounds, seconds, threads)
    contenders = [name for name in CONTENDERS if name in only.split(",")]
    results: dict[str, dict[str, Times]] = {}
    for name, case in CASES.items():
        if not parts or any(part in name for part in parts):
            click.echo(f"{name} …", err=True)
            results[name] = measure(name, [one for one in contenders if takes_part(one, case)], settings)
            for contender, found in results[name].items():
                if found.problem:
                    click.echo(f"  {contender} {found.problem}", err=True)
    tables = [rows(results, contenders), aims(CASES, results, contenders), memory(results, contenders)]
    click.echo("\n\n".join(map(text, [*tables, absolute(results)] if times else tables)))
    if written:
        write(PAGE, section(CASES, results, contenders, settings))
        plot(results, contenders, FIGURE)


if __name__ == "__main__":
    main()
