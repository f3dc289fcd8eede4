"""Numbers in the words of a report card: few digits, and never so few that a mark looks wrong."""

from __future__ import annotations

from collections.abc import Callable

_MOST_DECIMALS = 6  # more than this no number of a card has


def decimals(least: int, passes: Callable[..., bool], *numbers: float) -> int:
    """The fewest decimals with which a mark still follows from the numbers that are read.

    Examples
    --------
    >>> at_most_one = lambda miss: miss <= 1
    >>> [decimals(1, at_most_one, miss) for miss in (0.7541, 0.98, 1.04, 1.0003)]
    [1, 1, 2, 4]
    """
    mark = passes(*numbers)
    enough = (
        few
        for few in range(least, _MOST_DECIMALS)
        if passes(*(round(number, few) for number in numbers)) == mark
    )
    return next(enough, _MOST_DECIMALS)


def written(number: float, few: int, sign: str = "") -> str:
    """A number with so many decimals; nothing is "-0.0".

    Examples
    --------
    >>> written(-0.004, 2), written(12345.678, 1), written(0.1, 2, "+")
    ('0.00', '12,345.7', '+0.10')
    """
    return f"{round(number, few) + 0.0:{sign},.{few}f}"


def whole(number: float, few: int = 1) -> str:
    """The same without zeros at the end: people asked for are often whole ones.

    Examples
    --------
    >>> whole(24.0), whole(24.04), whole(24.04, 2)
    ('24', '24', '24.04')
    """
    text = written(number, few)
    return text.rstrip("0").rstrip(".") if few else text


def counted(number: float, one: str, many: str, few: int = 1) -> str:
    """So many of something.

    Examples
    --------
    >>> counted(1, "person", "people"), counted(0.4, "person", "people")
    ('1 person', '0.4 people')
    >>> counted(0.02, "person", "people")
    'less than 0.1 people'
    """
    text = whole(number, few)
    if number and text == "0":
        return f"less than {10**-few:g} {many}"
    return f"{text} {one if text == '1' else many}"


def percent(share: float, few: int = 3) -> str:
    """A share in percent; the decimals are those of the share.

    Examples
    --------
    >>> percent(0.125), percent(0.125, 2), percent(0.15004, 5)
    ('12.5 %', '12 %', '15.004 %')
    """
    return f"{written(100 * share, few - 2)} %"


def p_value(p: float) -> str:
    """A probability, with no more digits than anyone reads.

    Examples
    --------
    >>> p_value(4.6e-17), p_value(0.04551), p_value(0.99999)
    ('p below 0.001', 'p 0.046', 'p above 0.999')
    """
    if p < 0.001:
        return "p below 0.001"
    return "p above 0.999" if p > 0.999 else f"p {p:.3f}"
