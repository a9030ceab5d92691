"""Installs the client programs."""

from tests.clients.installing import install_all

install_all(print)
