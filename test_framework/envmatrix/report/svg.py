"""Draw SVG images: names in them are text and nothing else, and a screen reader is told what they show."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, tostring

from envmatrix.report.text import inert


def image(width: int, height: int, title: str, description: str = "") -> Element:
    """Return an empty image, sizes in pixels; `title` is its name, `description` what it shows."""
    root = Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}", role="img")
    root.set("width", str(width))
    root.set("height", str(height))
    root.set("font-size", "11")
    root.set("font-family", "sans-serif")
    SubElement(root, "title").text = inert(title)
    if description:
        SubElement(root, "desc").text = inert(description)
    return root


def label(parent: Element, x: float, y: float, text: str, look: str = "", **attributes: str) -> None:
    """Add a text to an image; `look` is its class, and a name of an attribute has `_` for `-`."""
    element = SubElement(parent, "text", x=f"{x:g}", y=f"{y:g}")
    if look:
        element.set("class", look)
    for name, value in attributes.items():
        element.set(name.replace("_", "-"), value)
    element.text = inert(text)


def as_text(root: Element) -> str:
    """Return an image as the text of its file."""
    return tostring(root, encoding="unicode") + "\n"
