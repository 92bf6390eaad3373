"""The preset folder: its format, its reader, its writer and its card."""
