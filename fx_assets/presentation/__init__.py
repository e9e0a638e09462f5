"""What people read and see: sentences, figures, plots."""
