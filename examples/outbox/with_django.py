import django
from django.conf import settings
from django.db import models, transaction

if not settings.configured:  # in a project: its own settings
    settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "app.db"}})
    django.setup()


class Order(models.Model):
    total = models.TextField()

    class Meta:
        app_label = "shop"
        db_table = "orders"


class Event(models.Model):
    """A row for hookctl, whose table `hookctl outbox init` makes."""

    event_type = models.TextField()
    data = models.TextField(null=True)  # JSON
    entity = models.TextField(null=True)

    class Meta:
        app_label = "shop"
        db_table = "hookctl_outbox"
        managed = False


with transaction.atomic():
    Order.objects.create(id=7, total="12.50")
    Event.objects.create(event_type="order.created", data='{"id": 7, "total": "12.50"}', entity="order:7")
