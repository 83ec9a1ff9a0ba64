"""``gae-broker migrate``: App Engine's names in a program's source become ours, as far as that can be proved.

* `gae_broker.codemod.project` walks folders and puts files together; it decides nothing about a file.
* `gae_broker.codemod.program` reads one Python file, and lets one rule after another plan changes to it: ``imports``,
  ``uses``, ``strings``, ``testbeds``, ``routes``, ``services``. A rule never changes anything itself.
* `gae_broker.codemod.app_yaml` does the same for an app.yaml, line by line.

A change is planned where the program means the same afterwards. What is not certain is left as it is, and becomes a
`gae_broker.codemod.remark.Remark` that says where, why, and what to do. LibCST, an extra, is needed by ``program`` and
the rules.
"""
