"""How far a training is: epochs and steps in, a bar on a terminal or lines of text out, both on standard error."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

    from graphc.training.history import Epoch, Watch, WatchSteps

_WIDTH = 8
_REST = "[] 100% 00:00:00 "
"""What is on a line besides the bar, before the text."""
_INTERVAL = 0.1
"""Seconds from one drawing to the next."""


@contextmanager
def watched() -> Iterator[tuple[Watch, WatchSteps | None]]:
    """What is told of epochs and of steps: a bar on a terminal, a line for each epoch elsewhere."""
    if not sys.stderr.isatty():
        yield lambda epoch: click.echo(f"epoch {epoch.epoch}: {epoch}", err=True), None
        return
    with ExitStack() as stack:
        bar = _Bar(stack)
        yield bar.watch, bar.watch_steps


class _Bar:
    """Click's bar from the first step on, with the time left, the rate, and how the last epoch went.

    A training that goes on has a bar of the steps that are left: those before were not done in this time.
    """

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.bar: ProgressBar[str] | None = None
        self.epoch: Epoch | None = None
        self.first = self.done = 0
        self.start = self.drawn = 0.0

    def watch_steps(self, done: int, steps: int) -> None:
        now, self.done = time.monotonic(), done
        if self.bar is None:
            self.first, self.start = done, now
            self.bar = self.stack.enter_context(_drawn(steps - done))
        elif now - self.drawn > _INTERVAL or done == steps:
            self._draw(self.bar, now)

    def watch(self, epoch: Epoch) -> None:
        self.epoch = epoch
        if self.bar is not None:
            self._draw(self.bar, time.monotonic())

    def _draw(self, bar: ProgressBar[str], now: float) -> None:
        self.drawn = now
        rate = (self.done - self.first) / max(now - self.start, 1e-9)
        text = f"{rate:.{0 if rate >= 10 else 2}f}/s {self.epoch or ''}"
        room = shutil.get_terminal_size().columns - _WIDTH - len(_REST)
        # A number without its last digits would be another one.
        while len(text) > room and ", " in text:
            text = text.rpartition(", ")[0]
        bar.update(self.done - self.first - bar.pos, text[:room])
        bar.render_progress()


def _drawn(length: int) -> ProgressBar[str]:
    return click.progressbar(
        length=length,
        file=sys.stderr,
        width=_WIDTH,
        bar_template="[%(bar)s] %(info)s",
        info_sep=" ",
        item_show_func=lambda text: text,
    )
