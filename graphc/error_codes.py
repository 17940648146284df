"""What each error code means, with a text that provokes it and one that is right; a new code is a new row of `CODES`.

GC0xx syntax, GC1xx names and declarations, GC2xx types and shapes, GC3xx differentiation, GC4xx limits and files,
GC5xx data at run time, GC6xx warnings.
"""

from __future__ import annotations

import difflib
import textwrap
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an error code means.

    Attributes
    ----------
    title : str
        What is wrong, in one line.
    text : str
        Why it is an error and what to do about it; one line per paragraph.
    example, fix : str
        What provokes it, and the same put right.
    language : {"model", "folder", "python", "shell"}
        What the examples are: a model, a model with other files beside it, a use of its generated module, a command.
    """

    title: str
    text: str
    example: str
    fix: str
    language: Literal["model", "folder", "python", "shell"] = "model"


CODES: dict[str, Explanation] = {
    "GC001": Explanation(
        "the text is not Python's syntax",
        "Models are written in Python's syntax and read by Python's own parser, whose words the message repeats.",
        """\
x: Input
loss: Output = (x + 1) * (x - 2
""",
        """\
x: Input
loss: Output = (x + 1) * (x - 2)
""",
    ),
    "GC002": Explanation(
        "this part of Python is not in the model language",
        "A model is read and never executed, so there are no imports, classes, while loops, attributes or f-strings in"
        " it. All operations and library layers are there without an import.",
        """\
import numpy as np

x: Input
loss: Output = np.exp(x)
""",
        """\
x: Input
loss: Output = exp(x)
""",
    ),
    "GC101": Explanation(
        "a name is not known",
        "A name is known from the line on that declares or binds it; upper and lower case differ.",
        """\
X: Input[N, 64]
W: Param[64, 10] = he_normal()
loss: Output = mean(X @ w)
""",
        """\
X: Input[N, 64]
W: Param[64, 10] = he_normal()
loss: Output = mean(X @ W)
""",
    ),
    "GC102": Explanation(
        "a name is declared twice",
        "A name may be bound again (`h = relu(h)`), but an input, parameter or output is part of the signature and"
        " declared once.",
        """\
x: Input[N]
x: Input[N, 3]
loss: Output = sum(x ** 2)
""",
        """\
x: Input[N, 3]
loss: Output = sum(x ** 2)
""",
    ),
    "GC103": Explanation(
        "a call has the wrong arguments",
        "An operand or attribute is missing, there is one too many, or a keyword is not one of the function's.",
        """\
x: Input[N, 3]
loss: Output = mean(sum(x, axes=1))
""",
        """\
x: Input[N, 3]
loss: Output = mean(sum(x, axis=1))
""",
    ),
    "GC104": Explanation(
        "the model has no output",
        "What a model computes is what it declares as `Output`; without one there is nothing to compile.",
        """\
x: Input
y = x ** 2
""",
        """\
x: Input
y: Output = x ** 2
""",
    ),
    "GC106": Explanation(
        "a value is not of the kind that is needed here",
        "Numbers, sizes, tensors, texts, lists and functions are different kinds of values. What steers a model (`if`,"
        " `range`, sizes) must be known while the model is read; the values of a tensor are not.",
        """\
X: Input[N, 3]
loss: Output = mean(X + "1")
""",
        """\
X: Input[N, 3]
loss: Output = mean(X + 1)
""",
    ),
    "GC107": Explanation(
        "a computation on static values has no result",
        "Numbers and lists are computed with while the model is read: a division by zero, the root of a negative number"
        " or an index past the end of a list is an error there, not inf or NaN at run time.",
        """\
groups = 0
width = 64 // groups
X: Input[N, width]
loss: Output = mean(X)
""",
        """\
groups = 4
width = 64 // groups
X: Input[N, width]
loss: Output = mean(X)
""",
    ),
    "GC108": Explanation(
        "a function does not take these arguments",
        "What a function asks of its arguments it says with `assert`. What is not known to hold while the model is"
        " read, for instance that two free sizes are equal, is refused. The place is that of your call.",
        """\
X: Input[N, 3, 8, 8]
W: Param[16, 4, 3, 3] = he_normal()
loss: Output = mean(conv2d(X, W))
""",
        """\
X: Input[N, 3, 8, 8]
W: Param[16, 3, 3, 3] = he_normal()
loss: Output = mean(conv2d(X, W))
""",
    ),
    "GC201": Explanation(
        "matrix product of sizes that do not fit",
        "In `a @ b` the last axis of `a` meets the last but one of `b` (its only one, if `b` is a vector), and both"
        " must have the same size.",
        """\
X: Input[N, 64]
W1: Param[64, 128] = he_normal()
W2: Param[64, 10] = he_normal()
loss: Output = mean(relu(X @ W1) @ W2)
""",
        """\
X: Input[N, 64]
W1: Param[64, 128] = he_normal()
W2: Param[128, 10] = he_normal()
loss: Output = mean(relu(X @ W1) @ W2)
""",
    ),
    "GC202": Explanation(
        "shapes that do not broadcast",
        "As in NumPy, shapes are aligned at their last axes, and each pair of sizes must be equal, or one of them 1."
        " Two free sizes with different names are never taken to be equal, nor one of them to be 1.",
        """\
X: Input[N, 3]
w: Param[4] = ones()
loss: Output = sum(X * w)
""",
        """\
X: Input[N, 3]
w: Param[3] = ones()
loss: Output = sum(X * w)
""",
    ),
    "GC203": Explanation(
        "an operand's shape is not one that the operation takes",
        "For instance an axis that the tensor does not have, a reshape to another number of elements, or tensors to"
        " concatenate that differ in more than one axis. Axes count from 0; negative ones count from the end.",
        """\
X: Input[N, 3]
loss: Output = mean(sum(X, axis=2))
""",
        """\
X: Input[N, 3]
loss: Output = mean(sum(X, axis=1))
""",
    ),
    "GC204": Explanation(
        "an operand's dtype is not one that the operation takes",
        "Indices and class labels are integers, conditions are bools, and gradients are those of floats. A declaration"
        " without a dtype is of the model's float type.",
        """\
table: Param[100, 8] = normal()
word: Input[N]
loss: Output = mean(table[word])
""",
        """\
table: Param[100, 8] = normal()
word: Input[N, int64]
loss: Output = mean(table[word])
""",
    ),
    "GC205": Explanation(
        "sizes contradict each other",
        "A declared shape and that of the value differ, a size would be negative, or a shared parameter would have"
        " another shape in each call.",
        """\
X: Input[N, 64]
W: Param[64, 10] = he_normal()
logits: Output[N, 32] = X @ W
loss: Output = mean(logits ** 2)
""",
        """\
X: Input[N, 64]
W: Param[64, 10] = he_normal()
logits: Output[N, 10] = X @ W
loss: Output = mean(logits ** 2)
""",
    ),
    "GC206": Explanation(
        "the carry of a scan changes its type",
        "What a step gives as the next carry goes into the next step: it has the dtype and the shape of the first one.",
        """\
x: Input[T, 3]
def step(total, row):
    return total + row, None
total, _ = scan(step, 0, x)
loss: Output = sum(total)
""",
        """\
x: Input[T, 3]
def step(total, row):
    return total + row, None
total, _ = scan(step, broadcast_to(0.0, (3,)), x)
loss: Output = sum(total)
""",
    ),
    "GC207": Explanation(
        "the step of a scan draws the same random numbers each time",
        "With a seed that is the same in each step, so are the numbers. Draw them for all steps before the scan, and"
        " scan over them; or let the seed change: `seed=seed + n`, with n scanned over as `arange(T)`, or carried.",
        """\
x: Input[T, 3]
seed: Input[int64]
def step(h, row):
    return dropout(h + row, 0.5, seed=seed), None
h, _ = scan(step, broadcast_to(0.0, (3,)), x)
loss: Output = sum(h)
""",
        """\
x: Input[T, 3]
seed: Input[int64]
masks = dropout(broadcast_to(1.0, (T, 3)), 0.5, seed=seed)
def step(h, inputs):
    row, mask = inputs
    return (h + row) * mask, None
h, _ = scan(step, broadcast_to(0.0, (3,)), (x, masks))
loss: Output = sum(h)
""",
    ),
    "GC301": Explanation(
        "no gradient passes through an operation",
        "Every path from the loss to this parameter goes through an operation whose result jumps or is not a float"
        " (argmax, a comparison, an integer), so the gradient would be zero without meaning anything.",
        """\
X: Input[N, 3]
W: Param[3, 10] = he_normal()
loss: Output = mean(argmax(X @ W, axis=1) * 1.0)
""",
        """\
X: Input[N, 3]
W: Param[3, 10] = he_normal()
loss: Output = mean(max(X @ W, axis=1))
""",
    ),
    "GC302": Explanation(
        "the loss does not depend on a parameter",
        "The parameter is not used on the way to the loss, so training would never change it. Use it, remove it, or ask"
        " only for the gradient of others.",
        """\
X: Input[N, 3]
w: Param[3] = normal()
b: Param = zeros()
loss: Output = mean((X @ w) ** 2)
""",
        """\
X: Input[N, 3]
w: Param[3] = normal()
b: Param = zeros()
loss: Output = mean((X @ w + b) ** 2)
""",
    ),
    "GC303": Explanation(
        "the loss is not a scalar",
        "A gradient is that of one float number. Reduce the loss with `mean` or `sum`.",
        """\
X: Input[N, 3]
w: Param[3] = normal()
loss: Output = (X @ w) ** 2
""",
        """\
X: Input[N, 3]
w: Param[3] = normal()
loss: Output = mean((X @ w) ** 2)
""",
    ),
    "GC304": Explanation(
        "it is not clear which output is the loss",
        "The loss is the output named `loss`, else the only scalar output. Name it, or say which with `loss=` or"
        " `--loss`.",
        """\
x: Input[N]
error: Output = mean(x ** 2)
largest: Output = max(x)
""",
        """\
x: Input[N]
loss: Output = mean(x ** 2)
largest: Output = max(x)
""",
    ),
    "GC305": Explanation(
        "an operation cannot be mapped over a batch",
        "Jacobians and `vmap` give each operation one more axis, the batch. Random numbers are drawn from one seed and"
        " have no such form: give all of the batch the same seed.",
        'graphc.vmap("s: Input[int64]\\nx: Input[3]\\ny: Output = dropout(x, 0.5, seed=s)")',
        'graphc.vmap("s: Input[int64]\\nx: Input[3]\\ny: Output = dropout(x, 0.5, seed=s)", in_axes={"s": None})',
        "python",
    ),
    "GC306": Explanation(
        "a gradient rule does not fit its function",
        "A rule below `@gradient_of(f)` takes the cotangent of f's result and f's arguments (and, if it likes, the"
        " result), and gives for each argument a cotangent of the same shape; None stands for no gradient. The rule"
        " stands before the first call of f, and f computes from its arguments only.",
        """\
X: Input[N, 3]
w: Param[3] = normal()

def halved(x):
    return x

@gradient_of(halved)
def halved_gradient(d, x):
    return sum(d) / 2

loss: Output = mean(halved(X @ w) ** 2)
""",
        """\
X: Input[N, 3]
w: Param[3] = normal()

def halved(x):
    return x

@gradient_of(halved)
def halved_gradient(d, x):
    return d / 2

loss: Output = mean(halved(X @ w) ** 2)
""",
    ),
    "GC307": Explanation(
        "a gradient rule has no forward mode",
        "Forward mode transposes the rule, which must be linear in the cotangent for that: a rule that clips it is"
        " not. `jvp`, `hvp`, `jacobian` and `hessian` may need it; `grad` and `vjp`, also of gradients, do not.",
        'graphc.jvp("x: Input[3]\\ny: Output = clip_gradient(x, 1.0)")',
        'graphc.vjp("x: Input[3]\\ny: Output = clip_gradient(x, 1.0)")',
        "python",
    ),
    "GC308": Explanation(
        "a sparsity pattern of free sizes",
        "Which elements of a Jacobian may differ from zero is found one by one, so all sizes have to be numbers."
        " `sizes=` of `compile`, or `--size N=10`, makes free sizes numbers.",
        'graphc.jacobian_sparsity("x: Input[N]\\nr: Output = x[1:] - x[:-1]")',
        'graphc.jacobian_sparsity("x: Input[5]\\nr: Output = x[1:] - x[:-1]")',
        "python",
    ),
    "GC401": Explanation(
        "the model exceeds a limit",
        "Size, nesting, unrolled loops and constant arithmetic are bounded, so that no text can hang the compiler or"
        " fill the memory. The message names the bound.",
        """\
x: Input
for i in range(1000000000):
    x = x * 2
loss: Output = x
""",
        """\
x: Input
for i in range(10):
    x = x * 2
loss: Output = x
""",
    ),
    "GC402": Explanation(
        "a file cannot be read",
        "There is no such file, it may not be read, or it is not UTF-8 text.",
        "graphc check digist.gc",
        "graphc check digits.gc",
        "shell",
    ),
    "GC403": Explanation(
        "there is no such picture",
        "The ending of the file chooses the format, `--view` what is drawn; the message lists what there is.",
        "graphc draw digits.gc -o digits.bmp",
        "graphc draw digits.gc -o digits.svg",
        "shell",
    ),
    "GC404": Explanation(
        "nothing is installed that draws this",
        "Pictures of graphs need pygraphviz 2.0 or later, which brings Graphviz along, or the program `dot`; only"
        " `.dot` files need neither. Plots (`graphc.plot_fit` and the like) need Matplotlib. `graphc doctor` shows what"
        " is there.",
        "graphc draw digits.gc -o digits.svg",
        "pip install 'pygraphviz>=2.0' && graphc draw digits.gc -o digits.svg",
        "shell",
    ),
    "GC405": Explanation(
        "a path leaves the model's folder",
        "A model reads only files in its own folder and below, so that a model from elsewhere cannot read yours.",
        """\
encoder = use("../encoder.gc")
X: Input[N, 64]
loss: Output = mean(encoder(X))
""",
        """\
encoder = use("parts/encoder.gc")
X: Input[N, 64]
loss: Output = mean(encoder(X))
""",
        "folder",
    ),
    "GC406": Explanation(
        "saved parameters do not fit the model",
        "A file of parameters holds one array of numbers per parameter, by name and in the declared shape; it is read"
        " without pickle.",
        """\
encoder = use("encoder.gc", params="decoder.npz")
X: Input[N, 64]
loss: Output = mean(encoder(X))
""",
        """\
encoder = use("encoder.gc", params="encoder.npz")
X: Input[N, 64]
loss: Output = mean(encoder(X))
""",
        "folder",
    ),
    "GC411": Explanation(
        "a module cannot have what is asked for",
        "`flat` and `check` move what the gradient is taken by: they need inputs or parameters to differentiate by, and"
        " something to differentiate. A Hessian is that of one scalar loss, a Jacobian that of one output, which `--of`"
        " names where there are several. The message lists the extras that there are.",
        "graphc compile model.gc -o model.py --with chek",
        "graphc compile model.gc -o model.py --with check",
        "shell",
    ),
    "GC412": Explanation(
        "a generated module cannot be re-opened",
        "`graphc.load` reads the graph that a module carries as text when it is compiled `--with graph`; `graphc check`"
        " reads the header that says where the module comes from. Both must be as graphc has written them.",
        "graphc compile digits.gc -o digits.py",
        "graphc compile digits.gc -o digits.py --with graph",
        "shell",
    ),
    "GC413": Explanation(
        "the model of a module is not there",
        "`graphc check module.py` compiles the model that the module's header names, which is expected beside the"
        " module, or where `--source` says.",
        "graphc check build/digits.py",
        "graphc check build/digits.py --source digits.gc",
        "shell",
    ),
    "GC414": Explanation(
        "a module is not what its source gives today",
        "The model, its options or graphc itself have changed since the module was written, or the module was edited by"
        " hand. `graphc check` shows the difference; compiling again makes the module anew.",
        "graphc check digits.py",
        "graphc compile digits.gc -o digits.py",
        "shell",
    ),
    "GC415": Explanation(
        "there are no such conventions",
        "Where a function has no derivative, a gradient takes graphc's own choice, or that of PyTorch or JAX."
        " docs/conventions.md lists them side by side.",
        'graphc.compile("abs(x)", conventions="pytorch")',
        'graphc.compile("abs(x)", conventions="torch")',
        "python",
    ),
    "GC416": Explanation(
        "nothing is installed that colours code",
        "A report shows the model and its module coloured by Pygments, which `graphc[report]` brings along, as it does"
        " what lays out the picture.",
        "graphc report digits.gc -o digits.html",
        "pip install 'pygments>=2.17' && graphc report digits.gc -o digits.html",
        "shell",
    ),
    "GC417": Explanation(
        "there is no such optimiser, or not with these options",
        "An optimiser is a name or a call with numbers or expressions of `step`; docs/training.md lists them. What it"
        " gives has the shape of the parameter.",
        "graphc compile digits.gc -o digits.py --optimizer adan",
        "graphc compile digits.gc -o digits.py --optimizer adam",
        "shell",
    ),
    "GC418": Explanation(
        "nothing is installed that reads Parquet",
        "Tables in Parquet files are read by pyarrow, which `graphc[parquet]` brings along; CSV files need nothing.",
        "graphc train digits.gc --data digits.parquet",
        "pip install 'pyarrow>=17' && graphc train digits.gc --data digits.parquet",
        "shell",
    ),
    "GC419": Explanation(
        "there is no such style of modules",
        "A module is written for readers, or for speed: long chains of operations on large arrays are then computed by"
        " blocks of rows. The results are the same, up to the rounding of sums.",
        'graphc.compile("sum(tanh(x))", optimize="fast")',
        'graphc.compile("sum(tanh(x))", optimize="speed")',
        "python",
    ),
    "GC420": Explanation(
        "a generated module is given in place of its model",
        "A module that graphc generated is Python, not a model; its header names the model that it is from."
        " `graphc check` takes modules, and `graphc.load` re-opens one that was compiled `--with graph`.",
        "graphc show digits.py",
        "graphc show digits.gc",
        "shell",
    ),
    "GC501": Explanation(
        "an array has another shape than was declared",
        "A free size is bound by the first array that has it; all others must agree.",
        "digits.forward(params, X=np.zeros((5, 63)), y=y)    # declared as X: Input[N, 64]",
        "digits.forward(params, X=np.zeros((5, 64)), y=y)",
        "python",
    ),
    "GC502": Explanation(
        "an array has another dtype than was declared",
        "Integers are taken where floats are declared, but not floats as integers: labels and indices must be"
        " integers.",
        "digits.forward(params, X=X, y=np.zeros(5))    # declared as y: Input[N, int64]",
        "digits.forward(params, X=X, y=np.zeros(5, dtype=np.int64))",
        "python",
    ),
    "GC503": Explanation(
        "a label or index is out of range",
        "Labels and indices count from 0 and are less than the size that they index; -1 does not mean the last.",
        "digits.forward(params, X=X, y=np.full(5, 10))    # ten classes: 0 to 9",
        "digits.forward(params, X=X, y=np.full(5, 9))",
        "python",
    ),
    "GC504": Explanation(
        "a parameter is missing, or one is not the model's",
        "`params` is a dict with exactly the model's parameters; `init_params` makes one.",
        "digits.forward({}, X=X, y=y)",
        "digits.forward(digits.init_params(0), X=X, y=y)",
        "python",
    ),
    "GC505": Explanation(
        "data does not fit a plot",
        "Points and what belongs to them have the same length, the model takes points with as many coordinates, and"
        " limits are finite. The message says what was expected.",
        'graphc.plot_losses({"training": [[0.9, 0.5], [1.0, 0.7]]})',
        'graphc.plot_losses({"training": [0.9, 0.5], "hold-out": [1.0, 0.7]})',
        "python",
    ),
    "GC511": Explanation(
        "data lack what the model takes, or have another shape",
        "`graphc.fit` needs an array, or the columns of a table, for each input; only integer scalars may be absent, as"
        " seeds. docs/training.md says which columns belong to which input.",
        'graphc.fit("digits.gc", {"X": np.zeros((5, 64))})',
        'graphc.fit("digits.gc", {"X": np.zeros((5, 64)), "y": np.arange(5)})',
        "python",
    ),
    "GC512": Explanation(
        "a value among the data is none that the model takes",
        "Data are finite numbers, labels are integers below the number of classes, or texts, each always the same. All"
        " of this is checked before a training starts.",
        'graphc.fit("digits.gc", {"X": np.zeros((5, 64)), "y": np.full(5, 10)})    # ten classes: 0 to 9',
        'graphc.fit("digits.gc", {"X": np.zeros((5, 64)), "y": np.full(5, 9)})',
        "python",
    ),
    "GC513": Explanation(
        "a file of data cannot be read",
        "A `.csv` file is UTF-8 text with the names of columns in its first line and as many values in each other one;"
        " a `.parquet` file is a table as well, a `.npz` file holds an array for each input. The numbers of a table"
        " need room in the folder for temporary files.",
        'graphc.fit("digits.gc", "digist.csv")',
        'graphc.fit("digits.gc", {"X": np.zeros((5, 64)), "y": np.arange(5)})',
        "python",
    ),
    "GC514": Explanation(
        "training ran into numbers that are not finite",
        "The message names the first node of the model that has one, and the step. A smaller learning rate or"
        " `clip_norm` helps where steps are too long, a function with a wider domain where one was left.",
        'graphc.fit("digits.gc", {"X": np.eye(5, 64), "y": np.arange(5)}, optimizer="gradient_descent(lr=1e300)")',
        'graphc.fit("digits.gc", {"X": np.eye(5, 64), "y": np.arange(5)}, optimizer="gradient_descent(lr=0.1)")',
        "python",
    ),
    "GC515": Explanation(
        "a checkpoint belongs to another training",
        "To resume is to go on with the same model, data, optimiser, batches and seed; only the number of epochs and"
        " the patience may change.",
        'graphc.fit("digits.gc", {"X": np.eye(5, 64), "y": np.arange(5)}, checkpoint="encoder.npz", resume=True)',
        'graphc.fit("digits.gc", {"X": np.eye(5, 64), "y": np.arange(5)}, checkpoint="state.npz", resume=True)',
        "python",
    ),
    "GC516": Explanation(
        "what augments examples gives no batch like the one that it got",
        "The callable gets a dict with the arrays of a batch and a NumPy generator. It gives a dict with the same"
        " names, and arrays of the same shapes and dtypes: as many examples as before.",
        'graphc.fit("digits.gc", {"X": np.eye(5, 64), "y": np.arange(5)}, augment=lambda b, rng: {"X": b["X"] + 1})',
        'graphc.fit("digits.gc", {"X": np.eye(5, 64), "y": np.arange(5)},'
        ' augment=lambda b, rng: {**b, "X": b["X"] + 1})',
        "python",
    ),
    "GC519": Explanation(
        "a model is no estimator of scikit-learn",
        "A `GraphClassifier` needs the inputs `X: Input[N, features]` and `y: Input[N, int64]` and an output `probs` or"
        " `logits` with a column for each class; a `GraphRegressor` needs `y: Input[N]` and an output `prediction`."
        " What predicts is computed from X alone. Both need scikit-learn 1.6 or later, which `graphc[sklearn]` brings"
        " along.",
        'graphc.GraphRegressor("digits.gc").fit(X, X[:, 0])',
        "graphc.GraphRegressor(epochs=1).fit(X, X[:, 0])",
        "python",
    ),
    "GC601": Explanation(
        "an input is not used",
        "It stays in the signature, but no output depends on it: often a slip, so graphc says so. A warning only.",
        """\
X: Input[N, 3]
weight: Input[N]
w: Param[3] = normal()
loss: Output = mean((X @ w) ** 2)
""",
        """\
X: Input[N, 3]
weight: Input[N]
w: Param[3] = normal()
loss: Output = mean(weight * (X @ w) ** 2)
""",
    ),
    "GC602": Explanation(
        "a gradient is zero everywhere",
        "Every path from the loss to the variable runs through an op that is constant between its steps (sign, step, "
        "floor, round), whose derivative is 0 by convention: training will not move it. A warning only.",
        """\
x: Input
w: Param = normal()
loss: Output = sign(x * w)
""",
        """\
x: Input
w: Param = normal()
loss: Output = tanh(x * w)
""",
    ),
}


def explain(code: str) -> str:
    """What an error code means, with an example, as text for people.

    Parameters
    ----------
    code : str
        As in the message, in upper or lower case.

    Raises
    ------
    ValueError
        When there is no such code.

    Examples
    --------
    >>> print(explain("gc402"))
    GC402: a file cannot be read
    <BLANKLINE>
    There is no such file, it may not be read, or it is not UTF-8 text.
    <BLANKLINE>
    Wrong:
    <BLANKLINE>
        graphc check digist.gc
    <BLANKLINE>
    Right:
    <BLANKLINE>
        graphc check digits.gc
    """
    name = code.upper()
    if name not in CODES:
        close = difflib.get_close_matches(name, CODES, n=3)
        raise ValueError(f"expected one of graphc's error codes, such as {', '.join(close or CODES)}; found {code!r}")
    found = CODES[name]
    paragraphs = [textwrap.fill(paragraph, 79) for paragraph in found.text.split("\n")]
    example, fix = (textwrap.indent(text.rstrip(), "    ") for text in (found.example, found.fix))
    return "\n\n".join([f"{name}: {found.title}", *paragraphs, "Wrong:", example, "Right:", fix])
