"""SCNet's HTTP interface: one method for each call that is used, one type for each thing that comes back."""
