"""The calls that this program makes to the Engine, and what each may ask for. Pure; `engine_proxy` lets nothing else through.

docs/security.md has the same list with what each call is for; a test compares the two with what a real run calls.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

_VERSION = re.compile(r"^/v\d+\.\d+(?=/)", re.ASCII)
_PARTS = {
    "NAME": r"[A-Za-z0-9][A-Za-z0-9_.-]*",
    "IMAGE": r"[A-Za-z0-9](?:[A-Za-z0-9_.:/-]|%40)*",
}
_LOOKS = ("GET", "HEAD")
_EMPTY: tuple[object, ...] = (None, False, "", [], {})


class Refusal(Exception):
    """Why a call is not let through."""


Body = Callable[[dict[str, Any]], dict[str, Any]]
"""What may be in a body: gives back what of it is sent. Raises Refusal."""


class Call(NamedTuple):
    """One call. ``path`` is without the version; NAME and IMAGE stand for names.

    ``query`` names what may be asked for, and where there is just one value, that; of what changes nothing it may be anything.
    A body is judged by ``body``, goes through as it is where the call ``streams``, and is refused otherwise.
    """

    method: str
    path: str
    body: Body | None = None
    query: Mapping[str, str | None] = {}
    streams: bool = False
    swarm: bool = False

    def fits(self, method: str, path: str) -> bool:
        """Whether it is this one."""
        pattern = re.sub("|".join(_PARTS), lambda part: _PARTS[part[0]], self.path)
        return method == self.method and re.fullmatch(pattern, path) is not None


def judge(method: str, target: str, *, swarm: bool) -> Call:
    """The call that a request line is. Raises Refusal when it is none of ours."""
    asked = urlsplit(target)
    path = _VERSION.sub("", asked.path, count=1)
    call = next((call for call in CALLS if call.fits(method, path)), None)
    if call is None or ".." in path.split("/") or "#" in target or not target.startswith("/"):
        raise Refusal("not one of the calls that are let through")
    if call.swarm and not swarm:
        raise Refusal("services of a Swarm are let through with --swarm alone")
    _check_query(call, parse_qs(asked.query, keep_blank_values=True))
    return call


def _check_query(call: Call, query: Mapping[str, list[str]]) -> None:
    """Raises Refusal. A query can turn a call into another one: a start into one from a checkpoint, an import into a pull."""
    for name, value in call.query.items():
        if value is not None and query.get(name) != [value]:
            raise Refusal(f"it needs {name}={value}")
    if call.method not in _LOOKS and (other := sorted(query.keys() - call.query.keys())):
        raise Refusal(f"it takes no {', '.join(other)}")


def checked(judge_body: Body, data: bytes) -> bytes:
    """The body that is sent on: what was asked for and may be, written anew. Raises Refusal."""
    try:
        asked = json.loads(data, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"its body is no JSON: {error}") from None
    if not isinstance(asked, dict):
        raise Refusal("its body is no JSON object")
    return json.dumps(judge_body(asked)).encode()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name.lower() for name, _ in pairs}) < len(pairs):
        raise Refusal("a key of its body is there twice")
    return dict(pairs)


def _only(asked: dict[str, Any], *names: str, what: str) -> dict[str, Any]:
    """What is set in it. Raises Refusal for anything beside ``names``."""
    found = {name: value for name, value in asked.items() if value not in _EMPTY}
    if other := sorted(found.keys() - set(names)):
        raise Refusal(f"{what} with {', '.join(other)}")
    return found


def _scratch(asked: dict[str, Any]) -> dict[str, Any]:
    """A container that mounts one volume at /v, and nothing of the machine."""
    what = "a container that is not one of ours for reading a volume:"
    found = _only(asked, "Image", "Labels", "HostConfig", "AttachStdout", "AttachStderr", what=what)
    host = _only(found.get("HostConfig") or {}, "NetworkMode", "Mounts", what=what)
    mounts = host.get("Mounts") or []
    if list(found.get("Labels") or ()) != ["io.reconciler.scratch"] or host.get("NetworkMode") != "none":
        raise Refusal(f"{what} its label, or a network")
    if len(mounts) != 1 or not str(found.get("Image")).startswith("sha256:"):
        raise Refusal(f"{what} its image, or its mounts")
    mount = _only(mounts[0], "Type", "Source", "Target", "ReadOnly", "VolumeOptions", what=what)
    _only(mount.get("VolumeOptions") or {}, "NoCopy", what=what)
    source = str(mount.get("Source"))
    if (
        mount.get("Type") != "volume"
        or mount.get("Target") != "/v"
        or not re.fullmatch(_PARTS["NAME"], source)
    ):
        raise Refusal(f"{what} a mount of {mount.get('Type')} {source}")
    return found | {"HostConfig": host | {"Mounts": [mount]}}


def _command(asked: dict[str, Any]) -> dict[str, Any]:
    """A command in a container; never a privileged one."""
    names = ("Container", "User", "Cmd", "Env", "WorkingDir", "AttachStdin", "AttachStdout", "AttachStderr")
    return _only(asked, *names, what="a command")


def _volume(asked: dict[str, Any]) -> dict[str, Any]:
    """A volume without options of its driver, which could make it a folder of the machine."""
    found = _only(
        asked, "Name", "Driver", "Labels", what="a volume (make it by hand, then restore with --overwrite)"
    )
    if found.get("Driver", "local") != "local":
        raise Refusal("a volume of a plug-in (make it by hand, then restore with --overwrite)")
    return found


CALLS = (
    Call("GET", "/_ping"),
    Call("GET", "/version"),
    Call("GET", "/info"),
    Call("GET", "/containers/json"),
    Call("GET", "/containers/NAME/json"),
    Call("GET", "/images/json"),
    Call("GET", "/images/IMAGE/json"),
    Call("GET", "/volumes"),
    Call("GET", "/volumes/NAME"),
    Call("POST", "/containers/NAME/exec", _command),
    Call("POST", "/exec/NAME/start", streams=True),
    Call("GET", "/exec/NAME/json"),
    Call("POST", "/containers/NAME/stop", query={"t": None}),
    Call("POST", "/containers/NAME/start"),
    Call("POST", "/containers/NAME/pause"),
    Call("POST", "/containers/NAME/unpause"),
    Call("POST", "/images/create", query={"fromSrc": "-", "changes": None}, streams=True),
    Call("POST", "/containers/create", _scratch),
    Call("HEAD", "/containers/NAME/archive"),
    Call("GET", "/containers/NAME/archive"),
    Call("PUT", "/containers/NAME/archive", query={"path": None}, streams=True),
    Call("DELETE", "/containers/NAME", query={"force": None, "link": None, "v": None}),
    Call("DELETE", "/images/IMAGE", query={"force": None, "noprune": None}),
    Call("GET", "/images/get"),
    Call("POST", "/images/load", streams=True),
    Call("POST", "/volumes/create", _volume),
    Call("DELETE", "/volumes/NAME"),
    Call("GET", "/services/NAME", swarm=True),
    Call("GET", "/tasks", swarm=True),
    Call("POST", "/services/NAME/update", query={"version": None}, streams=True, swarm=True),
)
