"""Backup and restore of a 1 GiB tree against tar + zstd, restic and borg, and encrypted; peak memory; the plan of a large fleet.

usage: python -m benchmarks [FOLDER]   (scratch space, 12 GiB; default: build/bench)
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

from benchmarks import plan
from benchmarks.measure import Contest, Run, compare, run
from benchmarks.tree import build

ROUNDS = 3
GIB = 1 << 30
RECONCILER = (sys.executable, "-m", "reconciler")
PASSWORDS = {
    "RESTIC_PASSWORD": "bench",
    "BORG_PASSPHRASE": "bench",
    "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
    "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
}

RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"

SPEC = """\
apiVersion: reconciler/v1
kind: Destination
metadata: {{name: disk}}
spec: {{url: "file://{root}/ours"}}
---
apiVersion: reconciler/v1
kind: Backup
metadata: {{name: bench}}
spec:
  schedule: "@daily"
  destinations: [disk]
  targets: [{{name: bench, kind: path, path: {tree}}}]{encryption}
---
apiVersion: reconciler/v1
kind: Policy
metadata: {{name: fleet}}
spec: {{rule321: "off"}}
"""


def clear(*folders: Path) -> None:
    """Remove folders of an earlier round."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def specs(root: Path, tree: Path) -> Path:
    """The folder of specs that backs ``tree`` up to ``root/ours``."""
    return root / "specs" / tree.name


def first_time(root: Path, tree: Path, encryption: str = "") -> Path:
    """The same, in a repository of its own that has never seen the destination; and an empty destination."""
    folder = specs(root, tree)
    clear(folder, root / "ours")
    folder.mkdir(parents=True)
    block = f"\n  encryption: {encryption}" if encryption else ""
    (folder / "bench.yaml").write_text(SPEC.format(root=root, tree=tree, encryption=block))
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    return folder


def backups(root: Path, tree: Path, log: Path) -> dict[str, list[Run]]:
    """First backups of the whole tree, each to an empty place on the same disk."""
    shell, restic, borg = (root / name for name in ("shell", "restic", "borg"))
    pipeline = (
        f"tar -c -C {tree} . | zstd -q -T0 -3 | tee {shell}/out.tar.zst | sha256sum >{shell}/out.sha256"
    )

    def fresh_shell() -> None:
        clear(shell)
        shell.mkdir()

    def fresh_restic() -> None:
        clear(restic)
        run(["restic", "init", "-r", str(restic)], log, PASSWORDS)

    def fresh_borg() -> None:
        clear(borg)
        run(["borg", "init", "--encryption=none", str(borg)], log, PASSWORDS)

    return compare(
        [
            Contest(
                "reconciler",
                lambda: first_time(root, tree),
                [*RECONCILER, "apply", str(specs(root, tree))],
                {},
                tree,
            ),
            Contest(
                "tar|zstd|tee|sha256sum", fresh_shell, ["bash", "-o", "pipefail", "-c", pipeline], {}, tree
            ),
            Contest(
                "restic", fresh_restic, ["restic", "-r", str(restic), "backup", str(tree)], PASSWORDS, tree
            ),
            Contest(
                "borg",
                fresh_borg,
                ["borg", "create", "-C", "zstd,3", f"{borg}::one", str(tree)],
                PASSWORDS,
                tree,
            ),
        ],
        ROUNDS,
        log,
    )


