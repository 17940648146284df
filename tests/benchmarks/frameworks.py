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

    function, given, held = _jax_function(case, variables, data)
    if case.optimizer:
        return _jax_adam(jax, jnp, function, given, held)
    return lambda: jax.block_until_ready(function(given, held))  # type: ignore[no-any-return]


def jax_memory(case: Case, variables: Arrays, data: Arrays) -> int:
    """The bytes that XLA has planned for a call: temporaries and results, as `memory_analysis` has them.

    What a product or a convolution takes inside of XLA's own functions is not among them.
    """
    function, given, held = _jax_function(case, variables, data)
    planned = function.lower(given, held).compile().memory_analysis()
    return int(planned.temp_size_in_bytes + planned.output_size_in_bytes)


def _jax_function(case: Case, variables: Arrays, data: Arrays) -> tuple[Any, Any, Any]:
    """The jitted function, and its arguments as JAX has them."""
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
    return function, given, held


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


def pytensor_call(case: Case, variables: Arrays, data: Arrays) -> Call:
    """PyTensor, compiled as it does by default, for arrays of these shapes, which it then does not check any more."""
    import pytensor
    import pytensor.tensor as pt

    lib = SimpleNamespace(
        **_of(pt, "exp log log1p tanh sin cos sqrt square stack sum mean min abs tril maximum logsumexp"),
        relu=lambda x: pt.maximum(x, 0),
        transposed=lambda x: pt.swapaxes(x, -1, -2),
        rows=lambda x, places: x[places],
        log_probability=lambda z, y: pt.special.log_softmax(z, axis=1)[pt.arange(z.shape[0]), y],
    )
    arrays = {name: np.asarray(x) for name, x in {**variables, **data}.items()}
    given = {name: pt.tensor(name, dtype=x.dtype, shape=x.shape) for name, x in arrays.items()}
    moved = {name: given[name] for name in variables}
    loss = case.formula(lib, moved, {name: given[name] for name in data})
    gradients = dict(zip(moved, pytensor.grad(loss, [*moved.values()]), strict=True))
    if case.optimizer:
        return _pytensor_adam(pytensor, pt, loss, gradients, given, arrays)
    function = pytensor.function([*given.values()], [loss, *gradients.values()], on_unused_input="ignore")
    function.trust_input = True

    def evaluate() -> Result:
        loss, *found = function(*arrays.values())
        return loss, dict(zip(variables, found, strict=True))

    return evaluate


def _pytensor_adam(pytensor: Any, pt: Any, loss: Any, gradients: Any, given: Any, arrays: Arrays) -> Call:
    """Everything is in shared variables, which a call of the function changes."""
    held = {name: pytensor.shared(x) for name, x in arrays.items()}
    time = pytensor.shared(np.float32(0))
    t = time + 1
    root = pt.sqrt(1 - np.float32(0.999) ** t)
    rate, eps = np.float32(1e-3) * root / (1 - np.float32(0.9) ** t), np.float32(1e-8) * root
    updates = {time: t}
    for name, g in gradients.items():
        m, v = (pytensor.shared(np.zeros_like(arrays[name])) for _ in "mv")
        updates[m] = np.float32(0.9) * m + np.float32(0.1) * g
        updates[v] = np.float32(0.999) * v + np.float32(0.001) * pt.square(g)
        updates[held[name]] = held[name] - rate * updates[m] / (pt.sqrt(updates[v]) + eps)
    function = pytensor.function([], loss, updates=updates, givens={x: held[name] for name, x in given.items()})

    def step() -> Result:
        return function(), {name: held[name].get_value(borrow=True) for name in gradients}

    return step


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
