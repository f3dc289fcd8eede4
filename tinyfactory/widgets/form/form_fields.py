"""`FormFields`: the fields of the form: the people, the model, and the budget."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from tinyfactory.budget import Budget
from tinyfactory.errors import InvalidInput
from tinyfactory.factory.job_options import Order
from tinyfactory.models.chat import ChatModel
from tinyfactory.populations import Demography
from tinyfactory.widgets.form.demography_field import DemographyField
from tinyfactory.widgets.form.model_field import ModelField

MOST_PEOPLE = 100_000
MOST_AT_ONCE = 100
MOST_ATTEMPTS = 20
_LABEL = {"description_width": "8.5em"}


def _row(*children: widgets.Widget) -> widgets.HBox:
    """A row that wraps on a narrow page."""
    return widgets.HBox(children, layout=widgets.Layout(flex_flow="row wrap"))


class FormFields(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """The fields of a form; those that are seldom needed are behind a button.

    Parameters
    ----------
    context : str
    model : str or ChatModel, optional
    demography : Demography, dict, str or path, optional
    seed : int
    fixed : bool
        Whether context, model and demography are disabled.
    failed : callable
        Gets the error of an upload that cannot be used.
    """

    def __init__(
        self,
        context: str,
        model: str | ChatModel | None,
        demography: Demography | dict[str, Any] | str | Path | None,
        seed: int,
        *,
        fixed: bool,
        failed: Callable[[BaseException], object],
    ) -> None:
        wide, narrow = {"layout": widgets.Layout(width="98%")}, {"layout": {"width": "16em"}}
        listed = {"style": _LABEL, "layout": widgets.Layout(width="24em")}
        self.context = widgets.Textarea(
            context, description="Context:", rows=3, style=_LABEL, **wide, disabled=fixed,
            placeholder="Who are the people, and where?",
        )  # fmt: skip
        self.particularities = widgets.Text(
            "", description="Particularities:", style=_LABEL, **wide,
            placeholder="What is fixed, e.g. a 34-year-old nurse from Lisbon",
            tooltip="Holds for each of the people",
        )  # fmt: skip
        self.number = widgets.BoundedIntText(
            1, min=1, max=MOST_PEOPLE, description="People:", style=_LABEL, **narrow,
            tooltip="How many people Generate makes",
        )  # fmt: skip
        self.model = ModelField(model, fixed=fixed, **listed)
        self.demography = DemographyField(
            demography, seed=seed, fixed=fixed, failed=failed, **listed
        )
        self.temperature = widgets.BoundedFloatText(
            1.5, min=0, max=2, step=0.1, description="Temperature:", style=_LABEL, **narrow,
            tooltip="From 0 to 2; the higher, the more varied",
        )  # fmt: skip
        self.attempts = widgets.BoundedIntText(
            5, min=1, max=MOST_ATTEMPTS, description="Attempts:", style=_LABEL, **narrow,
            tooltip="How many replies to ask for at most, for each person",
        )  # fmt: skip
        self.concurrency = widgets.BoundedIntText(
            1, min=1, max=MOST_AT_ONCE, description="At a time:", style=_LABEL, **narrow,
            tooltip="How many are asked for at once; one by one, each is told of those before",
        )  # fmt: skip
        self.usd = widgets.Text(
            "", description="Budget, USD:", placeholder="no limit", style=_LABEL, **narrow,
            tooltip="What a run may cost at most, in US dollars",
        )  # fmt: skip
        self.calls = widgets.Text(
            "", description="Budget, calls:", placeholder="no limit", style=_LABEL, **narrow,
            tooltip="How many requests a run may send at most",
        )  # fmt: skip
        self.more = widgets.ToggleButton(
            False, description="More settings", icon="sliders",
            tooltip="Temperature, attempts, how many at a time, and the budget",
        )  # fmt: skip
        self._rare = widgets.VBox(
            [_row(self.temperature, self.attempts, self.concurrency), _row(self.usd, self.calls)]
        )
        self._rare.layout.display = "none"
        self.more.observe(lambda change: self._open(change.new), "value")
        self._prices: Any = {}
        self._tokens: int | None = None
        super().__init__(
            children=[
                self.context, self.particularities, _row(self.number, self.model),
                self.demography, self._rare,
            ]
        )  # fmt: skip

    def _open(self, opened: bool) -> None:
        self._rare.layout.display = "" if opened else "none"

    @property
    def order(self) -> Order:
        """The order of the present fields.

        Raises
        ------
        InvalidInput
            For an invalid value.
        """
        return Order(
            self.number.value,
            self.particularities.value.strip() or None,
            self.temperature.value,
            self.attempts.value,
        )

    @property
    def budget(self) -> Budget | None:
        """The budget of the present fields; None without a limit.

        Raises
        ------
        InvalidInput
            For a text that is not an amount.
        """
        usd, calls = self.usd.value.strip(), self.calls.value.strip()
        if not usd and not calls and self._tokens is None:
            return None
        return Budget(
            calls=_number(calls, int, "calls", "a whole number such as 100"),
            tokens=self._tokens,
            usd=_number(usd, float, "USD", "an amount of US dollars such as 0.50"),
            prices=self._prices,
        )

    @budget.setter
    def budget(self, budget: Budget | None) -> None:
        budget = budget or Budget()
        self._prices, self._tokens = budget.prices, budget.tokens
        self.usd.value = "" if budget.usd is None else f"{budget.usd:g}"
        self.calls.value = "" if budget.calls is None else str(budget.calls)

    def check(self) -> None:
        """Check what a factory cannot check: a missing model name, a rejected file.

        Raises
        ------
        InvalidInput
            The message says what to do.
        """
        if self.model.value == "":
            raise InvalidInput(
                "The model's name is missing, and nothing was sent. Type it, or choose another way."
            )
        self.demography.check()


def _number(text: str, kind: type[int | float], what: str, such: str) -> Any:
    if not text:
        return None
    try:
        return kind(text.replace(",", "."))
    except ValueError:
        raise InvalidInput(
            f"The budget in {what} is {such}, or empty for no limit; not {text!r}. Nothing was "
            "sent."
        ) from None
