"""Reading of files: formats, downloads and archives, bounded and safe on broken files."""
