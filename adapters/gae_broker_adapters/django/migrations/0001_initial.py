"""The outbox."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Makes the table ``gae_broker_outbox``."""

    initial = True
    dependencies = ()
    operations = (
        migrations.CreateModel(
            name="OutboxTask",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("queue", models.CharField(max_length=100)),
                ("kind", models.CharField(max_length=8)),
                ("name", models.CharField(max_length=500)),
                ("copy_id", models.CharField(max_length=64)),
                ("due_us", models.BigIntegerField()),
                ("meta", models.BinaryField()),
                ("body", models.BinaryField()),
                ("large_key", models.CharField(max_length=64, null=True)),
                ("large_body", models.BinaryField(null=True)),
                ("added_us", models.BigIntegerField()),
                ("unit", models.CharField(default="", max_length=64)),
                ("claimed_by", models.CharField(default="", max_length=64)),
                ("claimed_until_us", models.BigIntegerField(default=0)),
            ],
            options={
                "db_table": "gae_broker_outbox",
                "verbose_name": "task to be enqueued",
                "verbose_name_plural": "tasks to be enqueued",
                "indexes": [models.Index(fields=["queue", "id"], name="gae_broker_outbox_queue")],
            },
        ),
    )
