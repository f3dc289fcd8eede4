"""`ModelField`: the choice of a model: as configured, offline, or by name."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import traitlets

from tinyfactory.models.chat import ChatModel
from tinyfactory.settings import OFFLINE

_CONFIGURED, _NAMED, _GIVEN = "configured", "named", "given"
_WAYS = [
    ("As configured", _CONFIGURED),
    ("Offline: free, no key", OFFLINE),
    ("Of this name:", _NAMED),
]


class ModelField(widgets.HBox):  # type: ignore[misc]  # ipywidgets has no types
    """A list of models to choose from, and a field for a model name.

    Parameters
    ----------
    model : str or ChatModel, optional
        The model that is chosen at first.
    fixed : bool
        Whether the field is disabled.

    Attributes
    ----------
    value : str, ChatModel or None
        As `TinyPersonFactory` takes it; can be set and observed. Empty while the name is
        missing.

    Examples
    --------
    >>> field = ModelField()
    >>> field.value = "llama3.2"
    >>> field.way.value, field.name.value
    ('named', 'llama3.2')
    >>> field.way.value = "offline"
    >>> field.value
    'offline'
    """

    value = traitlets.Any(None)

    def __init__(
        self, model: str | ChatModel | None = None, *, fixed: bool = False, **style: Any
    ) -> None:
        self._given: ChatModel | None = None
        self.way = widgets.Dropdown(
            options=_WAYS, description="Model:", disabled=fixed,
            tooltip="Which model writes the people", **style,
        )  # fmt: skip
        self.name = widgets.Text(
            "", description="Name:", placeholder="e.g. gpt-4.1-mini", disabled=fixed,
            style={"description_width": "initial"}, layout=widgets.Layout(display="none"),
        )  # fmt: skip
        super().__init__(children=[self.way, self.name])
        self.observe(lambda change: self._show(change.new), "value")
        self.value = model
        self.way.observe(lambda _: self._read(), "value")
        self.name.observe(lambda _: self._read(), "value")

    def _show(self, model: str | ChatModel | None) -> None:
        if model is None:
            self.way.value = _CONFIGURED
        elif not isinstance(model, str):
            self._given = model
            told = model.identity.get("model") or model.identity.get("kind") or "a model"
            self.way.options = [*_WAYS, (f"As given: {told}", _GIVEN)]
            self.way.value = _GIVEN
        elif model.strip().lower() == OFFLINE:
            self.way.value = OFFLINE
        else:
            self.name.value, self.way.value = model, _NAMED
        self._show_name()

    def _read(self) -> None:
        self._show_name()
        names = {_NAMED: self.name.value.strip(), OFFLINE: OFFLINE, _GIVEN: self._given}
        self.value = names.get(self.way.value)

    def _show_name(self) -> None:
        self.name.layout.display = "" if self.way.value == _NAMED else "none"
