"""What Eve's jobs do: bring a topology to its order, heal it, take it down, from the database alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from cloudos.eden.db import now
from cloudos.eden.jobs import states as jobs
from cloudos.eden.jobs.run import Run, WorkFailed
from cloudos.eden.models import Job
from cloudos.eden.problems import Problem
from cloudos.eve.engine.plan import Plan
from cloudos.eve.engine.state import State
from cloudos.eve.jobs import authority, designs, pools, uses, workplace
from cloudos.eve.jobs.faults import Locked
from cloudos.eve.jobs.following import MARK, Followed, Tasks
from cloudos.eve.jobs.stored import States
from cloudos.eve.jobs.vault import CREDENTIAL, SECRETS, TOKEN
from cloudos.eve.lifecycle import Eve, Outcome, Request
from cloudos.eve.models import COMPLETED, FAILED, INACTIVE, PROCESSING, Design, Kept, StateDocument, Topology
from cloudos.eve.problems import Refused, Undeployable
from cloudos.eve.provider import Pool
from cloudos.eve.workflow.run import shown
from cloudos.runs import leftovers
from cloudos.tosca.resolver import Tree

APPLY, UNDEPLOY, DELETE, WORKFLOW = "eve.apply", "eve.undeploy", "eve.delete", "eve.workflow"
KEEP = "keep"
CANCELLED = "Undeploy takes down what had been made; update goes on from there."


class ServiceEve(Eve):
    """Eve whose runs are a job's tasks, and whose keys are kept encrypted."""

    def __init__(self, run: Run, states: States, secrets: Mapping[str, str], tasks: Tasks, start: Followed,
                 belongings: workplace.Belongings):  # fmt: skip
        super().__init__(states, self._given(secrets), tasks.told, lambda: run.cancelled, start)
        self._tasks, self._belongings = tasks, belongings

    def key(self, topology: str) -> str:
        """The topology's own public key."""
        return self._belongings.key()

    def survey(self, pool: Pool) -> None:
        """Quotas were asked with the order; while a job waits others may use what was free, and then the cloud says so."""

    def _run(self, plan: Plan, state: State, pools: Mapping[str, Pool], tree: Tree | None, arguments: tuple[str, ...], *more: Any) -> Any:
        if not arguments:
            self._tasks.plan(plan)
        return super()._run(plan, state, pools, tree, arguments, *more)

    @staticmethod
    def _given(secrets: Mapping[str, str]) -> Any:
        def secret(name: str) -> str:
            if name not in secrets:
                raise Refused(f"secret {name} is needed and was not given. Send it with the order, as `secrets`.")
            return secrets[name]

        return secret


class Order:
    """A job's order: the topology as it is kept, and what the job's input says is to be done with it."""

    def __init__(self, run: Run):
        self.run, self.input = run, run.input
        self.vault = run.runtime.extra.vault
        self.conf = run.runtime.conf
        facts = run.write(self._begin)
        if facts is None:
            raise WorkFailed(f"Topology {self.input['topology']} is no more; nothing is left to do.")
        self.id, self.mark, self.pools, self.credential, self.token, self.secrets, self.name, self.uses = facts

    def _begin(self, session: Session, job: Job) -> tuple | None:
        topology = session.get(Topology, self.input["topology"], with_for_update=True)
        if topology is None:
            return None
        demand_free(session, topology, job.id)
        topology.job_id, topology.status, topology.fault = job.id, PROCESSING, None
        sealed = [self.vault.get(session, topology.id, name) for name in (CREDENTIAL, TOKEN, SECRETS)]
        told = [(document, version) for document, version in topology.uses or ()]
        return topology.id, topology.mark, dict(topology.pools), sealed[0], sealed[1], sealed[2] or {}, topology.name, told

    def change(self, **values: Any) -> None:
        """Write facts of the topology down."""

        def write(session: Session, _job: Job) -> None:
            topology = session.get(Topology, self.id, with_for_update=True)
            for name, value in {**values, "updated_at": now()}.items():
                setattr(topology, name, value)

        self.run.write(write)

    def eve(self, folder: Path) -> ServiceEve:
        """Eve for this job. Raises WorkFailed where a pool cannot be reached."""
        clouds = None
        if any(one["source"] in (authority.OWN, authority.GRAFFITI) for one in self.pools.values()):
            clouds = folder / "clouds.yaml"
            workplace.private(clouds, authority.clouds(self.conf, self.pools, self.credential, self.token, folder))
        belongings = workplace.Belongings(self.run, self.vault, self.id, self.mark, folder)
        belongings.bring()
        transact = self.run.runtime.db.transact
        states = States(lambda work: transact(work, reading=True), lambda work: self.run.write(lambda session, _job: work(session)),
                        folder, self.run.context["project_id"])  # fmt: skip
        tasks = Tasks(self.run)
        self.tasks = tasks
        return ServiceEve(self.run, states, self.secrets, tasks, Followed(self.run, tasks, self.mark, clouds, belongings.keep), belongings)

    def design(self) -> bytes:
        """The archive of the design. Raises WorkFailed."""
        sha256 = self.input["wanted"]["design"]["sha256"]
        data = self.run.runtime.db.transact(lambda session: session.get(Design, sha256), reading=True)
        if data is None:
            raise WorkFailed(f"Design {self.input['wanted']['design']['reference']} is no longer kept here; submit the order again.")
        return data.data

    def end(self, outcome: Outcome, folder: Path) -> None:
        """Keep the run's project and output; a failure is told with node, operation, cause and next step. Raises WorkFailed."""
        if outcome.started:
            workplace.archive(self.conf, folder, self.mark, f"{self.run.id}-{self.run.attempt}", outcome.output)
        if not outcome.ok:
            self.tasks.failed(outcome.failures)
            first = outcome.failures[0]
            self.change(status=FAILED, fault=first)
            raise WorkFailed(words(first) + (f" And {len(outcome.failures) - 1} more." if len(outcome.failures) > 1 else ""))


