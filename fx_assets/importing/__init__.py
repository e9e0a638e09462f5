"""From price files to declarations: looks, asks what the files do not tell, and writes YAML."""
