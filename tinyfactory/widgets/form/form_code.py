"""The lines of Python that do the same as the form."""

from __future__ import annotations

import pprint
from typing import Any

from tinyfactory.budget import Budget
from tinyfactory.factory.job_options import Order
from tinyfactory.models.chat import ChatModel

_WIDTH = 88


def code_of(
    context: str,
    model: str | ChatModel | None,
    demography: Any,
    seed: int,
    order: Order,
    concurrency: int,
    budget: Budget | None,
    *,
    given: bool,
) -> str:
    """Lines that make the same people.

    Parameters
    ----------
    demography : str, dict or None
        As `TinyPersonFactory.from_demography` takes it.
    given : bool
        Whether the form was given its factory.

    Examples
    --------
    >>> print(code_of("Bakers", "offline", None, 0, Order(3), 1, None, given=False))
    from tinyfactory import TinyPersonFactory
    <BLANKLINE>
    factory = TinyPersonFactory("Bakers", model="offline")
    people = factory.generate_people(3)
    """
    names = [name for name, used in (("Budget", budget), ("TinyPersonFactory", not given)) if used]
    lines = [f"from tinyfactory import {', '.join(names)}", ""] if names else []
    if given:
        lines.append("# factory: the one that the form was given")
    else:
        lines += _factory(context, model, demography, seed)
    how = [str(order.total)]
    if order.particularities is not None:
        how.append(_literal(order.particularities))
    how += [
        f"{name}={value!r}"
        for name, value, usual in (
            ("temperature", order.temperature, 1.5),
            ("attempts", order.attempts, 5),
            ("concurrency", concurrency, 1),
        )
        if value != usual
    ]
    if budget is not None:
        how.append(f"budget={_budget(budget)}")
    lines.append(_call("people = factory.generate_people", how))
    return "\n".join(lines)


def _factory(context: str, model: str | ChatModel | None, demography: Any, seed: int) -> list[str]:
    what = [_literal(context)] if context.strip() or demography is None else []
    if isinstance(model, str):
        what.append(f"model={_literal(model)}")
    elif model is not None:
        what.append("model=model")
    lines = ["# model: the one that the form was given"] if "model=model" in what else []
    if demography is None:
        return [*lines, _call("factory = TinyPersonFactory", what)]
    if isinstance(demography, str):
        first = _literal(demography)
    else:
        first = "demography"
        table = pprint.pformat(demography, width=_WIDTH, sort_dicts=False)
        lines.append(f"demography = {table}")
    if seed:
        what.append(f"seed={seed}")
    return [*lines, _call("factory = TinyPersonFactory.from_demography", [first, *what])]


def _budget(budget: Budget) -> str:
    limits = [
        f"{name}={value!r}"
        for name in ("calls", "tokens", "usd")
        if (value := getattr(budget, name)) is not None
    ]
    prices = [f"prices={dict(budget.prices)!r}"] if budget.prices else []
    return f"Budget({', '.join([*limits, *prices])})"


def _literal(value: Any) -> str:
    """A value as Python code; texts in double quotes where possible."""
    told = repr(value)
    plain = isinstance(value, str) and told[0] == "'" and '"' not in value and "\\" not in told
    return f'"{told[1:-1]}"' if plain else told


def _call(start: str, arguments: list[str]) -> str:
    line = f"{start}({', '.join(arguments)})"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"{start}(", *(f"    {argument}," for argument in arguments), ")"])
