"""Speed and request counts, measured in one run: `make bench`."""
