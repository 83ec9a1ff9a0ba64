"""What is Flask's alone."""

from __future__ import annotations

import json

import flask
import pytest

from gae_broker import deferred
from gae_broker.domain import keyring
from gae_broker.engine import runtime
from gae_broker.errors import ConfigurationError
from gae_broker.testing.bench import TaskBench
from gae_broker_adapters.flask import EXTENSION, GaeBroker
from tests.integration.forging import KEYS

told: list[object] = []


@pytest.fixture(autouse=True)
def _configured():
    told.clear()
    yield
    runtime.configure(None)


@pytest.fixture
def app():
    return flask.Flask("shop")


def tell(what):
    told.append((what, flask.current_app.name, flask.request.path))


def test_deferred_calls_run_within_the_application(app):
    GaeBroker(app)
    app.before_request(lambda: told.append(("before", len(flask.request.get_data()) > 0)))
    app.teardown_appcontext(lambda _: told.append("torn down"))
    with TaskBench(app=app) as tasks:
        deferred.defer(tell, "made")
        tasks.run_all()
    assert told == [("before", True), ("made", "shop", "/_ah/queue/deferred"), "torn down"]


def test_an_applications_error_handlers_see_what_calls_raise(app):
    GaeBroker(app)

    @app.errorhandler(ZeroDivisionError)
    def later(_):
        return "divided", 503

    with TaskBench(app=app) as tasks:
        deferred.defer(divmod, 1, 0)
        (run,) = tasks.run_pending()
    assert (run.status, run.done) == (503, False)


def test_a_factory_makes_applications_with_one_extension():
    broker = GaeBroker()
    first, second = flask.Flask("first"), flask.Flask("second")
    first.config["GAE_BROKER_SIGNED_PATHS"] = ["/tasks"]
    broker.init_app(first)
    broker.init_app(second)
    assert first.extensions[EXTENSION].settings.signed_paths == ("/tasks",)
    assert first.test_client().post("/tasks/a").status_code == 403
    assert [value for value in vars(broker).values() if value in (first, second)] == []


def test_an_application_has_it_once(app):
    GaeBroker(app)
    with pytest.raises(ConfigurationError, match="'shop' has its GaeBroker already"):
        GaeBroker(app)


def test_an_application_may_serve_deferred_calls_itself(app):
    GaeBroker(app, deferred=False)

    @app.post("/_ah/queue/deferred")
    def own():
        return deferred.Handler().post(flask.request.environ)

    with TaskBench(app=app) as tasks:
        deferred.defer(tell, "by its own view")
        assert [run.status for run in tasks.run_all()] == [200]
    assert [what for what, *_ in told] == ["by its own view"]


def test_more_signed_paths_and_what_a_proxy_takes_off(app):
    GaeBroker(app, signed_paths=["/cron"])
    assert app.test_client().get("/cron/daily").status_code == 403
    assert app.test_client().get("/").status_code == 404


def test_a_secret_may_stand_in_a_file(app, tmp_path):
    file = tmp_path / "keys"
    file.write_text(KEYS + "\n")
    app.config["GAE_BROKER_SIGNING_KEYS_FILE"] = file
    GaeBroker(app)
    settings = app.extensions[EXTENSION].settings
    assert settings.signing_keys == keyring.parse(KEYS)
    assert settings.source("signing_keys") == "app.config['GAE_BROKER_SIGNING_KEYS_FILE']"


def test_the_command_line_has_the_applications_settings(app):
    app.config["GAE_BROKER_PREFIX"] = "mine"
    GaeBroker(app)
    ran = app.test_cli_runner().invoke(args=["gae-broker", "config", "show", "--format", "json"])
    assert ran.exit_code == 0, ran.output
    assert "app.config['GAE_BROKER_PREFIX']" in json.dumps(json.loads(ran.stdout))
