"""Patterns of Jacobians: they hold all that is not zero, colours keep columns apart, values are the dense ones."""

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.sparse import coo_array
from scipy.sparse.linalg import spsolve

import graphc
from graphc.builder import Builder, rebuild
from graphc.graph import Graph, Node
from graphc.op import OPS, Op
from graphc.ops.leaves import Array
from graphc.sparsity import Pattern, pattern_of
from tests.evaluate import evaluate
from tests.ops.checks import Case, cases
from tests.ops.test_generic import TRIED, _name
from tests.test_forward import both_modes

N = 12
ROSENBROCK = "x: Input[N]\nr: Output = concatenate([10 * (x[1:] - x[:-1] ** 2), 1 - x[:-1]])"
ODE = """
u: Input[N]
inner = u[:-2] - 2 * u[1:-1] + u[2:] - 0.01 * exp(u[1:-1])
r: Output = concatenate([u[:1], inner, u[-1:]])
"""
TEXTS = {
    "rosenbrock": ROSENBROCK,
    "ode": ODE,
    "rows": "x: Input[4, 3]\nr: Output = logsumexp(x, axis=1)",
    "along": "x: Input[4, 3]\nr: Output = softmax(x, axis=0) * x",
    "moved": "x: Input[2, 3]\nr: Output = stack([x.T, flip(x.T, 0) ** 2], axis=1)[1:, 0]",
    "parts": "x: Input[6]\na, b = split(x, 2)\nr: Output = a * b[::-1]",
    "gathered": "x: Input[6]\nr: Output = x[arange(3) * 2] * x[arange(3) + 1]",
    "spread": "x: Input[3]\ny: Input\nr: Output = reshape(broadcast_to(x * y, (2, 3)), (3, 2)) * 2",
    "product": "x: Input[4, 3]\nw: Input[3]\nr: Output = x @ w",
    "matrices": "x: Input[2, 3]\ny: Input[3, 2]\nr: Output = (x @ y) * x[:, :2]",
    "dense": "x: Input[3, 3]\nr: Output = solve(x + 3 * one_hot(arange(3), 3), x[0])",
    "chosen": "x: Input[4]\ny: Input[4]\nr: Output = where(x > 0, x, y ** 2)",
    "stopped": "x: Input[4]\nr: Output = x * stop_gradient(sum(x))",
    "diagonal": "x: Input[4]\nr: Output = sum(diag(x), axis=0) + tril(diag(x))[2]",
    "several": "x: Input[3]\ny: Input[2, 3]\nr: Output = (y * x)[:, :2]",
    "numbers": "a: Input\nb: Input\nr: Output = stack([a * 2, b * a + 1, b / (1 + exp(a))])",
    "padded": "x: Input[4]\nr: Output = maximum(pad(x, ((1, 2),), -inf), pad(x ** 2, ((2, 1),), 3.0))",
    "pooled": "x: Input[1, 1, 6]\nr: Output = max_pool1d(x, 3, stride=2, padding=1)",
    "unused": "x: Input[3]\ny: Input[2]\nr: Output = x ** 2 + 0 * x[0]\nq: Output = y * x[0]",
}


