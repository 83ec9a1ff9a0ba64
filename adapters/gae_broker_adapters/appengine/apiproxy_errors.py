"""``google.appengine.runtime.apiproxy_errors`` where Google's library is missing.

A task queue call raises `DeadlineExceededError` alone; the others are there because programs name them in ``except``.
"""

from gae_broker.errors import ApiProxyError as Error
from gae_broker.errors import DeadlineExceededError

__all__ = [
    "ApplicationError",
    "ArgumentError",
    "CallNotFoundError",
    "CancelledError",
    "CapabilityDisabledError",
    "DeadlineExceededError",
    "Error",
    "FeatureNotEnabledError",
    "OverQuotaError",
    "RPCFailedError",
    "RequestTooLargeError",
    "ResponseTooLargeError",
    "RpcAuthorityError",
]


class RPCFailedError(Error):
    """The call to the service failed."""


class CallNotFoundError(Error):
    """There is no such call."""


class ArgumentError(Error):
    """The call's arguments cannot be read."""


class CancelledError(Error):
    """The call was given up."""


class ApplicationError(Error):
    """The service refused the call.

    Args:
        application_error: the number of the service's error.
        error_detail: what it said.
    """

    def __init__(self, application_error: int, error_detail: str = "") -> None:
        super().__init__(application_error)
        self.application_error = application_error
        self.error_detail = error_detail

    def __str__(self) -> str:
        return f"ApplicationError: {self.application_error} {self.error_detail}"


class OverQuotaError(Error):
    """The application's quota is used up."""


class RequestTooLargeError(Error):
    """The request is too large."""


class ResponseTooLargeError(Error):
    """The response is too large."""


class CapabilityDisabledError(Error):
    """The service is out of order for a while."""


class FeatureNotEnabledError(Error):
    """The application did not enable the feature."""


class RpcAuthorityError(Error):
    """The environment does not say whom the call may speak for."""
