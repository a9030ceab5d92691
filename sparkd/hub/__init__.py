"""Models on disk: finds out what is complete, and downloads the rest.

Reading needs neither the network nor huggingface_hub, which only the download process imports
(`python -m sparkd.hub`).
"""
