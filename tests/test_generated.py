"""Modules as files: re-opened from the graph in them, and compared with what their source gives today."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import graphc
from graphc.cli import main
from graphc.generated import difference, load

MODEL = (
    '"""A line."""\nx: Input[N]\nw: Param = normal()\nh = w * x\nloss: Output = sum(h ** 2)\nlast: Output = mean(h)\n'
)
OPTIONS: dict[str, dict[str, object]] = {
    "plain": {},
    "loss": {"loss": "last"},
    "one of a sequence": {"loss": ["last"]},
    "sequence": {"loss": ["last", "loss"]},
    "wrt": {"wrt": ["x", "w"], "with_": ["flat", "check"]},
    "many": {"wrt": ["w", "h", "x"], "dtype": "float32", "training": False},
    "no gradient": {"gradient": False},
    "conventions": {"conventions": "jax", "dtype": "float32"},
    "derivatives": {"with_": ["hvp", "jacobian", "flat", "gauss_newton"], "of": "last"},
    "sparse": {"with_": ["sparse_jacobian"], "sizes": {"N": 4}, "wrt": ["x"]},
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "line.gc"
    path.write_text(MODEL, encoding="utf-8")
    return path


def written(model: Path, **options: object) -> Path:
    return graphc.compile(model, **options).write(model.with_suffix(".py"))  # type: ignore[arg-type]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_modules_are_up_to_date_with_their_options(model: Path, options: dict[str, object]) -> None:
    assert difference(written(model, **options)) == ""


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_loading_gives_the_same_bytes(model: Path, options: dict[str, object]) -> None:
    extras = [*options.get("with_", ()), "graph"]  # type: ignore[misc]
    module = written(model, **{**options, "with_": extras})
    model.unlink()
    assert load(module).source_text == module.read_text(encoding="utf-8")


def test_odd_characters_travel(tmp_path: Path) -> None:
    text = '"""Says \'\'\'this\'\'\' \\\\d\\x00 "é"."""\nx: Input\nloss: Output = x * x  # \\ """ \\N{DASH} \t\x0b"'
    path = tmp_path / "odd.gc"
    path.write_text(text, encoding="utf-8")
    module = written(path, with_=["graph"])
    assert load(module).source_text == module.read_text(encoding="utf-8")


def test_extras_leave_no_name_unused_or_undefined(model: Path) -> None:
    if importlib.util.find_spec("ruff") is None:
        pytest.skip("ruff is not installed")
    module = written(model, wrt=["x", "w"], with_=["flat", "check", "graph"])
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F", str(module)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_a_changed_model_shows_in_the_difference(model: Path) -> None:
    module = written(model)
    model.write_text(MODEL.replace("h ** 2", "h ** 4"), encoding="utf-8")
    result = run("check", module)
    assert result.exit_code == 1
    assert "--- line.py\n+++ line.py from line.gc today\n@@ " in result.stdout
    assert "-    # loss: Output = sum(h ** 2)  [line.gc:5]\n" in result.stdout
    assert "+    # loss: Output = sum(h ** 4)  [line.gc:5]\n" in result.stdout


def test_an_edited_module_shows_in_the_difference(model: Path) -> None:
    module = written(model)
    module.write_text(module.read_text(encoding="utf-8").replace("w * x", "x * w"), encoding="utf-8")
    assert "+    h = w * x\n" in difference(module)


def test_up_to_date_on_the_command_line(model: Path) -> None:
    module = written(model)
    result = run("check", module)
    assert (result.exit_code, result.stdout) == (0, f"{module} is up to date\n")


def test_the_source_may_be_elsewhere(model: Path, tmp_path: Path) -> None:
    module = written(model)
    (tmp_path / "models").mkdir()
    moved = model.rename(tmp_path / "models" / "line.gc")
    assert run("check", module, "--source", moved).exit_code == 0


def test_a_missing_source_is_named_with_its_place(model: Path) -> None:
    module = written(model)
    model.unlink()
    result = run("check", module, "--output-format", "concise")
    assert result.exit_code == 1
    assert "line.py:3:1: error[GC413]: expected the model at" in result.stdout.replace(" GC413", " error[GC413]")


