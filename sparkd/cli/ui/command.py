"""`sparkctl ui`: give the page of this machine a port on this computer, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import webbrowser
from typing import Final

from sparkd.cli import exit_codes
from sparkd.cli.output.messages import print_json, print_line, print_note
from sparkd.cli.ui.bridge import Bridge, listen
from sparkd.control.client import ControlClient, find_socket
from sparkd.errors import SparkdError

PREFERRED_PORT: Final = 8010


def run(arguments: argparse.Namespace) -> int:
    """Print the address of the page, and serve it until Ctrl-C. Fails if no daemon runs."""
    control_socket = find_socket(arguments.socket, arguments.catalogue)
    with ControlClient(control_socket) as client:
        client.status()  # a daemon that does not run, or a socket of another user, is an error now
    try:
        listeners = listen(arguments.port, PREFERRED_PORT)
    except OSError as error:
        message = (
            f"cannot listen on port {arguments.port} of localhost: {error.strerror}. Use another --port."
        )
        raise SparkdError(message) from error
    port = listeners[0].getsockname()[1]
    url = f"http://localhost:{port}/ui/"
    ssh = f"ssh -L {port}:{control_socket} {_describe_host()}"
    if arguments.json:
        print_json({"url": url, "ssh": ssh})
    else:
        print_line(f"The page is at {url} until Ctrl-C, for {_describe_users()} on this machine.")
        print_line(f"From another machine: run `{ssh}` there, and open {url} there.")
    if arguments.open:
        _open_browser(url)
    asyncio.run(Bridge(control_socket, allowed_users()).serve(listeners))
    return exit_codes.SUCCESS


def allowed_users() -> set[int]:
    """The user who runs this, also if that is root by sudo."""
    users = {os.geteuid()}
    if os.geteuid() == 0 and os.environ.get("SUDO_UID", "").isdecimal():
        users.add(int(os.environ["SUDO_UID"]))
    return users


def _describe_users() -> str:
    sudo_user = os.environ.get("SUDO_USER")
    return f"you ({sudo_user}) and root" if os.geteuid() == 0 and sudo_user else "your user"


def _describe_host() -> str:
    """This machine, as an argument of ssh."""
    user = os.environ.get("SUDO_USER")
    host = socket.gethostname()
    return f"{user}@{host}" if user else host


def _open_browser(url: str) -> None:
    if os.geteuid() == 0:
        print_note("a browser must not run as root; open the address yourself")
    elif not webbrowser.open(url):
        print_note("found no browser on this machine; open the address yourself")
