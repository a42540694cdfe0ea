"""Elements of a page: built as a tree, so that whatever a name holds it stays a text and never becomes part of the page."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from cic.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def element(tag: str, *children: Element | str, **attributes: str | float) -> Element:
    """An element with its children in order, texts among them.

    Attributes that are words of Python end in an underscore, and an underscore within stands for a hyphen (`class_`,
    `stroke_width`). Numbers are rounded to a hundredth.
    """
    made = Element(tag, {name.rstrip("_").replace("_", "-"): _attribute(value) for name, value in attributes.items()})
    return extend(made, children)


def extend(parent: Element, children: Iterable[Element | str]) -> Element:
    """Append children to an element; returns it."""
    for child in children:
        if isinstance(child, Element):
            parent.append(child)
        elif len(parent):
            parent[-1].tail = (parent[-1].tail or "") + printable(child)
        else:
            parent.text = (parent.text or "") + printable(child)
    return parent


def number(value: float) -> str:
    """A coordinate, as short as it can be."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else str(int(value))


def _attribute(value: str | float) -> str:
    return printable(value) if isinstance(value, str) else number(value)
