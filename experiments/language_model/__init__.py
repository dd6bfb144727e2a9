"""The study `language_model`: language models of words or characters."""
