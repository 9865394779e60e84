"""What a user writes: decorated functions, traced to a spec."""
