"""The peers: how each calls the functions that formulas are made of, and how it differentiates.

Each takes arrays as its users hold them, made once; what is timed is one call that ends when the results are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.benchmarks.case import Arrays, Call, Case, Result


def jax_call(case: Case, variables: Arrays, data: Arrays) -> Call:
    """JAX, jitted."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    lib = SimpleNamespace(
        **_of(jnp, "exp log log1p tanh sin cos sqrt square stack sum mean min abs tril maximum"),
        relu=jax.nn.relu,
        logsumexp=jax.scipy.special.logsumexp,
        transposed=lambda x: jnp.swapaxes(x, -1, -2),
        rows=lambda x, places: x[places],
        log_probability=lambda z, y: jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1)[:, 0],
    )
    function = jax.jit(jax.value_and_grad(lambda given, data: case.formula(lib, given, data)))
    given, held = ({name: jnp.asarray(x) for name, x in table.items()} for table in (variables, data))
    if case.optimizer:
        return _jax_adam(jax, jnp, function, given, held)
    return lambda: jax.block_until_ready(function(given, held))  # type: ignore[no-any-return]


def _jax_adam(jax: Any, jnp: Any, function: Any, given: Any, held: Any) -> Call:
    def step(given: Any, m: Any, v: Any, t: Any) -> Any:
        loss, grads = function(given, held)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
        rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        eps = 1e-8 * jnp.sqrt(1 - 0.999**t)
        rate, eps = (x.astype(next(iter(given.values())).dtype) for x in (rate, eps))
        given = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + eps), given, m, v)
        return loss, given, m, v

    compiled = jax.jit(step)
    zeros = {name: jnp.zeros_like(x) for name, x in given.items()}
    start: tuple[Any, ...] = (given, zeros, zeros)

    def advance(state: tuple[Any, ...], t: int) -> tuple[Result, tuple[Any, ...]]:
        loss, *new = jax.block_until_ready(compiled(*state, float(t)))
        return (loss, new[0]), tuple(new)

    return steps_of_training(start, advance)


def torch_call(case: Case, variables: Arrays, data: Arrays) -> Call:
    """PyTorch, eager."""
    return _torch(case, variables, data, compiled=False)


def torch_compiled_call(case: Case, variables: Arrays, data: Arrays) -> Call:
    """PyTorch with torch.compile."""
    return _torch(case, variables, data, compiled=True)


def _torch(case: Case, variables: Arrays, data: Arrays, *, compiled: bool) -> Call:
    import torch

    lib = SimpleNamespace(
        **_of(torch, "exp log log1p tanh sin cos sqrt square stack sum mean relu logsumexp abs tril maximum"),
        min=torch.amin,
        transposed=lambda x: torch.swapaxes(x, -1, -2),
        rows=lambda x, places: x[places],
        log_probability=lambda z, y: -torch.nn.functional.cross_entropy(z, y, reduction="none"),
    )
    held = {name: torch.from_numpy(x.copy()) for name, x in data.items()}
    given = {name: torch.from_numpy(np.array(x)).requires_grad_() for name, x in variables.items()}

    def loss_of(given: Any, held: Any) -> Any:
        return case.formula(lib, given, held)

    function = torch.compile(loss_of) if compiled else loss_of
    if case.optimizer:
        optimizer = torch.optim.Adam(list(given.values()), lr=1e-3)

        def step() -> Result:
            optimizer.zero_grad()
            loss = function(given, held)
            loss.backward()
            optimizer.step()
            return loss.detach(), {name: x.detach() for name, x in given.items()}

        return step

    def evaluate() -> Result:
        loss = function(given, held)
        return loss.detach(), dict(zip(given, torch.autograd.grad(loss, list(given.values())), strict=True))

    return evaluate


def autograd_call(case: Case, variables: Arrays, data: Arrays) -> Call:
    """autograd."""
    import autograd
    import autograd.numpy as anp
    from autograd.scipy.special import logsumexp

    lib = SimpleNamespace(
        **_of(anp, "exp log log1p tanh sin cos sqrt square stack sum mean min abs tril maximum"),
        relu=lambda x: anp.maximum(x, 0.0),
        logsumexp=logsumexp,
        transposed=lambda x: anp.swapaxes(x, -1, -2),
        rows=lambda x, places: x[places],
        log_probability=lambda z, y: z[np.arange(len(y)), y] - logsumexp(z, axis=1),
    )
    function = autograd.value_and_grad(lambda given: case.formula(lib, given, data))
    return lambda: function(variables)  # type: ignore[no-any-return]


def steps_of_training(start: Any, advance: Callable[[Any, int], tuple[Result, Any]], most: int = 100) -> Call:
    """A call that makes the next step, and after so many begins again: numbers stay those of early training."""
    state, done = start, 0

    def step() -> Result:
        nonlocal state, done
        if done == most:
            state, done = start, 0
        done += 1
        result, state = advance(state, done)
        return result

    return step


def _of(module: Any, names: str) -> Mapping[str, Any]:
    return {name: getattr(module, name) for name in names.split()}
