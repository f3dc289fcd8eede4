"""A job's order (`Order`), options (`JobOptions`) and progress (`Snapshot`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from tinyfactory import settings
from tinyfactory.budget import Budget, Spent
from tinyfactory.errors import InvalidInput
from tinyfactory.factory.person_generator import Json
from tinyfactory.generation.pipeline import check_asking, check_count
from tinyfactory.prompts.particularities import Particularities

if TYPE_CHECKING:
    from tinyfactory.people import TinyPerson

State = Literal["waiting", "running", "done", "cancelled", "failed"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A job's progress at one moment.

    `done` counts people made, `failed` people given up, `replayed` people read from the journal,
    and `arrived` finished people who wait for an earlier one. `seconds` is the time since the
    start, `spent` the cost of the job's calls, and `note` says what the job waits for.
    """

    state: State
    total: int
    done: int
    failed: int
    replayed: int
    seconds: float
    error: BaseException | None
    spent: Spent = field(default_factory=Spent)
    note: str = ""
    arrived: int = 0

    @property
    def ended(self) -> bool:
        """Whether the job has ended."""
        return self.state in ("done", "cancelled", "failed")

    @property
    def seconds_left(self) -> float | None:
        """The estimated time left; None before the first new person."""
        made = self.done + self.failed - self.replayed
        rest = self.total - self.done - self.failed
        return None if self.ended or made < 1 else self.seconds / made * rest


@dataclass(frozen=True, slots=True)
class Missing:
    """A person who could not be made: its number, its profile, and the reason."""

    number: int
    profile: Json | None
    reason: str


@dataclass(frozen=True, slots=True)
class Order:
    """The people to make. A job with an equal order continues one that was stopped."""

    total: int
    particularities: Particularities = None
    temperature: float | None = 1.5
    attempts: int = 5

    def __post_init__(self) -> None:
        check_count(self.total, "number_of_people")
        check_asking(self.particularities, self.temperature, self.attempts)


@dataclass(frozen=True, slots=True)
class JobOptions:
    """How a job runs; options do not change which people are made."""

    concurrency: int = 1
    on_person: Callable[[TinyPerson], object] | None = None
    budget: Budget | None = None
    executor: Executor | None = None
    progress: bool | Callable[[Snapshot], object] = False
    time_limit: float | None = None
    batch: bool = False
    keep: bool = True
    poll: float = 10.0

    def __post_init__(self) -> None:
        check_count(self.concurrency, "concurrency")
        if self.budget is not None and not isinstance(self.budget, Budget):
            raise InvalidInput(
                f"budget must be a Budget such as Budget(usd=1), not {self.budget!r}. Nothing "
                "was sent."
            )
        if self.time_limit is not None:
            _check_seconds(self.time_limit, "time_limit")
        _check_seconds(self.poll, "poll")
        if self.on_person is not None and not callable(self.on_person):
            raise InvalidInput(
                f"on_person must be a function of a person, not {self.on_person!r:.80}. Nothing "
                "was sent."
            )
        if not isinstance(self.progress, bool) and not callable(self.progress):
            raise InvalidInput(
                "progress must be True, False or a function of a Snapshot, not "
                f"{self.progress!r:.80}. Nothing was sent."
            )
        if self.batch and self.executor is not None:
            raise InvalidInput("batch=True cannot be used with an executor. Choose one of them.")


class JobKeywords(TypedDict, total=False):
    """The keyword arguments of `start_people` and `agenerate_people`: those of `JobOptions`."""

    concurrency: int
    on_person: Callable[[TinyPerson], object] | None
    budget: Budget | None
    executor: Executor | None
    progress: bool | Callable[[Snapshot], object]
    time_limit: float | None
    batch: bool
    keep: bool
    poll: float


def read_options(method: str, given: Mapping[str, Any]) -> JobOptions:
    """Read the keyword arguments of a public method; raise TypeError for unknown ones.

    Examples
    --------
    >>> read_options("start_people", {"concurrency": 8}).concurrency
    8
    """
    known = [each.name for each in fields(JobOptions)]
    for name in given:
        if name not in known:
            raise TypeError(
                f"{method}() got an unexpected keyword argument {name!r}; besides those of "
                f"generate_person it takes {', '.join(known)}. Nothing was sent."
            )
    return JobOptions(**given)


def _check_seconds(given: object, what: str) -> None:
    if not settings.is_amount(given) or not given:
        raise InvalidInput(
            f"{what} must be a number of seconds above 0, not {given!r:.80}. Nothing was sent."
        )
