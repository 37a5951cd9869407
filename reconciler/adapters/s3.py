"""Calls to one S3 bucket: retried, bounded in time, with errors in our own words. Used by ``destinations.s3`` alone."""

from __future__ import annotations

from typing import Any

from reconciler.adapters import store
from reconciler.adapters.store import Place, reason
from reconciler.errors import StoreError

SLOWEST = 64 << 10
"""Bytes per second below which an upload of a part counts as hung."""

REFUSED = frozenset(
    [
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "TokenRefreshRequired",
        "AccountProblem",
        "RequestTimeTooSkewed",
        "InvalidSecurity",
        "NotSignedUp",
    ]
)
ELSEWHERE = frozenset(
    ["PermanentRedirect", "Redirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "301", "307"]
)
BUSY = frozenset(
    [
        "InternalError",
        "ServiceUnavailable",
        "SlowDown",
        "RequestTimeout",
        "OperationAborted",
        "Throttling",
        "ConditionalRequestConflict",
    ]
)
ABSENT = frozenset(["NoSuchKey", "404"])
PRESENT = frozenset(["PreconditionFailed", "412"])
DENIED = frozenset(["AccessDenied", "AllAccessDisabled", "403"])
NOT_LISTED = DENIED | {"NotImplemented", "MethodNotAllowed", "501", "405", "NoSuchUpload"}


class Bucket:
    """Calls to one bucket: retried, bounded in time, with errors in our own words."""

    def __init__(self, place: Place, fs: Any, name: str, prefix: str) -> None:
        self.place = place
        self.fs = fs
        self.name = name
        self.prefix = prefix

    def call(self, method: str, what: str, key: str = "", **arguments: Any) -> dict[str, Any]:
        """The answer to an S3 call about ``key``. Raises StoreError, Missing, Unreachable."""
        if key:
            arguments["Key"] = self.prefix + key
        seconds = 2 * store.CALL_SECONDS + len(arguments.get("Body", b"")) / SLOWEST

        def attempt() -> dict[str, Any]:
            answer: dict[str, Any] = self.fs.call_s3(method, Bucket=self.name, timeout=seconds, **arguments)
            return answer

        try:
            return store.persist(attempt, is_transient)
        except Exception as error:
            raise self.failure(what, key, error) from error

    def failure(self, what: str, key: str, error: Exception) -> StoreError:
        """The error in our own words."""
        code = error_code(error)
        if not code:
            return self._without_answer(error)
        if code == "NoSuchBucket":
            return self.place.unreachable(f"there is no bucket {self.name}", "create it, or mend the URL")
        if code in REFUSED:
            return self.place.unreachable(f"the credentials were refused ({code})", "check key and secret")
        if code in ELSEWHERE:
            return self.place.unreachable(
                f"the bucket is in another region ({code})", "set the option region"
            )
        if code in DENIED:
            return self._denied(what, key)
        if code in ABSENT:
            return self.place.missing(key)
        return self.place.error(what, key or self.name, f"{reason(error)} ({code})")

    def _denied(self, what: str, key: str) -> StoreError:
        todo = "allow PutObject, GetObject, DeleteObject and ListBucket to these credentials"
        if not key:
            return self.place.unreachable(f"access to bucket {self.name} is denied", todo)
        return self.place.error(what, key, "access is denied", todo)

    def _without_answer(self, error: Exception) -> StoreError:
        """No answer of S3 at all: nothing is known of the object."""
        from botocore.exceptions import CredentialRetrievalError, NoCredentialsError, PartialCredentialsError

        if isinstance(error, (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)):
            return self.place.unreachable("no credentials were found", "set key and secret, or the SDK's own")
        if isinstance(error, TimeoutError):
            return self.place.unreachable("the service does not answer", "try again later")
        return self.place.unreachable(reason(error), "check address and network")


def find(bucket: Bucket, key: str) -> dict[str, Any] | None:
    """What the bucket knows of an object; None when there is none."""
    try:
        return bucket.call("head_object", "look at", key)
    except StoreError as error:
        if error_code(error.__cause__) in ABSENT:
            return None
        raise


def abort(bucket: Bucket, key: str, upload: str) -> None:
    """Abort an upload; one that is gone already is no error."""
    try:
        bucket.call("abort_multipart_upload", "discard", key, UploadId=upload)
    except StoreError as error:
        if error_code(error.__cause__) not in (ABSENT | {"NoSuchUpload"}):
            raise


def error_code(error: BaseException | None) -> str:
    """S3's word for an error, such as ``AccessDenied`` (or its HTTP status); empty when S3 did not answer."""
    while error is not None:
        answer = getattr(error, "response", None)
        if isinstance(answer, dict):
            return str(answer.get("Error", {}).get("Code", ""))
        error = error.__cause__
    return ""


def is_transient(error: Exception) -> bool:
    """Whether the same call may succeed a moment later."""
    from aiohttp import ClientError as BrokenAnswer
    from botocore.exceptions import ConnectionError as NotConnected
    from botocore.exceptions import HTTPClientError, IncompleteReadError, SSLError
    from botocore.parsers import ResponseParserError

    if code := error_code(error):
        return code in BUSY or (code.isdigit() and int(code) >= 500) or code == "429"
    if isinstance(error, (StoreError, SSLError)):
        return False
    broken = (HTTPClientError, NotConnected, IncompleteReadError, ResponseParserError, BrokenAnswer)
    return isinstance(error, (TimeoutError, ConnectionError, *broken))
