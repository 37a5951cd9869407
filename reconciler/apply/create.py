"""Make one artifact: source → compress → hash → every destination at once; then commit at each, manifest last."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import NamedTuple, cast

import msgspec

from reconciler import __version__
from reconciler.apply.commit import Upload
from reconciler.apply.result import Result
from reconciler.errors import ReconcilerError, SourceError
from reconciler.manifests import encode
from reconciler.model import Backup, Codec, Create, Fleet, Manifest, Plan, SourceReport, Target
from reconciler.pipeline.compress import compressor
from reconciler.pipeline.transfer import Transferred, transfer
from reconciler.ports import Progress, Source, TargetKind, World

_NOTHING = (
    "the source ended well and gave not a single byte: that is no backup. Of a pipeline, sh sees only the last command fail: "
    "run the first one alone, or let bash run it with `set -o pipefail`"
)
_UNPACK: dict[Codec, str] = {"zstd": "zstd -d -c", "gzip": "gzip -d -c", "none": "cat"}


def create(action: Create, plan: Plan, fleet: Fleet, world: World, progress: Progress) -> Result:
    """Make the artifact. Raises ReconcilerError when nothing was committed anywhere."""
    backup, target = _find(fleet, action)
    with ExitStack() as stack:
        uploads, failures = _announce(action, fleet, world, stack)
        if not uploads:
            raise ReconcilerError("no destination took it: " + "; ".join(failures.values()))
        with _opened(target, world) as source:
            writers = {name: upload.writer for name, upload in uploads.items()}
            moved = transfer(source.chunks(), compressor(backup.compression), writers, progress.advanced)
            failures |= {name: str(error) for name, error in moved.failures.items()}
            if len(moved.failures) == len(uploads):
                raise ReconcilerError("every destination failed: " + "; ".join(failures.values()))
            report = source.finish()
            if not moved.source_size:
                raise SourceError(_NOTHING)
        whole = {name: upload for name, upload in uploads.items() if name not in moved.failures}
        made = _Made(backup, target, moved, report)
        failures |= _commit(whole, encode(_manifest(action, plan, made, world.clock.now())))
    if len(failures) == len(action.destinations):
        raise ReconcilerError("no destination took it: " + "; ".join(failures.values()))
    return Result(failures=failures, warnings=report.warnings, size=moved.size)


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


def _manifest(action: Create, plan: Plan, made: _Made, finished: datetime) -> Manifest:
    backup, target, moved, report = made
    codec = backup.compression.codec
    by_hand = f"{_UNPACK[codec]} < {action.key.rpartition('/')[2]} | {cast(TargetKind, target).restore_command(action.key)}"
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
        compression=codec,
        target_digest=_digest(target),
        spec_digest=_digest(backup),
        spec_commit=plan.commit,
        restore=by_hand,
        tool=f"reconciler {__version__}",
        facts=report.facts,
        fingerprint=report.fingerprint,
        warnings=report.warnings,
    )


def _digest(spec: Target | Backup) -> str:
    """sha256 of a spec, by which a later one can be told from it."""
    return hashlib.sha256(msgspec.json.encode(spec, order="deterministic")).hexdigest()
