"""The documentation: pages in Markdown, and the generator of the reference among them."""
