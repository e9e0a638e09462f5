"""What a feed's bars are like."""
