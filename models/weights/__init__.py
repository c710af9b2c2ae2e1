"""Where weights come from: what ships, what a package brings, the hub; which files; hashes."""
