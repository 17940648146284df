"""How diagnostics look: full, concise, json, github; and that hostile model text stays harmless."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphc.diagnostics import Diagnostic, render
from graphc.source import Source, Span

MLP = Source("mlp.gc", "\n" * 4 + "W2: Param[64, 10] = glorot_uniform()\n\n\n\ns = h @ W2 + b2\n")
MATMUL = Diagnostic(
    "GC201",
    "matmul needs equal inner sizes, got 128 and 64",
    Span(MLP, 9, 5, 9, 11),
    "h has 128 columns, W2 has 64 rows",
    ((Span(MLP, 5, 1, 5, 14), "W2 is 64×10"),),
    "`W2: Param[128, 10]` makes the rest of the model fit",
)


def block(text: str) -> str:
    """A text block without its first line end and its indentation of four."""
    return "\n".join(line[4:] for line in text.strip("\n").rstrip().split("\n"))


def full(line: str, column: int, end_column: int, label: str = "") -> list[str]:
    """The lines of a one-line model's diagnostic from the source line on, without the gutter."""
    span = Span(Source("m.gc", line), 1, column, 1, end_column)
    return [row[5:] for row in render(Diagnostic("GC002", "no", span, label)).split("\n")[3:]]


def test_full_style_is_that_of_the_language_document() -> None:
    assert render(MATMUL) == block(
        """
    error[GC201]: matmul needs equal inner sizes, got 128 and 64
      --> mlp.gc:9:5
       |
     5 | W2: Param[64, 10] = glorot_uniform()
       | ------------- W2 is 64×10
     9 | s = h @ W2 + b2
       |     ^^^^^^ h has 128 columns, W2 has 64 rows
       = help: `W2: Param[128, 10]` makes the rest of the model fit
    """
    )


def test_gutter_is_as_wide_as_the_widest_number() -> None:
    source = Source("m.gc", "a = b\n" * 120)
    found = Diagnostic("GC101", "unknown", Span(source, 7, 5, 7, 6), "", ((Span(source, 119, 1, 119, 2), "here"),))
    assert render(found) == block(
        """
    error[GC101]: unknown
        --> m.gc:7:5
         |
       7 | a = b
         |     ^
     119 | a = b
         | - here
    """
    )


def test_marks_of_one_line_share_it() -> None:
    source = Source("m.gc", "y = x + z")
    related = ((Span(source, 1, 9, 1, 10), "z is 4"), (Span(source, 1, 5, 1, 6), "x is 3"))
    assert render(Diagnostic("GC202", "no", Span(source, 1, 5, 1, 10), "together", related)) == block(
        """
    error[GC202]: no
      --> m.gc:1:5
       |
     1 | y = x + z
       |     ^^^^^ together
       |     - x is 3
       |         - z is 4
    """
    )


def test_other_files_have_their_own_block() -> None:
    encoder = Source("encoder.gc", "\n\nX: Input[N, 64]")
    found = Diagnostic(
        "GC205", "no", Span(MLP, 9, 5, 9, 6), "128 here", ((Span(encoder, 3, 1, 3, 16), "64 here"),), "a\n  b"
    )
    assert render(found) == block(
        """
    error[GC205]: no
      --> mlp.gc:9:5
       |
     9 | s = h @ W2 + b2
       |     ^ 128 here
      --> encoder.gc:3:1
       |
     3 | X: Input[N, 64]
       | --------------- 64 here
       = help: a
                 b
    """
    )


def test_warning_without_a_place() -> None:
    assert render(Diagnostic("GC601", "nothing to do", severity="warning")) == "warning[GC601]: nothing to do"
    assert render(Diagnostic("GC402", "no file a.gc"), style="concise") == "error[GC402]: no file a.gc"


def test_span_over_several_lines() -> None:
    source = Source("m.gc", "y = (a\n\n     + b\n    )\n")
    assert render(Diagnostic("GC202", "no", Span(source, 1, 5, 4, 6), "all this")) == block(
        """
    error[GC202]: no
      --> m.gc:1:5
       |
     1 | y = (a
       |     ^^
     3 |      + b
       |      ^^^
     4 |     )
       |     ^ all this
    """
    )


def test_long_span_shows_its_ends() -> None:
    source = Source("m.gc", "\n".join(f"line{number}" for number in range(1, 101)))
    rows = render(Diagnostic("GC002", "no", Span(source, 1, 1, 100, 8), "end")).split("\n")[3:]
    assert [row for row in rows if "line" in row] == ["   1 | line1", "   2 | line2", "  99 | line99", " 100 | line100"]
    assert rows[-1] == "     | ^^^^^^^ end"


def test_tabs_take_four_columns() -> None:
    assert full("\tx\t= y", 2, 5) == ["    x    = y", "    ^^^^^^"]


def test_wide_and_combining_characters() -> None:
    assert full("名前 = 値 + é", 6, 7) == ["名前 = 値 + é", "       ^^"]
    assert full("e\u0301 = q", 6, 7) == ["e\u0301 = q", "    ^"]


