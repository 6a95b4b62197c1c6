"""A run over the cases of a cohort: what is known, what is to do, and telling of both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import miliary
from miliary.cli.progress import Progress
from miliary.cohort.apart import end_servers
from miliary.cohort.attempt import run_apart
from miliary.cohort.engine import Cluster, Event, Watch, run_tasks
from miliary.cohort.events import EventLog
from miliary.cohort.needs import free_mb, jobs_for, need_mb
from miliary.cohort.resume import split_tasks
from miliary.cohort.rows import Outcome, Rival, Task, describe_error, failed_row
from miliary.cohort.shards import Shard
from miliary.cohort.tables import CaseTable
from miliary.config import Config, config_hash
from miliary.io.case_places import remove_leftovers

if TYPE_CHECKING:
    from miliary.cli.run import Options
    from miliary.io.series import SeriesInfo


@dataclass(frozen=True, eq=False)
class Cohort:
    """What is to be run.

    Parameters
    ----------
    out : Path
        The output folder; it exists by the time of the run.
    config : Config
        Every setting.
    options : Options
        How to run.
    shard : Shard
        The part of the cases.
    infos, wanted, refused : list of SeriesInfo
        All series of this part, those to analyse, and those that only get a row.
    """

    out: Path
    config: Config
    options: Options
    shard: Shard
    infos: list[SeriesInfo]
    wanted: list[SeriesInfo]
    refused: list[SeriesInfo]

    @property
    def n_cases(self) -> int:
        """Rows that there will be."""
        return len(self.wanted) + len(self.refused)

    def tasks(self) -> list[Task]:
        """Make the tasks.

        Returns
        -------
        list of Task
            One for each series to analyse.
        """
        studies = defaultdict(list)
        for info in self.infos:
            studies[info.study_key].append(info)
        options = self.options
        return [
            Task(
                info,
                self.out.absolute(),
                self.config,
                options.seed,
                options.dicom,
                options.resume,
                tuple(_rival(other) for other in studies[info.study_key] if other is not info),
            )
            for info in self.wanted
        ]


class Ran(NamedTuple):
    """How a run over a cohort went.

    Parameters
    ----------
    n_done, n_planned : int
        Cases with a row, and all.
    reports : tuple of Path
        Of the cases that did not fail.
    interrupted : bool
        Whether the user has put an end to it.
    """

    n_done: int
    n_planned: int
    reports: tuple[Path, ...]
    interrupted: bool


def run_cohort(cohort: Cohort) -> Ran:
    """Run all cases, and write the tables of what became of them.

    Parameters
    ----------
    cohort : Cohort
        What is to be run.

    Returns
    -------
    Ran
        How it went.
    """
    out, shard = cohort.out, cohort.shard
    cases = {info.case for info in cohort.wanted}
    remove_leftovers(out, cases=cases)
    table = CaseTable(out / shard.name("cases.csv"), [info.case for info in cohort.infos])
    with EventLog(out / shard.name("log.jsonl")) as log, Progress(cohort.n_cases) as progress:
        run = _Run(cohort, table, log, progress)
        try:
            interrupted = run.all()
            log.tell("end", done=run.n_done, planned=cohort.n_cases, interrupted=interrupted)
        finally:
            # A worker that was killed could not clean up.
            remove_leftovers(out, cases=cases)
            # Others ask for the table of a part, be it empty.
            any_told = run.n_done > 0 or shard.n > 1
            table.close(write=any_told)
            if not any_told:
                log.forget()
        if any_told:
            _write_rest(cohort)
    return Ran(run.n_done, cohort.n_cases, tuple(run.reports()), interrupted)


def _write_rest(cohort: Cohort) -> None:
    from miliary.cohort.pages import write_page, write_parquet, write_series_table

    write_series_table(cohort.out / cohort.shard.name("series.csv"), cohort.infos)
    if cohort.shard.n == 1:
        write_page(cohort.out, most=cohort.config.run.page_rows)
        if cohort.options.parquet:
            write_parquet(cohort.out / "cases.csv")


class _Run:
    """What is known while the cases run."""

    def __init__(self, cohort: Cohort, table: CaseTable, log: EventLog, progress: Progress) -> None:
        self._cohort, self._table, self._log, self._progress = cohort, table, log, progress
        self._good: set[str] = set()
        self.n_done = 0

    def all(self) -> bool:
        """Do all cases; tells whether the user has put an end to it."""
        cohort, options = self._cohort, self._cohort.options
        try:
            tasks = cohort.tasks()
            earlier = {task.info.case: self._table.earlier(task.info.case) for task in tasks}
            known, left = split_tasks(tasks, earlier, retry_failed=options.retry_failed)
            cluster = self._cluster(left)
            if not left or cluster.jobs > 1 or cluster.scheduler:
                # Workers have processes of their own: one that waits here is for nothing.
                end_servers()
            self._log.tell("run", **self._facts(), known=len(known), jobs=cluster.jobs)
            for info in cohort.refused:
                self._done(Outcome(failed_row(info, info.code, info.reason)))
            for outcome in known:
                self._done(outcome)
            watch: Watch[Task, Any] = Watch(self._arrived, self._event)
            run_tasks(left, run_apart, cluster, watch, need_mb=self._need_mb)
        except KeyboardInterrupt:
            return True
        return False

    def reports(self) -> list[Path]:
        """Give the reports of the cases that did not fail, in order."""
        infos = self._cohort.wanted
        cases = [info.case for info in infos if info.case in self._good]
        return [self._cohort.out / case / "report.html" for case in cases]

    def _facts(self) -> dict[str, Any]:
        cohort = self._cohort
        return {
            "version": miliary.__version__,
            "config_hash": config_hash(cohort.config),
            "seed": cohort.options.seed,
            "shard": f"{cohort.shard.index}/{cohort.shard.n}",
            "cases": cohort.n_cases,
        }

    def _cluster(self, tasks: Sequence[Task]) -> Cluster:
        settings, options = self._cohort.config.run, self._cohort.options
        whole_mb = settings.memory_share * free_mb()
        jobs = options.jobs or jobs_for([self._need_mb(task) for task in tasks], whole_mb)
        jobs = max(1, min(jobs, len(tasks)))
        return Cluster(jobs, options.scheduler, whole_mb, settings.attempts - 1)

    def _need_mb(self, task: Task) -> float:
        return need_mb(task.info, task.config.run)

    def _event(self, event: Event) -> None:
        if event["event"] != "idle":
            facts = {name: value for name, value in event.items() if name != "event"}
            self._log.tell(event["event"], **facts)
        self._progress.event(event)

    def _arrived(self, task: Task, outcome: Outcome | Exception) -> None:
        if isinstance(outcome, Exception):
            outcome = Outcome(_lost_row(task, outcome))
        self._done(outcome)

    def _done(self, outcome: Outcome) -> None:
        row = outcome.row
        if outcome.kept:
            # What took its time took it in an earlier run.
            earlier = self._table.earlier(row["case"])
            row = row | {name: earlier.get(name) for name in ("seconds", "peak_mb", "run_key")}
        self._table.add(row)
        self.n_done += 1
        if row["status"] != "failed":
            self._good.add(row["case"])
        facts = {name: row[name] for name in ("case", "status", "code", "message", "seconds")}
        self._log.tell("case", **facts, kept=outcome.kept)
        self._progress.done(row, kept=outcome.kept, trace=outcome.trace)


def _rival(info: SeriesInfo) -> Rival:
    return Rival(info.case, info.source, info.code, info.reason)


def _lost_row(task: Task, error: Exception) -> dict[str, Any]:
    """Make the row of a case whose worker died, or which could not be sent to one."""
    if type(error).__name__ == "KilledWorker":
        message = (
            "the workers that had this case died, one after the other; most often for want of "
            "memory: use fewer --jobs and --retry-failed"
        )
        return failed_row(task.info, "E_WORKER", message)
    return failed_row(task.info, "E_INTERNAL", describe_error(error))
