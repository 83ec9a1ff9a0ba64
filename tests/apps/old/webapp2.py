"""As much of the webapp2 framework as the old programs here use, for their `import webapp2` to be answered.

The framework itself was last released for Python 3 as a beta. These are WSGI classes of the same names and habits:
handlers with a method for each HTTP method, ``self.request``, ``self.response``, and routes as pairs.
"""

import logging
import re
import traceback
from urllib.parse import parse_qs

STATUS = {200: "OK", 302: "Found", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}


class HTTPException(Exception):
    def __init__(self, code, detail=""):
        super().__init__(code, detail)
        self.code, self.detail = code, detail


def abort(code, detail=""):
    raise HTTPException(code, detail)


class Headers(dict):
    def get(self, name, default=None):
        return super().get(name.lower(), default)

    def __getitem__(self, name):
        return super().__getitem__(name.lower())

    def __contains__(self, name):
        return super().__contains__(name.lower())


class Request:
    def __init__(self, environ):
        self.environ = environ
        self.method, self.path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.headers = Headers(
            {name[5:].lower().replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
        )
        self.body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        self._params = parse_qs(environ.get("QUERY_STRING", ""))
        if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
            self._params.update(parse_qs(self.body.decode()))

    def get(self, name, default=""):
        return self._params.get(name, [default])[0]

    def get_all(self, name):
        return self._params.get(name, [])


class Response:
    def __init__(self):
        self.status_int, self.headers, self._parts = 200, {"Content-Type": "text/plain; charset=utf-8"}, []

    def set_status(self, code):
        self.status_int = code

    def write(self, text):
        self._parts.append(str(text).encode())

    @property
    def out(self):
        return self

    def start(self, start_response):
        status = f"{self.status_int} {STATUS.get(self.status_int, 'Status')}"
        start_response(status, list(self.headers.items()))
        return self._parts


class RequestHandler:
    def initialize(self, request, response):
        self.request, self.response = request, response

    def redirect(self, uri):
        self.response.set_status(302)
        self.response.headers["Location"] = uri

    def error(self, code):
        self.response.set_status(code)

    abort = staticmethod(abort)


class WSGIApplication:
    def __init__(self, routes, debug=False):
        self._routes = [(re.compile(f"^{pattern}$"), handler) for pattern, handler in routes]
        self._debug = debug

    def __call__(self, environ, start_response):
        request, response = Request(environ), Response()
        try:
            self._dispatch(request, response)
        except HTTPException as error:
            response.set_status(error.code)
            response.write(error.detail)
        except Exception:
            logging.exception("%s %s", request.method, request.path)
            response.set_status(500)
            response.write(traceback.format_exc() if self._debug else "Internal Server Error")
        return response.start(start_response)

    def _dispatch(self, request, response):
        for pattern, factory in self._routes:
            match = pattern.match(request.path)
            if match is None:
                continue
            handler = factory()
            handler.initialize(request, response)
            method = getattr(handler, request.method.lower(), None)
            if method is None:
                abort(405)
            method(*match.groups())
            return
        abort(404)
