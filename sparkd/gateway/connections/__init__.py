"""The HTTP server: uvicorn's protocol with a few overrides."""
