"""Test an application's task queues without a server, a broker or a wait.

* `gae_broker.testing.testbed` is App Engine's ``google.appengine.ext.testbed`` for the task queue: old test suites
  keep working with one changed import.
* `gae_broker.testing.plugin` is a pytest plugin with the fixtures ``gae_tasks`` and ``gae_testbed``.
* `gae_broker.testing.bench.TaskBench` is what both stand on, usable by itself with unittest or in a shell.

It is the engine itself, not a second implementation: a private runtime on the embedded broker and ledger in
memory, whose clock the test moves. Importing these modules starts nothing; pytest is needed by the plugin alone.
"""
