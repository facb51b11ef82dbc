"""Wait for the outcome of a run."""

import asyncio

from temporalio.client import WorkflowFailureError

from lab.product_driver import Handle

END_TIMEOUT = 240.0


async def outcome_of(handle: Handle, seconds: float = END_TIMEOUT) -> str:
    """Return the outcome of a run, or why it has none; one that takes too long is terminated."""
    try:
        result = await asyncio.wait_for(handle.result(), seconds)
    except TimeoutError:
        await handle.terminate("its time is over")
        return f"none after {seconds:.0f} s"
    except WorkflowFailureError as failure:
        return f"failed: {failure.cause}"
    return str(result["outcome"])
