"""What is learnt: data sets, a file a source in ``sources/``, and the law where it is known."""