def both(text: str, seed: int) -> tuple[Pattern, np.ndarray, np.ndarray]:
    """The pattern, the dense Jacobian and the sparse one at a random point."""
    sizes = {"N": N} if "[N" in text else None
    model = graphc.compile(text, gradient=False, sizes=sizes)
    rng = np.random.default_rng(seed)
    inputs = {str(n.attrs["name"]): rng.normal(size=n.tensor.shape) for n in model.graph.inputs}  # type: ignore[arg-type]
    pattern = graphc.jacobian_sparsity(model, output="r")
    found = graphc.jacobian(model, output="r")(**inputs)
    blocks = found if isinstance(found, dict) else {"": found}
    dense = np.concatenate([np.reshape(block, (pattern.shape[0], -1)) for block in blocks.values()], axis=1)
    rows, columns, values = graphc.sparse_jacobian(model, output="r")(**inputs)
    return pattern, dense, coo_array((values, (rows, columns)), shape=pattern.shape).toarray()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_pattern_holds_what_is_not_zero_and_values_are_the_dense_ones(text: str, seed: int) -> None:
    pattern, dense, sparse = both(text, seed)
    assert pattern.shape == dense.shape
    assert not np.any(dense[~pattern.matrix])
    np.testing.assert_allclose(sparse, dense, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("saved", [False, True], ids=["labels given", "labels saved"])
@pytest.mark.parametrize("op", TRIED, ids=_name)
def test_every_op_depends_on_no_more_than_its_pattern_says(op: Op, saved: bool) -> None:
    for case in cases(op):
        found = evaluate_units(case) if case.variables else {}
        graph = with_saved_labels(case) if saved else case.graph
        variables = [node for node in graph.inputs if str(node.attrs["name"]) in case.variables]
        for name, jacobian in found.items():
            pattern = pattern_of(graph, graph.outputs[name], variables)
            assert pattern.shape == jacobian.shape, op
            assert not np.any(jacobian[~pattern.matrix]), (op, name)


def evaluate_units(case: Case) -> dict[str, np.ndarray]:
    """The Jacobian of each result, column by column in forward mode."""
    graph = both_modes(case)
    still = {f"t_{name}": np.zeros(case.values[name].shape) for name in case.variables}
    columns: dict[str, list[np.ndarray]] = {name: [] for name in graph.outputs if name.startswith("dot_")}
    for name in (str(node.attrs["name"]) for node in graph.inputs):
        for place in np.ndindex(case.values[name].shape) if name in case.variables else ():
            unit = np.zeros(case.values[name].shape)
            unit[place] = 1.0
            found = evaluate(graph, {**case.values, **still, f"t_{name}": unit})
            for key, column in columns.items():
                column.append(np.ravel(found[key]))
    # Samples of no elements have no columns.
    return {key.removeprefix("dot_"): np.stack(column, axis=1) for key, column in columns.items() if column}


def with_saved_labels(case: Case) -> Graph:
    """The graph of a case with its integers as part of it."""
    builder = Builder()

    def step(node: Node, operands: tuple[Node, ...]) -> Node | None:
        if node.op.name != "input" or not node.tensor.is_int:
            return None
        values = case.values[str(node.attrs["name"])]
        array = Array(node.tensor.dtype, values.shape, values.astype(node.tensor.dtype).tobytes())
        return builder.apply(OPS["array"], (), {"array": array}).node

    mapping = rebuild(case.graph, builder, step=step)
    return builder.finish({name: mapping[node] for name, node in case.graph.outputs.items()})


EXACT = ["rosenbrock", "ode", "rows", "along", "moved", "parts", "gathered", "spread", "product", "several", "diagonal"]


@pytest.mark.parametrize("name", EXACT)
def test_the_pattern_has_no_more_than_that(name: str) -> None:
    pattern, dense, _ = both(TEXTS[name], 0)
    assert np.array_equal(pattern.matrix, dense != 0)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_no_row_has_two_columns_of_a_colour(text: str) -> None:
    pattern, *_ = both(text, 0)
    for row in pattern.matrix:
        colors = pattern.colors[row]
        assert len(set(colors)) == len(colors)


@pytest.mark.parametrize(("text", "count"), [(ROSENBROCK, 2), (ODE, 3)])
def test_the_number_of_colours_does_not_grow(text: str, count: int) -> None:
    for n in (6, 50, 400):
        pattern = graphc.jacobian_sparsity(graphc.compile(text, gradient=False, sizes={"N": n}))
        assert pattern.color_count == count


def test_every_op_of_the_pattern_is_in_the_table() -> None:
    from graphc import sparsity

    assert set(OPS) >= sparsity._REDUCED | sparsity._ALONG | sparsity._MOVED


def test_a_product_with_a_saved_matrix_has_its_zeros() -> None:
    matrix = np.diag(np.full(20, 2.0)) - np.diag(np.ones(19), 1) - np.diag(np.ones(19), -1)

    @graphc.model(loss=["r"])
    def poisson(u: graphc.f64[20]):  # type: ignore[no-untyped-def]
        return {"r": matrix @ u + u**3}

    pattern = graphc.jacobian_sparsity(poisson)
    assert np.array_equal(pattern.matrix, matrix != 0) and pattern.color_count == 3


def adjustment(cameras: int = 4, points: int = 30) -> tuple[graphc.Model, dict[str, np.ndarray]]:
    """Bundle adjustment: every observation depends on one camera of 3 numbers and one point of 2."""
    rng = np.random.default_rng(0)
    seen = np.array([(c, p) for c in range(cameras) for p in range(points) if rng.random() < 0.6])
    camera, point = seen.T

    @graphc.model(loss=["r"], sizes={"C": cameras, "P": points, "M": len(seen)})
    def project(c: graphc.f64["C", 3], p: graphc.f64["P", 2], measured: graphc.f64["M", 2]):  # type: ignore[no-untyped-def]  # noqa: F821
        at = c[camera]
        x = p[point]
        turned = graphc.stack(
            [
                graphc.cos(at[:, 0]) * x[:, 0] - graphc.sin(at[:, 0]) * x[:, 1],
                graphc.sin(at[:, 0]) * x[:, 0] + graphc.cos(at[:, 0]) * x[:, 1],
            ],
            axis=1,
        )
        return {"r": turned + at[:, 1:] - measured}

    truth = {"c": rng.normal(size=(cameras, 3)) * 0.1, "p": rng.normal(size=(points, 2))}
    exact = project(**truth, measured=np.zeros((len(seen), 2)))
    return project, {**truth, "measured": exact}


def test_bundle_adjustment() -> None:
    model, truth = adjustment()
    pattern = graphc.jacobian_sparsity(model, wrt=["c", "p"])
    # A camera's angle and one of its offsets, and a point's two coordinates, in each row.
    assert np.all(pattern.matrix.sum(axis=1) == 4)
    assert pattern.color_count < pattern.shape[1] / 4
    sparse = graphc.sparse_jacobian(model, wrt=["c", "p"])
    rng = np.random.default_rng(1)
    start = {"c": truth["c"], "p": truth["p"] + 0.1 * rng.normal(size=(30, 2))}
    split = start["c"].size

    def given(theta: np.ndarray) -> dict[str, np.ndarray]:
        return {"c": theta[:split].reshape(-1, 3), "p": theta[split:].reshape(-1, 2), "measured": truth["measured"]}

    def jacobian(theta: np.ndarray) -> coo_array:
        rows, columns, values = sparse(**given(theta))
        return coo_array((values, (rows, columns)), shape=pattern.shape).tocsr()

    theta = np.concatenate([start["c"].ravel(), start["p"].ravel()])
    found = least_squares(lambda x: model(**given(x)).ravel(), theta, jacobian, tr_solver="lsmr")
    assert found.cost < 1e-12


def test_an_emitted_sparse_jacobian_solves_a_boundary_value_problem() -> None:
    module = graphc.compile(ODE, with_=["sparse_jacobian", "flat"], sizes={"N": 200}).module
    assert "--size N=200" in module.__doc__
    u = np.zeros(200)
    for _ in range(8):
        rows, columns, values = module.sparse_jacobian_flat(u)
        jacobian = coo_array((values, (rows, columns)), shape=(200, 200)).tocsc()
        u = u - spsolve(jacobian, module.residuals_flat(u))
    assert np.abs(module.residuals_flat(u)).max() < 1e-12


def test_a_pattern_that_is_dense_has_a_colour_for_each_column() -> None:
    pattern = graphc.jacobian_sparsity("x: Input[600]\nr: Output = x * sum(x)")
    assert pattern.color_count == 600


def test_too_many_places_are_refused() -> None:
    with pytest.raises(graphc.GraphcError, match="at most 50,000,000 places"):
        graphc.jacobian_sparsity("x: Input[20000]\nr: Output = cumsum(x)")


def test_what_depends_on_nothing() -> None:
    pattern = graphc.jacobian_sparsity("x: Input[3]\nr: Output = sign(x)")
    assert pattern.shape == (3, 3)
