"""An engine's response, or an error, becomes the response to the client."""
