"""The one name of ``google.appengine.runtime`` itself that programs use, where Google's library is missing."""

__all__ = ["DeadlineExceededError"]


class DeadlineExceededError(BaseException):
    """App Engine's runtime raised it in requests that took too long; a web server of today ends them in its own way.

    Nothing here raises it. Programs and their tests name it, and some tests raise it themselves.
    """

    def __str__(self) -> str:
        return "The overall deadline for responding to the HTTP request was exceeded."
