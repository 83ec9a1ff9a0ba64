from django.db import models


class Photo(models.Model):
    title = models.CharField(max_length=100)
    image = models.BinaryField()
    thumbnail = models.BinaryField(null=True)
    attempts = models.IntegerField(default=0)
    rejected = models.BooleanField(default=False)
