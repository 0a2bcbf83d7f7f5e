"""How an institution's functions are called: directly, or beside an event loop.

What is to be done is written once, as a generator (a "flow") that yields each call it needs and is
sent its result, or has its exception thrown in.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
Step = Callable[[], object]
Flow = Generator[Step, Any, T]


def is_async(function: object) -> bool:
    """Whether it is known, before it is called, that its result has to be awaited."""
    return any(
        inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each)
        for each in (function, getattr(function, "__call__", None))  # noqa: B004  the method itself
    )


def run_plain(flow: Flow[T]) -> T:
    """Run it in this thread. A call whose result has to be awaited fails with `TypeError`."""
    return _run(flow, _not_awaitable)


def run_here(flow: Flow[T]) -> T:
    """Run it in this thread, and what has to be awaited in another that has an event loop.

    This one may have a loop already; and what a plain function does here belongs to the caller's
    database transaction, if there is one.
    """
    runner = asyncio.Runner()

    def settle(result: object) -> object:
        if isinstance(result, Awaitable):
            return thread.submit(runner.run, _awaited(result)).result()
        return result

    with ThreadPoolExecutor(1) as thread:
        try:
            return _run(flow, settle)
        finally:
            thread.submit(runner.close).result()


def _run(flow: Flow[T], settle: Callable[[object], object]) -> T:
    try:
        step = next(flow)
        while True:
            try:
                result = settle(step())
            except Exception as fault:  # noqa: BLE001  the flow decides
                step = flow.throw(fault)
            else:
                step = flow.send(result)
    except StopIteration as end:
        returned: T = end.value
        return returned


async def run_async(flow: Flow[T]) -> T:
    """Run it in this event loop, calls of plain functions in threads."""
    try:
        step = next(flow)
        while True:
            try:
                result = await called(step)
            except Exception as fault:  # noqa: BLE001  the flow decides
                step = flow.throw(fault)
            else:
                step = flow.send(result)
    except StopIteration as end:
        returned: T = end.value
        return returned


async def called(step: Callable[[], Any]) -> Any:  # noqa: ANN401  whatever it gives
    """The result of a call: of a plain function from a thread, and awaited where it must be."""
    result = step() if is_async(step) else await _in_thread(step)
    return await result if isinstance(result, Awaitable) else result


async def _in_thread(step: Step) -> object:
    work = asyncio.ensure_future(asyncio.to_thread(_outcome, step))
    try:
        result, fault = await asyncio.shield(work)
    except asyncio.CancelledError:
        # A generator that is still running in the thread could not be closed.
        await asyncio.wait([work])
        raise
    if fault is not None:
        raise fault
    return result


def _outcome(step: Step) -> tuple[object, Exception | None]:
    # A future refuses StopIteration as its exception, and would never be done.
    try:
        return step(), None
    except Exception as fault:  # noqa: BLE001  raised again by who waits
        return None, fault


async def _awaited(result: Awaitable[object]) -> object:
    return await result


def _not_awaitable(result: object) -> object:
    if isinstance(result, Awaitable):
        if isinstance(result, Coroutine):
            result.close()
        raise TypeError("a result that has to be awaited, where nothing can await it")
    return result
