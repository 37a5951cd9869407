"""Looks at destinations past the product's own code: whether anything partial is ever listed as a copy."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from reconciler.naming import parse, parse_lease
from tests.parts.s3 import S3Server


class Place(Protocol):
    """A destination, as a stranger sees it."""

    def sizes(self) -> dict[str, int]:
        """Size of every object by its key."""

    def content(self, key: str) -> bytes | None:
        """An object; None when it is not there."""

    def remove(self, key: str) -> None:
        """Delete an object."""


class Folder:
    """A folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def sizes(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for path in self.root.rglob("*"):
            try:
                if path.is_file():
                    found[str(path.relative_to(self.root))] = path.stat().st_size
            except FileNotFoundError:
                continue
        return found

    def content(self, key: str) -> bytes | None:
        try:
            return (self.root / key).read_bytes()
        except FileNotFoundError:
            return None

    def remove(self, key: str) -> None:
        (self.root / key).unlink()


class Bucket:
    """The prefix ``backups/`` of a bucket."""

    def __init__(self, server: S3Server, name: str) -> None:
        self.server = server
        self.name = name
        self._client: Any = server.client()

    def sizes(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for page in self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix="backups/"
        ):
            found |= {item["Key"].removeprefix("backups/"): item["Size"] for item in page.get("Contents", ())}
        return found

    def content(self, key: str) -> bytes | None:
        try:
            data: bytes = self._client.get_object(Bucket=self.name, Key=f"backups/{key}")["Body"].read()
        except self._client.exceptions.NoSuchKey:
            return None
        return data

    def remove(self, key: str) -> None:
        self._client.delete_object(Bucket=self.name, Key=f"backups/{key}")


def copies(sizes: Mapping[str, int]) -> set[str]:
    """The keys of all artifacts that have a manifest. An empty one commits nothing."""
    return {
        key.removesuffix(".json")
        for key in sizes
        if sizes[key] and key.endswith(".json") and parse(key.removesuffix(".json"))
    }


def others(sizes: Mapping[str, int]) -> set[str]:
    """What is neither a copy, nor its manifest, nor the marker, nor a lease."""
    listed = copies(sizes)
    ours = listed | {f"{key}.json" for key in listed} | {".reconciler.json"}
    return {key for key in sizes if key not in ours and parse_lease(key) is None}


def partial(place: Place, *, deep: bool) -> list[str]:
    """The copies that are not what their manifest says: by size, and ``deep`` by sha256. Only what stays so is counted."""
    sizes = place.sizes()
    wrong: list[str] = []
    for key in copies(sizes):
        manifest = place.content(f"{key}.json")
        if manifest is not None and (why := _fault(place, key, manifest, sizes, deep=deep)):
            wrong.append(f"{key}: {why}")
    return wrong


def _fault(place: Place, key: str, manifest: bytes, sizes: Mapping[str, int], *, deep: bool) -> str:
    said = json.loads(manifest)
    fault = "" if sizes.get(key) == said["size"] else f"{sizes.get(key)} bytes instead of {said['size']}"
    if deep and not fault:
        data = place.content(key)
        if data is None or hashlib.sha256(data).hexdigest() != said["sha256"]:
            fault = "other bytes than its manifest says"
    if fault and not deep and place.content(f"{key}.json") == manifest:  # not just being pruned: look again
        now = place.sizes()
        return fault if f"{key}.json" in now and now.get(key) != said["size"] else ""
    return fault


class Observer:
    """Looks at places again and again, in a thread of its own."""

    def __init__(self, places: list[Place]) -> None:
        self._places = places
        self._stop = threading.Event()
        self.looks = 0
        self.seen: list[str] = []

    def _run(self) -> None:
        while not self._stop.is_set():
            for place in self._places:
                self.seen += partial(place, deep=False)
            self.looks += 1
            self._stop.wait(0.02)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look while the block runs."""
        thread = threading.Thread(target=self._run, name="observer")
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
