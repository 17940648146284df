"""The names of calls: the prefixes of parameters, and what pictures fold by."""

from __future__ import annotations

from graphc.frontends.values import Call, Instance, UsedModel


def unused_name(call: Call, base: str) -> str:
    """The name of the next call of a function: ``dense``, ``dense_2``, … in order.

    Examples
    --------
    >>> from graphc.source import Source
    >>> here = Call(Source("m.gc", ""))
    >>> unused_name(here, "dense"), unused_name(here, "dense")
    ('dense', 'dense_2')
    """
    count = call.taken.get(base, 0) + 1
    name = base if count == 1 else f"{base}_{count}"
    while count > 1 and name in call.taken:
        count += 1
        name = f"{base}_{count}"
    call.taken[base] = count
    call.taken.setdefault(name, 1)
    return name


def settle_scope(layer: Instance | UsedModel, call: Call, base: str) -> None:
    """Name a layer that shares its parameters, once: by what it is bound to, or at its first call."""
    if not layer.scope:
        layer.scope = (*call.scope, unused_name(call, base))