def fault(cause: str, next_step: str) -> dict[str, Any]:
    """What went wrong where no node and no operation is at fault."""
    return {"node": None, "operation": None, "cause": cause, "next_step": next_step, "log": []}


def words(failure: Mapping[str, Any]) -> str:
    """A failure as one text."""
    where = [f"{name} {failure[name]}" for name in ("node", "operation") if failure.get(name)]
    return f"{', '.join(where) or 'The run'}: {failure['cause']}. {failure['next_step']}"


def demand_free(session: Session, topology: Topology, mine: str | None = None) -> None:
    """Raise Locked when another job has the topology."""
    if topology.job_id is None or topology.job_id == mine:
        return
    job = session.query(Job).where(Job.id == topology.job_id, Job.state.in_(jobs.OPEN)).first()
    if job is not None:
        raise Locked(name=topology.name, job=job.id, kind=job.kind, state=job.state)


def again(session: Session, job: Job) -> None:
    """A retry or resume takes the topology's lock. Raises Locked."""
    topology = session.get(Topology, job.input["topology"], with_for_update=True)
    if topology is not None:
        demand_free(session, topology, job.id)
        topology.job_id, topology.status = job.id, PROCESSING


def apply(run: Run) -> dict[str, Any]:
    """Deploy, update, scale or heal, as the input's verb says; the state decides what is left to do."""
    order = Order(run)
    with told(order), workplace.opened(order.conf, order.mark) as folder:
        leftovers.end(MARK, order.mark)
        wanted = uses.of(order.input["wanted"])
        uses.tell(order, [*order.uses, *(one for one in wanted if one not in order.uses)])
        eve = order.eve(folder)
        with designs.opened(order.design(), order.input["wanted"]["design"]["name"], folder) as tree:
            request = request_of(order.mark, order.input["wanted"], pools.usable(order.input["pools"]), tree)
            outcome = getattr(eve, order.input["verb"])(request)
            for note in outcome.plan.notes:
                run.event("note", text=note)
        try:
            order.end(outcome, folder)
        except WorkFailed as failure:
            if order.input.get("on_failure", KEEP) == KEEP:
                raise
            raise WorkFailed(f"{failure} {undone(order, eve, folder)}") from None
        uses.tell(order, wanted)
        run.write(lambda session, _job: session.query(Kept).where(Kept.topology_id == order.id, Kept.name == TOKEN).delete())
        order.change(status=COMPLETED, fault=None, nodes=len(request.template.nodes))
        return {"topology": f"/v1/topologies/{order.id}", "outputs": outcome.state.outputs, "changed": outcome.started}


def workflow(run: Run) -> dict[str, Any]:
    """Run a workflow of the topology's template; a job that is done again goes on where it stopped."""
    order, name = Order(run), run.input["workflow"]
    with told(order), workplace.opened(order.conf, order.mark) as folder:
        leftovers.end(MARK, order.mark)
        eve = order.eve(folder)
        with designs.opened(order.design(), order.input["wanted"]["design"]["name"], folder) as tree:
            usable = pools.usable(order.input["pools"])
            request = request_of(order.mark, order.input["wanted"], usable, tree, {name: order.input["inputs"]})
            outcome = eve.workflow(request, name, run.id)
        order.end(outcome, folder)
        order.change(status=COMPLETED, fault=None)
        return {"topology": f"/v1/topologies/{order.id}", "outputs": outcome.state.outputs, "run": shown(outcome.record)}


