"""The command line: what goes to which stream, exit statuses, files, and that help is quick."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from click import UsageError
from click.testing import CliRunner, Result

from graphc.__main__ import run
from graphc.cli import main
from graphc.loading import source_of

ROOT = Path(__file__).parents[1]
FIGURE = "(x + y) * z"
MODEL = """\
X: Input[N, 3]
y: Input[N]
w: Param[3] = normal()
b: Param = zeros()
g = X @ w + b
loss: Output = mean((g - y) ** 2)
"""
BROKEN = "X: Input[N, 3]\nw: Param[4] = normal()\nloss: Output = mean(X @ w)\n"


def graphc(*arguments: str, input: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=input, prog_name="graphc", catch_exceptions=False)


def process(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "graphc", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.gc").write_text(MODEL)
    (tmp_path / "broken.gc").write_text(BROKEN)
    return tmp_path


def test_help_is_quick_because_nothing_heavy_is_imported() -> None:
    code = "import sys, graphc.cli; print(sorted({'sympy', 'networkx', 'numpy', 'graphviz'} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("command", ["", *main.commands])
def test_every_command_has_help_with_an_example(command: str) -> None:
    done = graphc(*command.split(), "--help")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()[1:]
    assert any(line.startswith(f"    graphc {command}") for line in lines)
    assert not any(line.endswith("...") for line in lines)


@pytest.mark.parametrize("command", main.commands)
def test_examples_of_help_with_an_expression_work(command: str, folder: Path) -> None:
    lines = [line.strip() for line in graphc(command, "--help").stdout.splitlines() if line.startswith("    graphc ")]
    for line in lines:
        words = shlex.split(re.sub("   +.*", "", line))[1:]
        if "-e" in words:
            done = graphc(*words)
            assert done.exit_code == 0, (line, done.stderr)


def test_an_interrupt_has_the_exit_status_of_shells(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("graphc.doctor.examine", interrupted)
    done = graphc("doctor")
    assert (done.exit_code, done.stderr) == (130, "interrupted\n")


@pytest.mark.parametrize("moment", ["graphc.cli.main", "graphc.cli._Commands.parse_args"])
def test_an_interrupt_in_the_first_moments_ends_as_later_ones(
    moment: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(moment, interrupted)
    with pytest.raises(SystemExit) as ended:
        run()
    assert (ended.value.code, capsys.readouterr().err) == (130, "interrupted\n")


@pytest.mark.parametrize("style", ["wire", "block"])
def test_draw_refuses_a_step_beyond_the_last(style: str) -> None:
    last = graphc("draw", "-e", FIGURE, "--style", style, "--step", "8")
    assert last.exit_code == 0, last.stderr
    done = graphc("draw", "-e", FIGURE, "--style", style, "--step", "99")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "error[GC403]: expected a step from 0 to 8, found 99" in done.stderr


def test_run_prints_no_warnings_of_numpy(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = graphc("run", "-e", "exp(x)", "--at", "x=1e10")
    assert (done.exit_code, done.stdout.splitlines()[0], done.stderr) == (0, "f = inf", "")


@pytest.mark.parametrize("content", [None, b"hello", b"PK\x03\x04hello", b""])
def test_run_says_which_file_of_arrays_is_wrong(content: bytes | None, folder: Path) -> None:
    if content is not None:
        (folder / "data.npz").write_bytes(content)
    done = graphc("run", "-e", "x * x", "--at", "data.npz")
    assert done.exit_code == 2
    assert "Error: expected" in done.stderr and "data.npz" in done.stderr


def test_run_prints_the_value_and_the_gradient_of_the_figure() -> None:
    done = graphc("run", "-e", FIGURE, "--at", "x=2,y=3,z=4")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "f = 20.0\n\ngradient of f\n  x = 4.0\n  y = 4.0\n  z = 5.0\n"
    assert done.stderr == ""


def test_run_checks_the_gradient() -> None:
    done = graphc("run", "-e", FIGURE, "--at", "x=2,y=3,z=4", "--check-grad")
    assert done.exit_code == 0, done.stderr
    assert "gradient against differences" in done.stdout


def test_run_takes_arrays_from_text_and_files(folder: Path) -> None:
    np.savez("data.npz", X=np.eye(3), y=np.arange(3.0))
    np.savez("params.npz", w=np.ones(3))
    done = graphc("run", "model.gc", "--at", "data.npz", "--at", "b=1", "--params", "params.npz")
    assert done.exit_code == 0, done.stderr
    assert "loss = 1.666666" in done.stdout
    assert "w = [1.333333 0.666667 0.      ]" in done.stdout


def test_run_uses_the_initialisers_and_their_seed(folder: Path) -> None:
    at = "X=[[1, 2, 3]], y=[1]"
    first, again, other = (graphc("run", "model.gc", "--at", at, "--seed", seed).stdout for seed in "001")
    assert first == again != other


def test_run_without_a_gradient_takes_what_the_outputs_need() -> None:
    model = "X: Input[N, 2]\nunused: Input\ns: Output = X * 2\n"
    done = graphc("run", "-", "--no-gradient", "--at", "X=[[1, 2]], unused=0", input=model)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "s = [[2. 4.]]\n"


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("x=2,y=3", "no value for input z, expected z=…"),
        ("x=2,y=3,zz=4,z=4", "the model has no input zz, it has x, y, z; did you mean z?"),
        ("x=2,y", "expected a number or a list of numbers for x, found '2,y'"),
        ("2", "expected NAME=VALUE or a .npz file, found '2'"),
        ("x=__import__('os').getcwd()", "expected a number or a list of numbers for x, found"),
        ("x='text'", "expected a number or a list of numbers for x, found"),
        ("x=[1,[2]]", "expected a number or a list of numbers for x, found"),
        ("x=2,y=3,z=4,x=5", "expected one value for x, found two in 'x=2,y=3,z=4,x=5'"),
        ("nothing.npz", "expected a file of arrays at nothing.npz, found none: no such file or directory"),
    ],
)
def test_wrong_values_are_wrong_use(at: str, said: str) -> None:
    done = graphc("run", "-e", FIGURE, "--at", at)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_a_folder_is_no_file_of_arrays(folder: Path) -> None:
    (folder / "data.npz").mkdir()
    done = graphc("run", "-e", FIGURE, "--at", "data.npz")
    assert (done.exit_code, "at data.npz, found none: is a directory" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("command", ["run", "demo", "train"])
def test_a_seed_is_not_negative(command: str) -> None:
    done = graphc(command, "--seed", "-1")
    assert (done.exit_code, "Invalid value for '--seed'" in done.stderr) == (2, True), done.stderr


def test_a_point_outside_of_the_domain_is_told_without_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = graphc("run", "-e", "log(x)", "--at", "x=-1", "--check-grad")
    assert (done.exit_code, "x: relative error nan  WRONG" in done.stdout) == (1, True), done.stderr


@pytest.mark.parametrize(
    ("command", "output", "said"),
    [
        ("compile", "model.gc", "expected a file of its own for -o, found that of the model: model.gc"),
        ("compile", "./model.gc", "found that of the model: ./model.gc"),
        ("report", "model.gc", "found that of the model: model.gc"),
        ("report", "data.npz", "found that of --at data.npz: data.npz"),
        ("compile", "none/m.py", "cannot write none/m.py: No such file or directory"),
        ("compile", "model.gc/m.py", "cannot write model.gc/m.py: No such file or directory"),
        ("compile", "", "cannot write a file without a name"),
        ("draw", "none/m.dot", "cannot write none/m.dot: No such file or directory"),
    ],
)
def test_no_result_is_written_over_what_is_read(folder: Path, command: str, output: str, said: str) -> None:
    np.savez("data.npz", X=np.eye(3), y=np.arange(3.0))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    at = () if command == "compile" else ("--at", "data.npz")
    done = graphc(command, "model.gc", *at, "-o", output)
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_device_is_named() -> None:
    done = graphc("compile", "-e", FIGURE, "-o", "/dev/full")
    assert (done.exit_code, "cannot write /dev/full: No space left on device" in done.stderr) == (2, True), done.stderr


def test_closed_standard_input_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphc.loading.sys.stdin", None)
    with pytest.raises(UsageError, match="expected a model on standard input, which is closed"):
        source_of("-", None)


def test_data_of_another_shape_is_an_error_of_the_generated_module(folder: Path) -> None:
    done = graphc("run", "model.gc", "--at", "X=[[1, 2]], y=[1]")
    assert done.exit_code == 2
    assert "X has shape (1, 2), expected (N, 3)" in done.stderr


def test_npz_files_are_read_without_pickle(folder: Path) -> None:
    np.savez("evil.npz", x=np.array([{}], dtype=object))
    done = graphc("run", "-e", FIGURE, "--at", "evil.npz")
    assert done.exit_code == 2
    assert "expected arrays of numbers saved by numpy.savez in evil.npz" in done.stderr


def test_check_of_good_and_bad_models(folder: Path) -> None:
    assert graphc("check", "model.gc").exit_code == 0
    done = graphc("check", "model.gc", "broken.gc")
    assert done.exit_code == 1
    assert "error[GC201]" in done.stdout
    assert "broken.gc:3:21" in done.stdout
    assert done.stderr == "1 of 2 models fine\n"


def test_check_in_the_formats_for_machines(folder: Path) -> None:
    found = json.loads(graphc("check", "broken.gc", "--output-format", "json").stdout)
    assert found["code"] == "GC201"
    github = graphc("check", "broken.gc", "--output-format", "github")
    assert github.stdout.startswith("::error file=broken.gc,line=3")
    assert github.stderr == ""
    concise = graphc("check", "broken.gc", "--output-format", "concise").stdout
    assert concise.startswith("broken.gc:3:21: error[GC201]")
    assert concise.count("\n") == 1


def test_check_writes_nothing(folder: Path) -> None:
    before = sorted(os.listdir())
    graphc("check", "model.gc")
    assert sorted(os.listdir()) == before


def test_a_missing_file_is_wrong_use(folder: Path) -> None:
    done = graphc("check", "nothing.gc")
    assert done.exit_code == 2
    assert "GC402" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("check",),
        ("compile",),
        ("compile", "model.gc", "-e", FIGURE),
        ("explain", "GC999"),
        ("compile", "model.gc", "-o", "no/such/folder/out.py"),
        ("draw", "model.gc", "-o", "picture.bmp"),
        ("draw", "model.gc", "--no-gradient", "--view", "joint"),
        ("draw", "model.gc", "--frames"),
        ("draw", "model.gc", "--frames", "-o", "picture.png"),
        ("draw", "model.gc", "--frames", "-o", "picture-{step}.txt"),
        ("draw", "model.gc", "--frames", "-o", "picture.svg", "--step", "0"),
        ("draw", "model.gc", "--frames", "-o", "picture.svg", "--view", "diff"),
        ("show", "model.gc", "--no-gradient", "--compiled"),
        ("frobnicate",),
    ],
    ids=" ".join,
)
def test_wrong_use(arguments: tuple[str, ...], folder: Path) -> None:
    done = graphc(*arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr != ""
    assert sorted(os.listdir()) == ["broken.gc", "model.gc"]


def test_compile_writes_a_module(folder: Path) -> None:
    done = graphc("compile", "model.gc", "-o", "model.py")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    assert Path("model.py").read_text() == graphc("compile", "model.gc").stdout
    assert "def value_and_grad(" in Path("model.py").read_text()
    assert sorted(os.listdir()) == ["broken.gc", "model.gc", "model.py"]


def test_compile_keeps_the_old_file_when_the_model_is_wrong(folder: Path) -> None:
    Path("out.py").write_text("old")
    done = graphc("compile", "broken.gc", "-o", "out.py")
    assert done.exit_code == 1
    assert "GC201" in done.stderr
    assert Path("out.py").read_text() == "old"


def test_compile_takes_standard_input_and_wrt() -> None:
    done = graphc("compile", "-", "--wrt", "x, z", input=FIGURE)
    assert done.exit_code == 0, done.stderr
    assert "d_x" in done.stdout or "'x'" in done.stdout
    assert "'y'" not in done.stdout


def test_text_that_ends_like_a_file_name_is_text() -> None:
    done = graphc("check", "-", input="x: Input\nf: Output = x * 2  # see model.gc")
    assert done.exit_code == 0, done.stdout


def test_standard_input_is_utf8() -> None:
    assert graphc("check", "-", input=b"\xff\xfe").exit_code == 2


def test_show_lists_the_graph_as_written(folder: Path) -> None:
    done = graphc("show", "-e", "((x + y) + (x * y)) * z")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.count("= add(") == 2
    assert "d_x" in graphc("show", "-e", FIGURE, "--joint").stdout
    assert "d_x" in graphc("show", "-e", FIGURE, "--compiled").stdout
    assert json.loads(graphc("show", "model.gc", "--json").stdout)["outputs"].keys() == {"loss"}


def test_show_needs_no_loss(folder: Path) -> None:
    Path("scores.gc").write_text("X: Input[N, 2]\ns: Output = X * 2\nt: Output = X + 1\n")
    assert graphc("show", "scores.gc").exit_code == 0
    assert graphc("draw", "scores.gc", "--view", "forward").exit_code == 0


def test_show_says_which_rules_fired() -> None:
    done = graphc("show", "-e", "log(1 - sigmoid(z))", "--rewrites")
    assert done.exit_code == 0, done.stderr
    fails = "log(0) once sigmoid(x) rounds to 1, above x = 37"
    assert done.stdout.splitlines()[0].split(maxsplit=2) == ["log_of_complement", "<model>:1:1", fails]
    rows = json.loads(graphc("show", "-e", "log(1 - sigmoid(z))", "--rewrites", "--json").stdout)
    assert rows[0] == {"rule": "log_of_complement", "place": "<model>:1:1", "fails": fails, "did": ""}


def test_show_says_what_other_passes_did() -> None:
    text = "x: Input[N]; y: Input[N]; loss: Output = sum(exp(tanh(x * y) * x) * y)"
    done = graphc("show", "-e", text, "--rewrites")
    assert re.search(r"^minimum_cut +<model>:1:\d+  forward keeps exp for backward$", done.stdout, re.MULTILINE)
    assert "blocks" not in done.stdout
    assert "rows of N: " in graphc("show", "-e", text, "--rewrites", "--optimize", "speed").stdout
    assert graphc("show", "-e", "x * 2", "--no-gradient", "--rewrites").stdout == "no rule fired\n"


def test_show_says_what_is_guarded() -> None:
    done = graphc("show", "-e", "where(x > 0, log(x), 0)", "--rewrites")
    assert "guarded the branch of where that is not taken: log  <model>:1:14\n" in done.stdout
    done = graphc("show", "-e", "sqrt(relu(x))", "--rewrites")
    assert "guarded 0 from being multiplied by infinity: relu  <model>:1:6\n" in done.stdout


@pytest.mark.parametrize(("conventions", "slope"), [("graphc", "0"), ("torch", "0"), ("jax", "1")])
def test_conventions_of_run_and_compile(conventions: str, slope: str) -> None:
    options = ("-e", "abs(x)", "--conventions", conventions)
    assert f"  x = {slope}.0\n" in graphc("run", *options, "--at", "x=0").stdout
    assert f"at kinks abs'(0) = {slope}\n" in graphc("compile", *options).stdout
    joint = graphc("show", *options, "--joint").stdout
    assert ("sign" in joint) is (slope == "0")
    assert ("sign" in graphc("draw", *options, "--style", "block").stdout) is (slope == "0")


def test_unknown_conventions_are_wrong_use() -> None:
    done = graphc("compile", "-e", "abs(x)", "--conventions", "pytorch")
    assert done.exit_code == 2
    assert "'graphc', 'torch', 'jax'" in done.stderr


def test_draw_to_standard_output_and_to_a_file(folder: Path) -> None:
    text = graphc("draw", "model.gc", "--view", "gradient").stdout
    assert text.count("digraph") == 1
    assert graphc("draw", "model.gc", "-o", "model.dot").exit_code == 0
    assert Path("model.dot").read_text(encoding="utf-8") == graphc("draw", "model.gc").stdout


def test_draw_goes_through_the_steps(folder: Path) -> None:
    done = graphc("draw", "-e", FIGURE, "--at", "x=2,y=3,z=4", "--frames", "-o", "f-{step}.dot")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    files = sorted(name for name in os.listdir() if name.startswith("f-"))
    assert files[:2] == ["f-0.dot", "f-1.dot"]
    one = graphc("draw", "-e", FIGURE, "--at", "x=2,y=3,z=4", "--step", "1").stdout
    assert Path("f-1.dot").read_text(encoding="utf-8") == one
    assert "{step}" in graphc("draw", "--help").stdout


def test_explain_and_its_list() -> None:
    assert "Wrong:" in graphc("explain", "gc201").stdout
    assert "GC201  " in graphc("explain").stdout


def test_doctor_finds_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    done = graphc("doctor")
    assert done.exit_code == 0, done.stdout
    for name in ("numpy", "sympy", "networkx", "graphviz", "click", "pygraphviz", "dot", "matplotlib", "pyarrow"):
        assert f"\n{name} " in f"\n{done.stdout}"
    monkeypatch.setattr("graphc.backends.drawing.layout_engine", lambda: None)
    without = graphc("doctor")
    assert without.exit_code == 0
    assert 'pip install "pygraphviz>=2.0"' in without.stdout


def test_broken_pipes_are_quiet() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = f'"{sys.executable}" -m graphc explain | head -n 1'
    done = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from graphc.diagnostics import Diagnostic
    from graphc.loading import print_diagnostics

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def shown(stream: io.StringIO) -> str:
        print_diagnostics([Diagnostic("GC402", "no file")], "full", stream)
        return stream.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[" in shown(Terminal())
    assert "\x1b[" not in shown(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in shown(Terminal())


def test_python_m_graphc_is_the_same_program() -> None:
    done = process("run", "-e", FIGURE, "--at", "x=2,y=3,z=4")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("f = 20.0\n")
    assert process("--version").stdout.startswith("graphc")


def test_derivatives_and_sizes_on_the_command_line(folder: Path) -> None:
    text = "x: Input[N]; y: Input[M]; r: Output = x[1:] * sum(y); loss: Output = sum(r ** 2)"
    result = graphc("compile", "-e", text, "--with", "hvp,sparse_jacobian", "--of", "r", "--size", "N=4,M=3")
    assert result.exit_code == 0, result.output
    assert "Options: --of r --size N=4, M=3 --with sparse_jacobian, hvp\n" in result.stdout
    assert "def hvp(v, x, y):" in result.stdout and "values: float64[12]" in result.stdout


@pytest.mark.parametrize("size", ["N", "N=", "=3", "N=-1", "N=x"])
def test_a_size_that_is_none(size: str) -> None:
    result = graphc("compile", "-e", "x: Input[N]; f: Output = sum(x)", "--size", size)
    assert result.exit_code == 2 and "expected a size such as N=10 for --size" in result.stderr
