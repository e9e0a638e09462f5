"""What is asked of tables: history, performance, decisions; runs in the process that reads them."""
