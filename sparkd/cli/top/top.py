"""The state of `sparkctl top`: keys change what is shown, or begin an action."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.text import Text

from sparkd.cli.output.formatting import abbreviate_list
from sparkd.cli.plan import render_plan
from sparkd.cli.screen.keys import ESCAPE, PASTE
from sparkd.cli.screen.memory_bar import render_memory
from sparkd.cli.screen.sections import render_gpu, render_headline, render_notices
from sparkd.cli.screen.style import ACCENT, BAD, DIM, HEADING, WARNING, Characters, clean
from sparkd.cli.screen.text import wrap
from sparkd.cli.screen.view import View
from sparkd.cli.top.actions import Actions, Message, Question
from sparkd.cli.top.browser import Browser
from sparkd.cli.top.help import MODEL_KEYS, PANEL_KEYS, REQUEST_KEYS, draw_help, draw_keys
from sparkd.cli.top.panels import ModelPanel, Panel, RequestPanel, TextPanel
from sparkd.control.client import ControlClient
from sparkd.scheduling.plan import Plan
from sparkd.scheduling.status import ModelStatus

MOVES: Final = {each: each for each in ("up", "down", "pageup", "pagedown", "home", "end")} | {
    "k": "up",
    "j": "down",
    "g": "home",
    "G": "end",
}
ORDERS: Final = {"T": "tokens per second", "M": "memory", "A": "age"}


class Top:
    """What is shown, and what the keys do. Everything here runs on the screen's thread."""

    def __init__(self, socket: Path, characters: Characters, wake: Callable[[], None]) -> None:
        self._socket = socket
        self._characters = characters
        self._wake = wake
        self._view: View | None = None
        self._browser = Browser(characters)
        self._panels: list[Panel] = []
        self._question: Question | None = None
        self._message: Message | None = None
        self._is_quitting = False
        self._actions = Actions(socket, wake=wake, report=self._report, ask=self._ask)
        self._list_keys: dict[str, Callable[[], None]] = {
            "tab": self._browser.change,
            "backtab": self._browser.change,
            "enter": self._open,
            "/": self._begin_filter,
            "a": self._toggle_running,
            "o": lambda: self._browser.current.sort_by_next(),  # noqa: PLW0108 - it is another list later
            "O": lambda: self._browser.current.sort_by(self._browser.current.order.name),
            ESCAPE: self._forget_filter,
            "q": self._quit,
        }
        self._action_keys: dict[str, Callable[[], None]] = {
            "?": self._show_help,
            "l": self._load,
            "s": self._stop,
            "r": self._retry,
            "p": self._plan,
            "c": self._cancel,
        }

    def on_key(self, key: str) -> bool:
        """Do what a key means now. Returns False to quit."""
        if self._question is not None:
            self._answer(self._question, key)
        elif self._browser.is_typing:
            self._browser.type(key)
        elif key.startswith(PASTE):
            return True  # a pasted text must not be read as keys
        elif self._panels:
            self._use_panel(key)
        elif key in MOVES:
            self._browser.move(MOVES[key])
        elif key in ORDERS:
            self._browser.current.sort_by(ORDERS[key])
        elif action := self._list_keys.get(key) or self._action_keys.get(key):
            action()
        if self._view is not None:
            self._browser.update(self._view)
        return not self._is_quitting

    def show(self, view: View) -> None:
        """Take what sparkd does now."""
        self._view = view
        for panel in self._panels:
            panel.update(view)
        self._browser.update(view)

    def deliver(self) -> None:
        """Take the results of actions."""
        self._actions.deliver()

    def _use_panel(self, key: str) -> None:
        panel = self._panels[-1]
        if key in MOVES:
            far = {"up": -1, "down": 1, "pageup": -10, "pagedown": 10, "home": -1_000_000, "end": 1_000_000}
            panel.scroll(far[MOVES[key]])
        elif key in (ESCAPE, "q", "enter", "left", "backspace"):
            self._panels.pop().close()
        elif action := self._action_keys.get(key):
            action()

    def _answer(self, question: Question, key: str) -> None:
        if key in ("y", "Y"):
            self._question = None
            question.yes()
        elif key in ("n", "N", "q", ESCAPE, "enter"):
            self._question, self._message = None, Message("Nothing was changed.")

    def _open(self) -> None:
        if (request := self._browser.request) is not None:
            self._panels.append(RequestPanel(request, self._characters))
        elif self._browser.shown == "models" and (model_id := self._browser.model_id) is not None:
            self._panels.append(ModelPanel(self._socket, model_id, self._wake))

    def _begin_filter(self) -> None:
        self._browser.is_typing = True

    def _toggle_running(self) -> None:
        self._browser.only_running = not self._browser.only_running

    def _forget_filter(self) -> None:
        self._browser.filter, self._message = "", None

    def _show_help(self) -> None:
        self._panels.append(TextPanel(draw_help(self._characters)))

    def _quit(self) -> None:
        if waiting := self._actions.waiting_loads(self._view):
            names = abbreviate_list(waiting)
            text = f"Your load of {names} still waits in the queue, and is cancelled if you quit. Quit?"
            self._ask(Question(text, self._quit_anyway))
        else:
            self._quit_anyway()

    def _quit_anyway(self) -> None:
        self._is_quitting = True

    def _selected_model(self) -> ModelStatus | None:
        """The model that an action is about."""
        model_id = self._panels[-1].model_id if self._panels else self._browser.model_id
        models = self._view.models if self._view else ()
        return next((model for model in models if model.id == model_id), None)

    def _load(self) -> None:
        if (model := self._selected_model()) is not None and self._view is not None:
            self._actions.load(model, self._view)

    def _stop(self) -> None:
        if (model := self._selected_model()) is not None:
            self._actions.stop(model)

    def _retry(self) -> None:
        if (model := self._selected_model()) is not None:
            self._actions.retry(model)

    def _plan(self) -> None:
        if (model := self._selected_model()) is None:
            return
        model_id = model.id

        def ask(client: ControlClient) -> Callable[[], None]:
            plan = client.plan(model_id)
            return lambda: self._show_plan(plan)

        self._actions.run(ask)

    def _show_plan(self, plan: Plan) -> None:
        heading = Text(f"{clean(plan.model)}: what a request for it would do now", HEADING)
        lines = [heading, Text(), *(Text(clean(line)) for line in render_plan(plan))]
        self._panels.append(TextPanel(lines, plan.model))

    def _cancel(self) -> None:
        request = self._panels[-1].request if self._panels else self._browser.request
        if request is None:
            self._report(Message("Select a request first: Tab shows the requests."))
        else:
            self._actions.cancel(request)

    def _report(self, message: Message) -> None:
        self._message = message

    def _ask(self, question: Question) -> None:
        self._question, self._message = question, None

    def draw(self, problem: str, size: tuple[int, int]) -> list[Text]:
        """The lines of the screen; `problem` is why they are old."""
        width, height = size
        bottom = self._draw_bottom(width)
        room = max(0, height - len(bottom))
        if self._view is None:
            lines = [Text(clean(problem))]
        elif self._panels:
            lines = self._panels[-1].draw((width, room))
        else:
            lines = self._draw_machine(self._view, problem, size)
            lines += self._browser.draw(self._view, (width, max(3, room - len(lines))))
        lines = lines[:room]
        return [*lines, *[Text()] * (room - len(lines)), *bottom]

    def _draw_machine(self, view: View, problem: str, size: tuple[int, int]) -> list[Text]:
        """The machine: as much of it as leaves most lines to the list."""
        width, height = size
        lines = [render_headline(view, problem, width, self._characters)]
        if height >= 10:
            lines += render_memory(
                view, width, self._characters, legend_lines=min(3, max(1, (height - 10) // 5))
            )
        if height >= 14:
            lines += render_gpu(view.gpu, width, self._characters)
        if height >= 20:
            lines += [*render_notices(view, width, self._characters)[: height // 10], Text()]
        return lines

    def _draw_bottom(self, width: int) -> list[Text]:
        """Questions and messages, and a line with the keys."""
        if self._question is not None:
            return wrap(Text(f"{clean(self._question.text)} [y/N]", f"bold {WARNING}"), width)
        if self._browser.is_typing:
            lines = [Text.assemble(("/", ACCENT), clean(self._browser.filter), ("_", DIM))]
        elif self._message is not None:
            style = BAD if self._message.is_error else ""
            lines = wrap(Text(clean(self._message.text), style), width)[:4]
        else:
            lines = [Text()]
        keys = MODEL_KEYS if self._browser.shown == "models" else REQUEST_KEYS
        return [*lines, draw_keys(PANEL_KEYS if self._panels else keys, width, self._characters)]
