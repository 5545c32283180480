"""The site that `make docs` builds, with Sphinx: the pages of docs/ and a reference from docstrings.

No page asks another host for anything: system fonts, mathematics as MathML. Links to files of the repository lead to
a page that shows the file, so that a link is the same here and where the repository is read.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import posixpath
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import BashLexer, TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx import addnodes
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]

project = "InfoGAN on NumPy"
copyright = "the InfoGAN on NumPy authors"
version = release = importlib.metadata.version("infogan")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "index"
exclude_patterns = ["images", "study/__marimo__"]
suppress_warnings = ["myst.header"]  # a page may be included whose headings begin lower

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
default_role = "py:obj"  # a name in backticks is a link where the reference has it, and code where not
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 140
add_module_names = False
html_math_renderer = "mathml"

html_theme = "furo"
html_title = project
html_copy_source = False

SHOWN: set[Path] = set()
"""Files and folders of the repository that a page links to."""


def readme_from_here(_: Sphinx, path: Path, parent: str, content: list[str]) -> None:
    """The README is the start page: its links, relative to the repository, made relative to docs/."""
    if path == Path("../README.md"):
        content[0] = re.sub(
            r"\]\((?!https?:|#)([^)#]+)", lambda link: "](" + posixpath.relpath(link[1], "docs"), content[0]
        )


def titled(_: Sphinx, page: str, content: list[str]) -> None:
    """The table of symbols stands without a heading where a chapter folds it out; a page has one."""
    if page == "study/notation":
        content[0] = "# Notation\n\n" + content[0]


def shown_page(path: Path) -> str:
    """The page that shows a file or folder of the repository."""
    return "source/" + path.relative_to(ROOT).as_posix()


def link_sources(app: Sphinx, tree: nodes.document) -> None:
    """Links to files and folders of the repository, which are no pages, become links to a page that shows them."""
    page = app.env.docname
    for kind in (addnodes.download_reference, addnodes.pending_xref):
        for link in list(tree.findall(kind)):
            target = (Path(app.env.doc2path(page)).parent / link["reftarget"]).resolve()
            if kind is addnodes.pending_xref and (link.get("refdomain") or not target.is_dir()):
                continue
            if not (target.exists() and target.is_relative_to(ROOT)):
                continue
            SHOWN.add(target)
            uri = app.builder.get_relative_uri(page, shown_page(target))
            link.replace_self(nodes.reference("", "", *link.children, refuri=uri, internal=True))


def shown_files(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """A page for each file linked to, and for each folder with the files it holds."""
    folders = {path for path in SHOWN if path.is_dir()}
    inside = {folder: sorted(p for p in folder.rglob("*.py") if "__pycache__" not in p.parts) for folder in folders}
    for path in sorted((SHOWN - folders).union(*inside.values())):
        try:
            lexer = get_lexer_for_filename(path.name)
        except ClassNotFound:
            lexer = TextLexer()
        code = highlight(path.read_text(encoding="utf-8"), lexer, HtmlFormatter(nowrap=True))
        yield as_page(path, f'<div class="highlight"><pre>{code}</pre></div>')
    for folder, files in inside.items():
        here = shown_page(folder)
        links = (
            f'<li><a href="{app.builder.get_relative_uri(here, shown_page(f))}">{f.relative_to(folder)}</a></li>'
            for f in files
        )
        yield as_page(folder, f"<ul>{''.join(links)}</ul>")


def as_page(path: Path, body: str) -> tuple[str, dict[str, Any], str]:
    """`body` under the name of what it shows, as the theme lays out a page."""
    name = escape(path.relative_to(ROOT).as_posix())
    return shown_page(path), {"title": name, "body": f"<h1><code>{name}</code></h1>{body}"}, "page.html"


def laid_out(_: Sphinx, what: str, name: str, thing: Any, options: object, lines: list[str]) -> None:
    """Docstrings are plain text: what would be markup by chance is escaped, what stands indented is kept so."""
    if what == "method" and not any(lines):
        lines[:] = [f"`minigrad.nn.functional.{name.rpartition('.')[2]}` of this tensor."]
    function = inspect.unwrap(thing) if callable(thing) else None
    arguments = inspect.signature(function).parameters if inspect.isfunction(function) else {}
    parts: list[str] = []
    kept = False
    for part in "\n".join(lines).strip("\n").split("\n\n"):
        before, kept = kept, part.startswith("  ")
        if kept:
            parts.append(part if before else "::\n\n" + part)
        else:
            parts.append(as_list(escaped(part, set(arguments))))
    lines[:] = [*"\n\n".join(parts).split("\n"), ""]


def escaped(text: str, arguments: set[str]) -> str:
    """A bar or a star outside backticks means itself: |x|, u * v. In them, a name not of an argument may be a link."""
    words = re.split(r"(?<!`)(`[^`]+`)(?!`)", text)
    words[::2] = [re.sub(r"(?<!\*)[*](?!\*)|[|]", r"\\\g<0>", word) for word in words[::2]]
    words[1::2] = [w if re.fullmatch(r"`\w[\w.]+`", w) and w[1:-1] not in arguments else f"`{w}`" for w in words[1::2]]
    return "".join(words)


def as_list(text: str) -> str:
    """Lines `name: meaning`, continued further in, as a list; sections (`Raises:`) and lists stay what they are."""
    if "\n  " not in text or re.match(r"[A-Z]\w+:\n|[-*\d]", text):
        return text
    return re.sub(r"^(?=\S)", "- ", re.sub(r"^ +", "  ", text, flags=re.M), flags=re.M)


def inline_mathml(self: Any, node: nodes.math) -> None:
    """An equation in a line, which every current browser lays out by itself."""
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def block_mathml(self: Any, node: nodes.math_block) -> None:
    """An equation on its own."""
    self.body.append(convert(node.astext(), display="block"))
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_html_math_renderer("mathml", (inline_mathml, None), (block_mathml, None))
    app.add_lexer("ipython", BashLexer)  # a notebook's cell: mostly commands
    app.connect("include-read", readme_from_here)
    app.connect("source-read", titled)
    app.connect("doctree-read", link_sources, priority=400)  # before Sphinx copies what is linked to
    app.connect("html-collect-pages", shown_files)
    app.connect("autodoc-process-docstring", laid_out, priority=400)  # before sections are read
    return {"parallel_read_safe": False}
