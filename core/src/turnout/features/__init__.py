"""Features retrieved by reference, one meaning whatever the store; and the store that comes with turnout."""
