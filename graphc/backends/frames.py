"""Pictures step by step: the DOT texts of the steps of a graph, and an SVG that goes through its frames in a loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import groupby, pairwise
from typing import Unpack
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from graphc.backends.dot import Drawn, Look, dot, step_count, subject
from graphc.changes import Change
from graphc.diagnostics import Diagnostic
from graphc.errors import GraphcError

MOST_FRAMES = 400
"""Of one model; more take minutes to draw and to watch."""
_SECONDS, _HOLD = 1.2, 4.8
"""How long a frame is shown, and the last one."""
_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"


def step_texts(drawn: Drawn, title: str, **look: Unpack[Look]) -> tuple[str, ...]:
    """The DOT texts after 0, 1, … and all steps of what is drawn; places and sizes are the same in all.

    Raises
    ------
    GraphcError
        GC403 for a diff, which has no steps, and when one step is asked for; GC401 for too many steps.
    """
    if isinstance(drawn, Change) or look.get("view") == "diff":
        raise GraphcError(Diagnostic("GC403", "expected a view with steps for frames, found diff"))
    if look.get("step") is not None:
        raise GraphcError(Diagnostic("GC403", f"expected all steps for frames, found step {look['step']}"))
    count = step_count(subject(drawn), look.get("view"))
    if count >= MOST_FRAMES:
        hint = "`step` shows what is known after one of them"
        message = f"a picture goes through fewer than {MOST_FRAMES} steps, found {count}"
        raise GraphcError(Diagnostic("GC401", message, hint=hint))
    looks = (Look(**{**look, "step": step}) for step in range(count + 1))
    return tuple(dot(drawn, title=title, **look) for look in looks)


def without_repeats(texts: Sequence[str]) -> tuple[str, ...]:
    """The texts without those that equal the one before: steps that a folded picture does not show."""
    return (*texts[:1], *(text for before, text in pairwise(texts) if text != before))


def animated(frames: Sequence[bytes]) -> bytes:
    """An SVG that shows SVGs of one layout in turn, for ever; the last one stays longer.

    What is the same in all is there once, the rest once for each run of frames that share it. Where nothing moves (in
    print, for readers who want less motion, in programs without CSS animations) it is the last frame.

    Parameters
    ----------
    frames : sequence of bytes
        Graphviz's SVG of each.
    """
    roots = [ElementTree.fromstring(frame) for frame in frames]
    root, name = roots[-1], f"frames-{sha256(b''.join(frames)).hexdigest()[:8]}"
    (page,) = root.findall(f"{_SVG}g")
    moments: dict[str, tuple[int, int]] = {}
    pages = [found.findall(f"{_SVG}g")[0] for found in roots]
    for place, versions in enumerate(zip(*pages, strict=True)):
        runs = list(_runs(versions))
        if len(runs) > 1:
            page[place] = _in_turn(versions[-1], runs, name)
            moments |= {_moment(name, start, stop): (start, stop) for start, stop, _ in runs}
    root.set("class", name)
    style = Element(f"{_SVG}style")
    style.text = _css(name, moments, len(frames))
    root.insert(0, style)
    return _written(root)


def _runs(versions: Sequence[Element]) -> Iterator[tuple[int, int, Element]]:
    """The frames from ``start`` to before ``stop`` that share a version."""
    position = 0
    for _, group in groupby(versions, ElementTree.tostring):
        shared = list(group)
        yield position, position + len(shared), shared[0]
        position += len(shared)


def _in_turn(last: Element, runs: Sequence[tuple[int, int, Element]], name: str) -> Element:
    """A group of Graphviz's that holds all its versions, of which only the last is visible without an animation."""
    turned = Element(last.tag, last.attrib)
    turned.extend(last.findall(f"{_SVG}title"))
    for start, stop, version in runs:
        shown = SubElement(turned, f"{_SVG}g", {"class": _moment(name, start, stop)})
        if version is not runs[-1][2]:
            shown.set("visibility", "hidden")
        shown.extend(part for part in version if part.tag != f"{_SVG}title")
        for part in shown.iter():
            # An id is there once in a file.
            part.attrib.pop("id", None)
    return turned


def _moment(name: str, start: int, stop: int) -> str:
    """The class of what is visible in some frames: as styles hold for all of a page, it says of which picture."""
    return f"{name}-{start}-{stop}"


def _css(name: str, moments: dict[str, tuple[int, int]], count: int) -> str:
    """The animations; pointing at the picture stops them."""
    total = (count - 1) * _SECONDS + _HOLD
    rules = []
    for moment, (start, stop) in sorted(moments.items(), key=lambda item: item[1]):
        frames = {0.0: "hidden", start * _SECONDS / total: "visible"}
        if stop < count:
            frames[stop * _SECONDS / total] = "hidden"
        keys = "".join(f"{100 * share:.3f}%{{visibility:{value}}}" for share, value in frames.items())
        rules.append(f"@keyframes {moment}{{{keys}}}")
        rules.append(f".{moment}{{animation:{moment} {total:.1f}s step-end infinite}}")
    rules.append(f".{name}:hover g{{animation-play-state:paused}}")
    body = "\n".join(rules)
    return f"\n@media screen and (prefers-reduced-motion:no-preference){{\n{body}\n}}\n"


def _written(root: Element) -> bytes:
    """The file, in which SVG is the namespace without a prefix."""
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        for attribute in [found for found in element.attrib if found.startswith(_XLINK)]:
            element.set(f"xlink:{attribute.removeprefix(_XLINK)}", element.attrib.pop(attribute))
    root.attrib |= {"xmlns": _SVG.strip("{}"), "xmlns:xlink": _XLINK.strip("{}")}
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"
