"""What the audit needs to know of each file, kept from one run to the next."""
