"""Sphinx configuration: ``make docs`` builds the site into docs/_build/html."""

import sb3_breakout

project = "sb3_breakout"
author = "The sb3_breakout contributors"
copyright = f"2026, {author}"
version = release = sb3_breakout.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["wrap.css"]
html_title = f"sb3_breakout {version}"

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3  # links to headings, with the anchors that GitHub gives them
autodoc_mock_imports = ["ray"]  # optional

nb_execution_mode = "off"  # the tutorial shows the outputs it was saved with; a slow test runs it

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