def undone(order: Order, eve: Eve, folder: Path) -> str:
    """Take down what a failed job had made; what came of it in words."""
    if not eve.states.load(order.mark).deployed:
        gone(order)
        return "Nothing was left of it."
    outcome = eve.undeploy(order.mark)
    try:
        order.end(outcome, folder)
    except WorkFailed as failure:
        return f"What had been made could not be undeployed either: {failure}"
    gone(order)
    return "What had been made was undeployed, as on_failure asks."


def undeploy(run: Run) -> dict[str, Any]:
    """Take everything down, from the state alone; the record stays, inactive."""
    order = Order(run)
    _taken_down(order)
    return {"topology": f"/v1/topologies/{order.id}", "status": INACTIVE}


def delete(run: Run) -> dict[str, Any]:
    """Take everything down and forget the topology."""
    order = Order(run)
    _taken_down(order)

    def forget(session: Session, _job: Job) -> None:
        session.delete(session.get(Topology, order.id, with_for_update=True))

    run.write(forget)
    return {"topology": None}


def _taken_down(order: Order) -> None:
    with told(order), workplace.opened(order.conf, order.mark) as folder:
        leftovers.end(MARK, order.mark)
        states = States(lambda work: order.run.runtime.db.transact(work, reading=True))
        if states.load(order.mark).deployed:
            eve = order.eve(folder)
            outcome = eve.undeploy(order.mark, force=bool(order.input.get("force")))
            order.end(outcome, folder)
            if outcome.plan.kept:
                kept = "; ".join(f"{name}, which {', '.join(users)} uses" for name, users in outcome.plan.kept.items())
                raise WorkFailed(f"These stay: {kept}. Undeploy those topologies first, or do it again with force.")
        gone(order)


def gone(order: Order) -> None:
    """Nothing of a topology is there any more: neither is what it was made with."""
    if order.credential and (why := authority.revoke(order.conf, order.credential, order.token)):
        order.run.event("credential-stays", id=order.credential["id"], why=why, next_step="Delete it in Keystone.")

    uses.tell(order, ())

    def forget(session: Session, _job: Job) -> None:
        for model in (Kept, StateDocument):
            session.query(model).where(model.topology_id == order.id).delete()

    order.run.write(forget)
    order.change(status=INACTIVE, fault=None)


def cancelled(run: Run) -> None:
    """After a cancel: the state tells what there is; nothing of the run goes on."""
    mark = run.runtime.db.transact(lambda session: (found := session.get(Topology, run.input["topology"])) and found.mark, reading=True)
    if mark is None:
        return
    leftovers.end(MARK, mark)

    def write(session: Session, _job: Job) -> None:
        topology = session.get(Topology, run.input["topology"], with_for_update=True)
        topology.status, topology.fault, topology.updated_at = FAILED, fault(f"job {run.id} was cancelled", CANCELLED), now()

    run.write(write)


class told:  # noqa: N801 - used as a statement
    """Inside it, what stands in the way of a job is the job's failure in words, and the topology's fault."""

    def __init__(self, order: Order):
        self.order = order

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Undeployable | Refused | Problem):
            self._fail(str(error))
            raise WorkFailed(str(error)) from error
        if isinstance(error, WorkFailed):
            self._fail(str(error), unless=FAILED)

    def _fail(self, cause: str, unless: str | None = None) -> None:
        """`unless`: a status with which the fault is already told."""

        def write(session: Session, _job: Job) -> None:
            topology = session.get(Topology, self.order.id, with_for_update=True)
            if topology is not None and topology.status not in (unless, INACTIVE):
                topology.status, topology.updated_at = FAILED, now()
                topology.fault = fault(cause, "Mend the cause and retry the job.")

        self.order.run.write(write)


def request_of(mark: str, wanted: dict[str, Any], usable: Mapping[str, Pool], tree: Any,
               runs: Mapping[str, Mapping[str, Any]] | None = None) -> Request:  # fmt: skip
    """The compiler's request for an order; `runs`: workflows that are to be run, with their inputs.

    Raises the problem that tells every mistake of the design with its place.
    """
    report = designs.template(tree, wanted.get("inputs") or {}, runs, wanted.get("substitutions"))
    if report.exit_code or report.template is None:
        raise designs.found(wanted["design"]["reference"], [one for one in report.problems if one.severity != "warning"])
    return Request(mark, report.template, usable, tree, wanted.get("placement") or {}, wanted.get("instances") or {},
                   choices=wanted.get("choices") or {})  # fmt: skip