def test_end_of_line_and_empty_spans_have_a_caret() -> None:
    assert full("y = ", 5, 5, "expected") == ["y =", "    ^ expected"]
    assert full("", 1, 1) == ["", "^"]


def test_long_line_is_cropped_around_the_span() -> None:
    line, underline = full("a" * 5000 + "bad" + "c" * 5000, 5001, 5004, "here")
    assert (line[0], line[-1], len(line)) == ("…", "…", 102)
    assert line[underline.index("^") :].startswith("bad")
    assert underline.strip() == "^^^ here"


def test_long_line_with_the_span_at_its_end() -> None:
    line, underline = full("a" * 5000 + "bad", 5001, 5004)
    assert line.endswith("aaabad")
    assert line[underline.index("^") :] == "bad"


def test_long_line_is_cropped_around_the_error_not_what_is_related() -> None:
    source = Source("m.gc", "first" + "a" * 5000 + "bad")
    found = Diagnostic("GC002", "no", Span(source, 1, 5006, 1, 5009), "here", ((Span(source, 1, 1, 1, 6), "there"),))
    line, there, here = (row[5:] for row in render(found).split("\n")[3:])
    assert line[here.index("^") :] == "bad"
    assert there == " - there"


def test_long_texts_are_cut() -> None:
    assert len(render(Diagnostic("GC101", "x" * 10**6), style="concise")) < 1100


def test_hostile_text_is_shown_escaped() -> None:
    source = Source("\x1b[2J.gc", "x = '\x1b[31m\u202e'\r\n")
    found = Diagnostic("GC002", "a\nb\x07", Span(source, 1, 5, 1, 11), "\x9b", hint="\x1b]0;title\x07")
    assert render(found).split("\n") == [
        r"error[GC002]: a\nb\x07",
        r"  --> \x1b[2J.gc:1:5",
        r"   |",
        r" 1 | x = '\x1b[31m\u202e'",
        r"   |     ^^^^^^^^^ \x9b",
        r"   = help: \x1b]0;title\x07",
    ]


def test_carriage_return_of_the_line_end_is_dropped() -> None:
    assert full("y = x\r", 5, 6) == ["y = x", "    ^"]


def test_color_wraps_and_changes_nothing_else() -> None:
    colored = render(MATMUL, color=True)
    assert "\x1b[1;31merror[GC201]\x1b[0m" in colored
    assert "\x1b[1;31m^^^^^^ h has 128 columns, W2 has 64 rows\x1b[0m" in colored
    plain = colored
    for code in ("0", "1", "1;31", "1;34", "1;36"):
        plain = plain.replace(f"\x1b[{code}m", "")
    assert plain == render(MATMUL)


def test_concise() -> None:
    expected = "mlp.gc:9:5: error[GC201]: matmul needs equal inner sizes, got 128 and 64"
    assert render(MATMUL, style="concise") == expected


def test_json_is_one_line_and_complete() -> None:
    text = render(MATMUL, style="json")
    assert "\n" not in text
    place = {"file": "mlp.gc", "line": 9, "column": 5, "end_line": 9, "end_column": 11}
    declared = {"file": "mlp.gc", "line": 5, "column": 1, "end_line": 5, "end_column": 14}
    assert json.loads(text) == {
        "severity": "error",
        "code": "GC201",
        "message": "matmul needs equal inner sizes, got 128 and 64",
        "place": place,
        "label": "h has 128 columns, W2 has 64 rows",
        "related": [{"place": declared, "label": "W2 is 64×10"}],
        "help": "`W2: Param[128, 10]` makes the rest of the model fit",
    }
    assert json.loads(render(Diagnostic("GC402", "no"), style="json"))["place"] is None


def test_github_escapes_what_ends_a_property_or_a_line() -> None:
    source = Source("a,b:c%.gc", "x = y")
    found = Diagnostic("GC101", "100% of\nx, y: unknown", Span(source, 1, 5, 1, 6), severity="warning")
    expected = "::warning file=a%2Cb%3Ac%25.gc,line=1,col=5,title=GC101::100%25 of%0Ax, y: unknown"
    assert render(found, style="github") == expected
    assert render(Diagnostic("GC402", "no", hint="try"), style="github") == "::error title=GC402::no%0Ahelp: try"


def test_unknown_style() -> None:
    with pytest.raises(ValueError, match=r"style is one of full, concise, json, github, got 'loud'"):
        render(MATMUL, style="loud")


@given(
    st.text(max_size=300),
    st.text(),
    st.tuples(*[st.integers(0, 320)] * 4),
    st.sampled_from(["full", "concise", "json", "github"]),
)
def test_any_text_and_any_span_print_safely(text: str, said: str, places: tuple[int, ...], style: str) -> None:
    span = Span(Source(said, text), *places)
    written = render(Diagnostic("GC002", said, span, said, ((span, said),), said), style=style)
    assert written.encode()
    assert all(character == "\n" or unicodedata.category(character)[0] != "C" for character in written)
