"""Many people from one factory: all at once, one after the other, or in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, cast

from tinyfactory.factory.job import PeopleJob
from tinyfactory.factory.job_options import Order, Snapshot, Way, read_way
from tinyfactory.factory.requests import Particularities

if TYPE_CHECKING:
    from tinyfactory.budget import Budget
    from tinyfactory.factory.estimate import Estimate
    from tinyfactory.factory.person_factory import TinyPersonFactory
    from tinyfactory.people import People, TinyPerson


class MakesMany:
    """What a `TinyPersonFactory` can do with more than one person."""

    last_job: PeopleJob | None

    def generate_people(
        self,
        number_of_people: int,
        agent_particularities: Particularities = None,
        temperature: float | None = 1.5,
        attempts: int = 5,
        *,
        concurrency: int = 1,
        on_person: Callable[[TinyPerson], object] | None = None,
        budget: Budget | None = None,
        executor: Executor | None = None,
        progress: bool | Callable[[Snapshot], object] = False,
        time_limit: float | None = None,
        batch: bool = False,
        keep: bool = True,
        poll: float = 10.0,
    ) -> People:
        """Make several people; each is a step of its own that is kept at once.

        With a demography (`from_demography`), how many there are of each kind is decided
        first, exactly; each person is then written to a profile and checked against it.

        Interrupted (Ctrl-C, an error, a limit), the same call again goes on: those who are
        made are not asked for again, in this kernel and, in a simulation, in another one.

        Parameters
        ----------
        number_of_people : int
            How many. Fewer come back only where `generate_person` gave None; who is missing,
            and why, is in the log and in ``last_job.missing``.
        agent_particularities, temperature, attempts
            As for `generate_person`; the particularities hold for each of them.
        concurrency : int
            How many are asked for at a time. The same people come out, in the same order,
            whoever's answer was first. One by one (1), and without a demography, each is told
            of those before, which makes for more variety.
        on_person : callable, optional
            Called with each person, in order, as soon as they are there.
        budget : Budget, optional
            For this call; that of the simulation holds, too.
        executor : concurrent.futures.Executor, optional
            Workers that make the model calls; what they answer is checked and kept here. For
            Dask: ``Client(...).get_executor()``. The model, its key included, is sent to
            them. Requests that a worker has to repeat are counted after, not before.
        progress : bool or callable
            True shows a bar; a function is called with a `Snapshot` now and then.
        time_limit : float, optional
            Seconds for all of it.
        batch : bool
            Ask through the endpoint's Batch API: within a day, for half the price. Needs a
            simulation; a kernel that comes back finds its batch again.
        keep : bool
            False when there are more people than fit into memory: they are handed to
            `on_person` (say, the `add` of a `PeopleWriter`), and only their names are kept.
        poll : float
            Seconds between two looks at a batch, at first.

        Returns
        -------
        People
            A list with a table of its own; empty with ``keep=False``.

        Raises
        ------
        InvalidInput
            For arguments that cannot work, before anything is sent.
        BudgetExceeded, TimeLimitReached, ModelError
            The people made before stay in `last_job.people` and, in a simulation, on disk.

        Examples
        --------
        >>> from tinyfactory import TinyPersonFactory
        >>> factory = TinyPersonFactory("Customers of a bakery", model="offline")
        >>> [person.name for person in factory.generate_people(2)] == factory.generated_names
        True
        """
        order = Order(number_of_people, agent_particularities, temperature, attempts)
        way = Way(
            concurrency=concurrency,
            on_person=on_person,
            budget=budget,
            executor=executor,
            progress=progress,
            time_limit=time_limit,
            batch=batch,
            keep=keep,
            poll=poll,
        )
        return self._job(order, way).run()

    def start_people(
        self,
        number_of_people: int,
        agent_particularities: Particularities = None,
        temperature: float | None = 1.5,
        attempts: int = 5,
        **way: Any,
    ) -> PeopleJob:
        """`generate_people` in a thread of its own: a job to look at, wait for, or cancel.

        Iterating over the job gives the people as they come. The parameters are those of
        `generate_people`.

        Examples
        --------
        >>> from tinyfactory import TinyPersonFactory
        >>> factory = TinyPersonFactory("Customers of a bakery", model="offline")
        >>> [person.name for person in factory.start_people(2)] == factory.generated_names
        True
        """
        order = Order(number_of_people, agent_particularities, temperature, attempts)
        return self._job(order, read_way("start_people", way)).start()

    async def agenerate_people(
        self,
        number_of_people: int,
        agent_particularities: Particularities = None,
        temperature: float | None = 1.5,
        attempts: int = 5,
        **way: Any,
    ) -> People:
        """`generate_people`, awaited; cancelling the await stops it and keeps what is done.

        Examples
        --------
        >>> from tinyfactory import TinyPersonFactory
        >>> factory = TinyPersonFactory("Customers of a bakery", model="offline")
        >>> len(asyncio.run(factory.agenerate_people(2)))
        2
        """
        order = Order(number_of_people, agent_particularities, temperature, attempts)
        job = self._job(order, read_way("agenerate_people", way)).start()
        try:
            # In a thread, which ends with the job whether or not this await does.
            return await asyncio.to_thread(job.wait)
        except asyncio.CancelledError:
            job.cancel()
            await asyncio.shield(asyncio.to_thread(job.join))
            raise

    def estimate(
        self,
        number_of_people: int,
        agent_particularities: Particularities = None,
        attempts: int = 5,
        *,
        batch: bool = False,
        budget: Budget | None = None,
    ) -> Estimate:
        """What making so many people will take; nothing is sent.

        Prompts are counted at four characters a token, answers by those that this factory
        had in this simulation, or by what the schema asks for. The prices of `budget` count.

        Examples
        --------
        >>> from tinyfactory import TinyPersonFactory
        >>> factory = TinyPersonFactory("Customers of a bakery", model="offline")
        >>> factory.estimate(100).calls
        (100, 110)
        """
        from tinyfactory.factory.estimate import estimate

        factory = cast("TinyPersonFactory", self)
        return estimate(
            factory, number_of_people, agent_particularities, attempts, batch=batch, budget=budget
        )

    def _job(self, order: Order, way: Way) -> PeopleJob:
        factory = cast("TinyPersonFactory", self)
        self.last_job = PeopleJob(factory, order, way, before=self.last_job)
        return self.last_job