def restores(root: Path, tree: Path, log: Path) -> dict[str, list[Run]]:
    """Restores of what ``backups`` made, each into an empty folder on the same disk."""
    out = {name: root / f"out-{name}" for name in ("ours", "shell", "restic", "borg")}
    kept = {name: root / name for name in out} | {"shell": root / "ours"}
    artifact = next((root / "ours").glob("*/*.tar.zst"))
    by_hand = f"mkdir {out['shell']} && zstd -q -d -c {artifact} | tar -x -C {out['shell']}"
    to = ["--specs", str(specs(root, tree)), "--to", f"path:{out['ours']}"]
    borg = f"mkdir {out['borg']} && cd {out['borg']} && borg extract {root}/borg::one"

    def fresh(name: str) -> Contest:
        commands = {
            "ours": [*RECONCILER, "restore", "bench", *to],
            "shell": ["bash", "-o", "pipefail", "-c", by_hand],
            "restic": [
                "restic",
                "-r",
                str(root / "restic"),
                "restore",
                "latest",
                "--target",
                str(out["restic"]),
            ],
            "borg": ["bash", "-c", borg],
        }
        titles = {"ours": "reconciler", "shell": "zstd -d | tar x", "restic": "restic", "borg": "borg"}
        return Contest(titles[name], lambda: clear(out[name]), commands[name], PASSWORDS, kept[name])

    try:
        return compare([fresh(name) for name in out], ROUNDS, log)
    finally:
        clear(*out.values())


def encrypted(root: Path, tree: Path, log: Path) -> dict[str, list[Run]]:
    """First backups of the same tree, plain and in each way of encryption."""
    home = root / "gpg"
    clear(home)
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback", "--passphrase", ""]
    run([*gpg, "--quick-generate-key", "bench@example.com", "future-default", "default", "never"], log)
    run([*gpg, "--armor", "--output", str(root / "gpg/key.asc"), "--export", "bench@example.com"], log)
    ways = {
        "reconciler": "",
        "… age, recipient": f"{{age: {{recipients: [{RECIPIENT}]}}}}",
        "… age, passphrase": "{age: {passphrase: {fromEnv: BENCH_PASSPHRASE}}}",
        "… gpg, recipient": f"{{gpg: {{recipients: [{root}/gpg/key.asc]}}}}",
        "… gpg, passphrase": "{gpg: {passphrase: {fromEnv: BENCH_PASSPHRASE}}}",
    }

    def contest(name: str, way: str) -> Contest:
        command = [*RECONCILER, "apply", str(specs(root, tree))]
        return Contest(
            name, lambda: first_time(root, tree, way), command, {"BENCH_PASSPHRASE": "bench"}, tree
        )

    try:
        return compare([contest(name, way) for name, way in ways.items()], ROUNDS, log)
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)


def memory(root: Path, sizes: tuple[int, ...], log: Path) -> dict[int, Run]:
    """One backup of a tree of each size."""
    results = {}
    for size in sizes:
        tree = root / f"tree-{size // GIB}"
        build(tree, size)
        command = [*RECONCILER, "apply", str(first_time(root, tree))]
        results[size] = run(command, log)
    return results


def show(title: str, results: dict[str, list[Run]], *, inverse: bool = False) -> None:
    """A table of medians; the ratio of our time to a peer's, or the ``inverse``, is taken round by round."""
    ours = results["reconciler"]
    print(f"\n{title:<26} {'seconds':>8} {'this/plain' if inverse else 'ours/this':>10} {'peak MiB':>9}")
    for name, runs in results.items():
        seconds = median(run.seconds for run in runs)
        pairs = zip(runs, ours, strict=True) if inverse else zip(ours, runs, strict=True)
        ratio = median(one.seconds / other.seconds for one, other in pairs)
        memory = max(run.memory for run in runs) / (1 << 20)
        print(f"{name:<26} {seconds:>8.2f} {ratio:>10.2f} {memory:>9.0f}")


def main() -> None:
    """Run everything and print it."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "build/bench").resolve()
    root.mkdir(parents=True, exist_ok=True)
    tree, log = root / "tree-1", root / "log"
    files = build(tree, GIB)
    print(f"1 GiB in {files} files; medians of {ROUNDS} rounds after one that warms up, contestants in turn")
    show("first backup", backups(root, tree, log))
    show("restore", restores(root, tree, log))
    show("encrypted backup", encrypted(root, tree, log), inverse=True)
    print(f"\n{'peak memory of a backup':<26} {'seconds':>8} {'peak MiB':>9}")
    for size, result in memory(root, (GIB, 4 * GIB), log).items():
        print(f"{size // GIB} GiB {'':<20} {result.seconds:>8.2f} {result.memory / (1 << 20):>9.0f}")
    print()
    plan.main()


if __name__ == "__main__":
    main()
