"""One module for each measured thing: ``measure`` asks for processes, ``work`` is what runs in them."""
