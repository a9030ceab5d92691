"""Models on disk: what is there and whole, and how the rest is fetched.

Reading needs neither the network nor huggingface_hub, which only the process that downloads imports
(`python -m sparkd.hub`).
"""
