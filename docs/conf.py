"""Sphinx configuration."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import api_pages  # noqa: E402
from docutils import nodes  # noqa: E402
from docutils.utils.math.latex2mathml import tex2mathml  # noqa: E402

import harken  # noqa: E402

project = "Harken"
author = "The Harken developers"
project_copyright = "2026, The Harken developers"
version = release = harken.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "data", "plots"]
default_role = "py:obj"
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"Harken {release}"

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
# The reference builds without the optional packages too.
autodoc_mock_imports = api_pages.ABSENT
add_module_names = False
maximum_signature_line_length = 100
napoleon_use_rtype = False
# Fields named `bytes` make the type of that name ambiguous.
suppress_warnings = ["ref.python"]
html_math_renderer = "mathml"


def setup(app):
    """Write the reference pages, mend docstrings on their way into them, and set formulas without a web service."""
    api_pages.write_pages(HERE / "api")
    app.connect("autodoc-process-docstring", mend, priority=100)  # before napoleon
    app.add_html_math_renderer("mathml", inline_renderers=(formula, None), block_renderers=(formula, None))


def mend(app, what, name, obj, options, lines):
    """Turn one docstring into reStructuredText that means what was written."""
    lines[:] = map(api_pages.escape_bars, lines)
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]  # an empty comment, or napoleon takes the words before the first colon for a type


def formula(translator, node):
    """Set a formula as MathML, which browsers show without a script."""
    is_block = isinstance(node, nodes.math_block)
    mathml = tex2mathml(node.astext(), as_block=is_block)
    translator.body.append(f'<div style="padding: 0.5rem 0">{mathml}</div>' if is_block else mathml)
    raise nodes.SkipNode