def refusal(action: object, *arguments: object) -> graphc.Diagnostic:
    with pytest.raises(graphc.GraphcError) as caught:
        action(*arguments)  # type: ignore[operator]
    (found,) = caught.value.diagnostics
    return found


def test_a_module_of_text_has_no_source(tmp_path: Path) -> None:
    module = graphc.compile("x * y").write(tmp_path / "f.py")
    found = refusal(difference, module)
    assert found.code == "GC413" and found.message.startswith("expected a module compiled from a file")


def test_a_module_without_graph_cannot_be_loaded(model: Path) -> None:
    found = refusal(load, written(model))
    assert found.code == "GC412" and found.span is not None and found.span.line == 1
    assert "compile it with `--with graph`" in found.message


def test_a_module_in_place_of_its_model_is_one_error(model: Path, tmp_path: Path) -> None:
    module = written(model)
    message = "expected a model, found a module that graphc generated from line.gc"
    for text in (module.read_text(encoding="utf-8"), f"{module.read_text(encoding='utf-8')}def (:"):
        module.write_text(text, encoding="utf-8")
        result = run("show", module, "--output-format", "concise")
        assert (result.exit_code, result.stderr) == (1, f"line.py:3:1: error[GC420]: {message}\n")
        assert refusal(graphc.compile, module).hint == f"its model is {model}"
    model.unlink()
    assert refusal(graphc.compile, module).hint == ""
    assert refusal(graphc.compile, module.read_text(encoding="utf-8")).hint == ""
    plain = graphc.compile("x * y").write(tmp_path / "f.py")
    found = refusal(graphc.compile, plain)
    assert found.message == "expected a model, found a module that graphc generated from a text"
    assert found.span is not None and (found.span.line, found.span.column) == (1, 1)
    plain.write_text(plain.read_text(encoding="utf-8").replace("<model>", "a" * 5000), encoding="utf-8")
    assert refusal(graphc.compile, plain).hint == ""


NOT_MODULES = {
    "another's": ('"""By hand."""\n', "GC412", 1),
    "no Python": ("x = 1\ny = (\n", "GC412", 2),
}


@pytest.mark.parametrize(("text", "code", "line"), NOT_MODULES.values(), ids=NOT_MODULES)
def test_other_files_are_refused(tmp_path: Path, text: str, code: str, line: int) -> None:
    (tmp_path / "m.py").write_text(text, encoding="utf-8")
    for action in (load, difference):
        found = refusal(action, tmp_path / "m.py")
        assert found.span is not None
        assert (found.code, found.span.line) == (code, line)


def test_a_spoilt_graph_is_refused_at_its_line(model: Path) -> None:
    module = written(model, with_=["graph"])
    text = module.read_text(encoding="utf-8")
    module.write_text(text.replace("= mul(%1, %0)", "= mull(%1, %0)"), encoding="utf-8")
    found = refusal(load, module)
    assert found.span is not None
    assert "mull(%1, %0)" in found.span.text and found.code == "GC412"


def test_a_missing_module(tmp_path: Path) -> None:
    assert refusal(load, tmp_path / "none.py").code == "GC402"
    assert run("check", tmp_path / "none.py").exit_code == 2


def test_a_stale_module_in_json(model: Path) -> None:
    module = written(model)
    model.write_text(MODEL + "# more\n", encoding="utf-8")
    result = run("check", module, "--output-format", "json")
    assert result.exit_code == 1 and "GC414" in result.stdout


def test_loading_runs_nothing(model: Path, tmp_path: Path) -> None:
    module = written(model, with_=["graph"])
    text = module.read_text(encoding="utf-8") + f"\nopen({str(tmp_path / 'ran')!r}, 'w')\n"
    module.write_text(text, encoding="utf-8")
    load(module)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("extras", ["flat,check", "check, flat"])
def test_extras_on_the_command_line(model: Path, extras: str) -> None:
    result = run("compile", model, "--with", extras)
    assert result.exit_code == 0
    assert "Options: --with flat, check\n" in result.stdout and "def pack(" in result.stdout
