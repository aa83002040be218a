"""What samples are worth: metrics in ``measures/``, networks that look in ``extractors/``."""
