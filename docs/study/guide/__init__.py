"""What the chapters share: shown source, framed figures, exercises and their checks."""
