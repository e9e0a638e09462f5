"""What a server holds: champions in service, and how they are kept up to date."""
