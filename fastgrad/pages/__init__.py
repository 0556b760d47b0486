"""Pages: the engine as WebAssembly, and single HTML files in which it runs."""
