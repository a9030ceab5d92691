"""The folders of models and runtimes, and downloads into them: what `pull`, `models` and `rm` share."""
