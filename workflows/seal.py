"""The never-ending keeper of the seals."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.messages import SealRun
    from workflows.options import SET_BASED

EVERY = timedelta(minutes=4)
"""With what sealing takes, anchors are no more than five minutes apart."""


@workflow.defn(name="SealWorkflow")
class SealWorkflow:
    """Has the ledger sealed while something new comes in, and remembers the newest seal beside the database.

    One a brand, started by the reconciler; about a day of rounds, then it continues as new with what it remembers.
    """

    @workflow.init
    def __init__(self, run: SealRun) -> None:
        self._run = run

    @workflow.run
    async def run(self, run: SealRun) -> None:
        """Seal, remember, wait."""
        del run  # what it begins with is what it remembers
        while not workflow.info().is_continue_as_new_suggested():
            self._run = await workflow.execute_activity(
                "seal_ledger", self._run, result_type=SealRun, **SET_BASED
            )
            await workflow.sleep(EVERY)
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(self._run)

    @workflow.query
    def remembered(self) -> SealRun:
        """The newest seal, and one that the ledger contradicts."""
        return self._run
