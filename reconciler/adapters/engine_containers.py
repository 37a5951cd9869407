"""Stopping, starting and pausing containers, and scaling services. A base of ``adapters.docker`` alone.

Each call asks the Engine for a state, and is content when it is so already: a recovery may repeat what was done.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from typing import Any

from reconciler.adapters.engine_forms import Gone, container_of_inspection
from reconciler.errors import EngineError
from reconciler.ports import Container, Service

_SLACK = 60.0  # seconds that the Engine gets beyond the time that a container may take to stop


class Containers:
    """The calls of ports.Engine that change whether containers run."""

    _api: Any

    def calling(self, doing: str) -> AbstractContextManager[None]:
        """What the library raises inside the block, as EngineError; Gone for what does not exist."""
        raise NotImplementedError

    def container(self, name: str) -> Container | None:
        """One container by name or id; None when there is none."""
        try:
            with self.calling(f"looking at container {name}"):
                return container_of_inspection(self._api.inspect_container(name))
        except Gone:
            return None

    def stop(self, container: str, timeout: float | None) -> None:
        """Stop it, and kill it after ``timeout`` seconds."""
        with self.calling(f"stopping container {container}"):
            if timeout is None:
                timeout = container_of_inspection(self._api.inspect_container(container)).stop_timeout
            asked = {"t": math.ceil(timeout)}
            wait = timeout + _SLACK
            url = self._api._url("/containers/{0}/stop", container)  # noqa: SLF001 - stop() there hides the timeout
            answer = self._api._post(url, params=asked, timeout=wait)  # noqa: SLF001
            if answer.status_code != 304:
                self._api._raise_for_status(answer)  # noqa: SLF001

    def start(self, container: str) -> None:
        """Start it."""
        with self.calling(f"starting container {container}"):
            self._api.start(container)

    def pause(self, container: str) -> None:
        """Freeze it; paused already is good."""
        with self.calling(f"pausing container {container}"):
            if not self._is_paused(container):
                self._api.pause(container)

    def unpause(self, container: str) -> None:
        """Let it go on; not paused is good."""
        with self.calling(f"continuing container {container}"):
            if self._is_paused(container):
                self._api.unpause(container)

    def _is_paused(self, container: str) -> bool:
        return bool(self._api.inspect_container(container)["State"]["Paused"])

    def service(self, name: str) -> Service | None:
        """A Swarm service with the number of its running tasks; None without one, or without a Swarm."""
        try:
            with self.calling(f"looking at service {name}"):
                found = self._api.inspect_service(name)
                tasks = self._api.tasks(filters={"service": found["ID"]})
        except Gone:
            return None
        except EngineError as error:
            if "not a swarm manager" in str(error):
                return None
            raise
        mode = found["Spec"]["Mode"]
        replicas = mode["Replicated"].get("Replicas", 1) if "Replicated" in mode else None
        wanted = [task["DesiredState"] == "running" for task in tasks if task["Status"]["State"] == "running"]
        labels = found["Spec"].get("Labels") or {}
        return Service(
            found["ID"],
            found["Spec"]["Name"],
            replicas,
            sum(wanted),
            labels,
            ending=len(wanted) - sum(wanted),
        )

    def scale(self, service: str, replicas: int) -> None:
        """Ask for so many tasks; all else of the service stays as it is."""
        with self.calling(f"scaling service {service} to {replicas}"):
            found = self._api.inspect_service(service)
            spec = found["Spec"] | {"Mode": {"Replicated": {"Replicas": replicas}}}
            url = self._api._url("/services/{0}/update", found["ID"])  # noqa: SLF001 - the whole spec, unchanged
            version = {"version": found["Version"]["Index"]}
            answer = self._api._post_json(url, data=spec, params=version)  # noqa: SLF001
            self._api._raise_for_status(answer)  # noqa: SLF001
