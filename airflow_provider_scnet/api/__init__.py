"""SCNet's HTTP interface: one method for each call, one type for each thing that comes back."""
