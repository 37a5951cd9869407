"""Make one artifact: source → compress → encrypt → hash → every destination at once; then commit at each, manifest last.

Its hooks run around that, and containers are held while the source is read: docs/hooks.md has the order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from typing import NamedTuple, cast

import msgspec

from reconciler import __version__
from reconciler.adapters.secrets import resolve
from reconciler.apply.commit import Upload
from reconciler.apply.result import Result
from reconciler.errors import ReconcilerError, SourceError
from reconciler.lifecycle.environment import Facts
from reconciler.lifecycle.hold import Hold, held
from reconciler.lifecycle.hooks import Hooks, hooks_of
from reconciler.manifests import encode
from reconciler.model import Backup, Codec, Create, Fleet, Manifest, Phase, Plan, SourceReport, Target
from reconciler.pipeline.compress import compressor
from reconciler.pipeline.encrypt import Sealer, decrypt_command, sealer
from reconciler.pipeline.transfer import Transferred, transfer
from reconciler.ports import Progress, Source, TargetKind, World

_NOTHING = (
    "the source ended well and gave not a single byte: that is no backup. Of a pipeline, sh sees only the last command fail: "
    "run the first one alone, or let bash run it with `set -o pipefail`"
)
_BEFORE_COMMIT: tuple[Phase, ...] = ("archive-post", "process-pre", "process-post", "copy-pre")
_UNPACK: dict[Codec, str] = {"zstd": "zstd -d -c", "gzip": "gzip -d -c", "none": "cat"}


def create(action: Create, plan: Plan, fleet: Fleet, world: World, progress: Progress) -> Result:
    """Make the artifact, with its hooks around it; everything that failed is in the result."""
    backup, target = _find(fleet, action)
    container = fleet.live.containers.get(target.id, target.uses.container)
    facts = _facts(action, backup, target, world.node, container)
    hooks = Hooks(hooks_of(fleet, target.id), facts, world, progress, container)
    making = _Making(action, plan, fleet, world, progress, backup, target, hooks)
    try:
        result = _outcome(making)
    except BaseException as error:
        also = (*hooks.fail(str(error) or "interrupted"), *hooks.end())
        if not isinstance(error, ReconcilerError):
            raise
        result = Result(error="; ".join((str(error), *also)))
    else:
        late = hooks.end()
        result = result._replace(error="; ".join(filter(None, (result.error, *late))))
    return result._replace(warnings=(*result.warnings, *hooks.warnings), hooks=tuple(hooks.outcomes))


class _Making(NamedTuple):
    """One artifact in the making, and what it takes."""

    action: Create
    plan: Plan
    fleet: Fleet
    world: World
    progress: Progress
    backup: Backup
    target: Target
    hooks: Hooks


def _outcome(making: _Making) -> Result:
    """Make it, then run the hooks that follow. Raises ReconcilerError when nothing was committed anywhere."""
    hooks = making.hooks
    result, trouble = _make(making)
    try:
        if trouble or result.failures:
            raise ReconcilerError(trouble or "; ".join(result.failures.values()))
        hooks.run("copy-post")
        hooks.run("success")
    except ReconcilerError as error:
        also = hooks.fail(str(error))
        told = () if result.failures and not trouble else (f"{error}. The artifact itself was committed",)
        return result._replace(error="; ".join((*told, *also)))
    return result


def _make(making: _Making) -> tuple[Result, str]:
    """Read, and commit everywhere; also what is wrong although the artifact is good. Raises ReconcilerError."""
    action, _, fleet, world, _, backup, target, hooks = making
    seal = sealer(backup.encryption, resolve)
    with ExitStack() as stack:
        hooks.run("archive-pre")
        uploads, failures = _announce(action, fleet, world, stack)
        if not uploads:
            raise ReconcilerError("no destination took it: " + "; ".join(failures.values()))
        hold = stack.enter_context(
            held(
                target.uses,
                fleet.quiesce_of(target.id),
                fleet.live.stops.get(target.id, ()),
                world,
                str(target.id),
            )
        )
        moved, report = _read(making, hold, uploads, seal)
        failures |= {name: str(error) for name, error in moved.failures.items()}
        if len(moved.failures) == len(uploads):
            raise ReconcilerError("every destination failed: " + "; ".join(failures.values()))
        if not moved.source_size:
            raise SourceError(_NOTHING)
        hooks.learn(size=moved.size, source_size=moved.source_size, sha256=moved.sha256)
        for phase in _BEFORE_COMMIT:
            hooks.run(phase)
        whole = {name: upload for name, upload in uploads.items() if name not in moved.failures}
        made = _Made(backup, target, moved, report, seal)
        failures |= _commit(whole, encode(_manifest(action, making.plan, made, world.clock.now())))
        if len(failures) == len(action.destinations):
            raise ReconcilerError("no destination took it: " + "; ".join(failures.values()))
        hold.settle()
    warnings = (*report.warnings, *hold.warnings, *_doubts(target, action, moved))
    return Result(failures=failures, warnings=warnings, size=moved.size), hold.trouble


def _read(
    making: _Making, hold: Hold, uploads: Mapping[str, Upload], seal: Sealer | None
) -> tuple[Transferred, SourceReport]:
    """Everything from the source to every writer; what is held comes back as soon as the last byte was read."""
    reports: list[SourceReport] = []

    def chunks(source: Source) -> Generator[bytes]:
        try:
            yield from source.chunks()
            reports.append(source.finish())
            hold.check()
        finally:
            hold.release()

    writers = {name: upload.writer for name, upload in uploads.items()}
    compress = compressor(making.backup.compression)
    advanced = partial(making.progress.advanced, making.target.id)
    with _opened(making.target, making.world) as source:
        hold.on_expiry(source.close)
        try:
            moved = transfer(chunks(source), compress, writers, advanced, seal)
        except ReconcilerError:
            hold.check()  # where the downtime ended the reading, that is the reason
            raise
    return moved, reports[0] if reports else SourceReport()


def _doubts(target: Target, action: Create, moved: Transferred) -> Iterator[str]:
    """Signs that a dump is not whole although it ended well: only where nothing in its format tells."""
    if target.kind != "command":
        return
    least = getattr(target, "least", 0)
    if moved.source_size < least:
        yield f"the dump has {moved.source_size} bytes, less than minSize ({least}): is it whole?"
    if moved.size * 2 < action.estimate:
        yield f"the dump is less than half as large as the last one ({moved.size} of {action.estimate} bytes): is it whole?"


def _facts(action: Create, backup: Backup, target: Target, node: str, container: str) -> Facts:
    uses = target.uses
    return Facts(
        node=node,
        service=target.id.service,
        type=target.id.type,
        kind=target.kind,
        backup=backup.name,
        tier=action.tier,
        key=action.key,
        destinations=action.destinations,
        volume=uses.volumes[0] if uses.volumes else "",
        container=container,
    )


def _find(fleet: Fleet, action: Create) -> tuple[Backup, Target]:
    for backup in fleet.backups:
        for target in backup.targets:
            if target.id == action.target:
                return backup, target
    raise ReconcilerError(f"no spec names the target {action.target}")


def _announce(
    action: Create, fleet: Fleet, world: World, stack: ExitStack
) -> tuple[dict[str, Upload], dict[str, str]]:
    """An upload at each destination that takes one, and why the others do not."""
    uploads: dict[str, Upload] = {}
    failures: dict[str, str] = {}
    for name in action.destinations:
        try:
            store = world.store(fleet.destination(name))
            uploads[name] = stack.enter_context(Upload(store, action.key, world.node, world.clock.now()))
        except ReconcilerError as error:
            failures[name] = str(error)
    return uploads, failures


@contextmanager
def _opened(target: Target, world: World) -> Iterator[Source]:
    source = cast(TargetKind, target).open(world.host)
    try:
        yield source
    finally:
        source.close()


def _commit(uploads: Mapping[str, Upload], manifest: bytes) -> dict[str, str]:
    """Commit everywhere at the same time; why it failed, by destination."""

    def attempt(upload: Upload) -> str:
        try:
            upload.commit(manifest)
        except ReconcilerError as error:
            return str(error) or type(error).__name__
        return ""

    with ThreadPoolExecutor(max(1, len(uploads)), "commit") as pool:
        results = zip(uploads, pool.map(attempt, uploads.values()), strict=True)
        return {name: why for name, why in results if why}


class _Made(NamedTuple):
    """An artifact that was written and is not yet committed."""

    backup: Backup
    target: Target
    moved: Transferred
    report: SourceReport
    seal: Sealer | None


def _manifest(action: Create, plan: Plan, made: _Made, finished: datetime) -> Manifest:
    backup, target, moved, report, seal = made
    return Manifest(
        key=action.key,
        service=target.id.service,
        type=target.id.type,
        kind=target.kind,
        tier=action.tier,
        sha256=moved.sha256,
        size=moved.size,
        source_size=moved.source_size,
        files=report.files,
        started=plan.now,
        finished=finished,
        compression=backup.compression.codec,
        target_digest=_digest(target),
        spec_digest=_digest(backup),
        spec_commit=plan.commit,
        restore=_by_hand(action.key, made),
        tool=f"reconciler {__version__}",
        facts=report.facts,
        fingerprint=report.fingerprint,
        warnings=report.warnings,
        encryption=seal.sealed if seal else None,
    )


def _by_hand(key: str, made: _Made) -> str:
    """The line that restores it without this program."""
    steps = [_UNPACK[made.backup.compression.codec], cast(TargetKind, made.target).restore_command(key)]
    if made.seal:
        steps.insert(0, decrypt_command(made.seal.sealed))
    first, *others = steps
    return " | ".join([f"{first} < {key.rpartition('/')[2]}", *others])


def _digest(spec: Target | Backup) -> str:
    """sha256 of a spec, by which a later one can be told from it."""
    return hashlib.sha256(msgspec.json.encode(spec, order="deterministic")).hexdigest()
