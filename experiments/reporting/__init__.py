"""The page of ``run.py report``: results drawn as HTML, PNG and W&B objects, without knowing the commands."""
