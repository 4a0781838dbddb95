"""Django's cache and sessions on a Petra server. Needs `pip install "petra[django]"`.

The settings name them: `petra.integrations.django.cache.PetraCache` as the BACKEND of a cache, and
`petra.integrations.django.sessions` as the SESSION_ENGINE.
"""
